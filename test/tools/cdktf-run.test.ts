import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const SCRIPT = join(__dirname, "../../tools/cdktf/run");
const MIRROR = 'provider_installation {\n  filesystem_mirror {\n    path = "/mirror"\n  }\n}\n';

/** The programs that the script needs; nothing else on this machine, such as its Terraform, is on the PATH. */
const NEEDED = ["bash", "dirname", "grep"].map(
  (name) => [name, execFileSync("bash", ["-c", `type -P ${name}`], { encoding: "utf8" }).trim()] as const,
);

/** A checkout whose cdktf-cli prints its arguments, with its own home and PATH. */
const machine = () => {
  const home = mkdtempSync(join(tmpdir(), "cdktf-run-"));
  const write = (path: string, content: string, mode = 0o644) => {
    mkdirSync(join(home, path, ".."), { recursive: true });
    writeFileSync(join(home, path), content);
    chmodSync(join(home, path), mode);
  };
  const tool = "checkout/tools/cdktf";
  write(`${tool}/package-lock.json`, "{}");
  cpSync(SCRIPT, join(home, tool, "run"));
  write(
    `${tool}/node_modules/.bin/cdktf`,
    '#!/bin/bash\nprintf "%s\\n" "binary=${TERRAFORM_BINARY_NAME:-}" "$@"\n',
    0o755,
  );
  write(`${tool}/node_modules/.package-lock.json`, "{}");
  mkdirSync(join(home, "bin"));
  for (const [name, path] of NEEDED) symlinkSync(path, join(home, "bin", name));
  return {
    home,
    write,
    program: (name: string) => write(`bin/${name}`, "#!/bin/sh\n", 0o755),
    run: (args: string[], environment: Record<string, string> = {}) => {
      const { status, stdout, stderr } = spawnSync(join(home, tool, "run"), args, {
        encoding: "utf8",
        env: { HOME: home, PATH: join(home, "bin"), ...environment },
      });
      return { status, lines: stdout.trim().split("\n"), stderr };
    },
  };
};

let here: ReturnType<typeof machine>;
beforeEach(() => {
  here = machine();
});
afterEach(() => rmSync(here.home, { recursive: true }));

test("cdktf uses OpenTofu where there is nothing else, and what it was told in any case", () => {
  expect(here.run(["synth"]).lines).toEqual(["binary=", "synth"]);
  here.program("tofu");
  expect(here.run(["synth"]).lines[0]).toBe("binary=tofu");
  expect(here.run(["synth"], { TERRAFORM_BINARY_NAME: "/opt/tofu" }).lines[0]).toBe("binary=/opt/tofu");
  here.program("terraform");
  expect(here.run(["synth"]).lines[0]).toBe("binary=");
});

describe("a mirror of providers is not asked for what only their registry has", () => {
  test.each([".terraformrc", ".tofurc"])("in %s", (file) => {
    here.write(file, MIRROR);
    for (const command of ["deploy", "apply", "diff", "plan", "destroy"])
      expect(here.run([command, "dns"]).lines.slice(1)).toEqual([command, "dns", "--skip-provider-lock"]);
    expect(here.run(["synth"]).lines.slice(1)).toEqual(["synth"]);
  });

  test("in the file that the environment names", () => {
    here.write("cli.tfrc", MIRROR);
    const environment = { TF_CLI_CONFIG_FILE: join(here.home, "cli.tfrc") };
    expect(here.run(["diff", "dns"], environment).lines).toContain("--skip-provider-lock");
  });

  test("but a configuration without one changes nothing", () => {
    here.write(".terraformrc", '# provider_installation\nplugin_cache_dir = "/cache"\n');
    expect(here.run(["diff", "dns"]).lines).not.toContain("--skip-provider-lock");
  });
});
