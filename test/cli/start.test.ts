import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const root = join(__dirname, "..", "..");
const directory = mkdtempSync(join(tmpdir(), "start-"));
afterAll(() => rmSync(directory, { recursive: true }));

const output = join(directory, "cdktf.out");

/** A PATH with node and, where a script is given, a terraform that runs it. */
const path = (terraform?: string): string => {
  const bin = mkdtempSync(join(directory, "bin-"));
  if (terraform !== undefined) {
    writeFileSync(join(bin, "terraform"), `#!/bin/sh\n${terraform}\n`);
    chmodSync(join(bin, "terraform"), 0o755);
  }
  return `${bin}:${dirname(process.execPath)}:/bin`;
};

const run = (script: string, args: string[], terraform?: string) => {
  const { WARDEN_SITE: _, ...environment } = process.env;
  const result = spawnSync(process.execPath, ["--import", "tsx", script, ...args], {
    cwd: root,
    encoding: "utf8",
    env: { ...environment, PATH: path(terraform), CDKTF_OUTDIR: output },
  });
  return { code: result.status, stdout: result.stdout, stderr: result.stderr };
};

const contents = (folder: string): Record<string, string> =>
  existsSync(folder)
    ? Object.fromEntries(
        readdirSync(folder, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => join(entry.parentPath, entry.name))
          .sort()
          .map((file) => [file, readFileSync(file, "utf8")]),
      )
    : {};

const REFERENCE = ["--site", "site/reference.ts"];
const NO_PROVIDER = `case "$1/$PWD" in
init/*monitoring) echo "Error: Failed to query available provider packages" >&2; exit 1;;
plan/*) echo "Plan: 2 to add, 0 to change, 0 to destroy.";;
esac`;

describe("npm start", () => {
  test("tells the truth about a stack that cannot be planned, and plans the others", () => {
    const { code, stdout, stderr } = run("cli/start.ts", REFERENCE, NO_PROVIDER);
    expect(stderr.trim().split("\n")).toEqual([
      expect.stringMatching(/^monitoring: synthesised, not planned: Failed to query/),
    ]);
    expect(stdout).toMatch(/^dns +\d+ +2 to add, 0 to change, 0 to destroy /m);
    expect(stdout).toMatch(/^registry-vm +\d+ +2 to add, 0 to change, 0 to destroy /m);
    expect(stdout).toMatch(/^monitoring +\d+ +not planned \(provider\) /m);
    expect(stdout).toMatch(/^deferred {2}truenas .*No route to host/m);
    expect(stdout).toMatch(/^timers {4}clean-up, caches, scan, scrub, disk on registry-vm$/m);
    expect(code).toBe(0);
    expect(readFileSync(join(output, "stacks/dns/plan.txt"), "utf8")).toContain("2 to add");
  });

  test("makes it an error where it is asked to be strict", () => {
    expect(run("cli/start.ts", [...REFERENCE, "--strict"], NO_PROVIDER).code).toBe(2);
  });

  test("fails when a plan fails, and names its error", () => {
    const { code, stderr } = run(
      "cli/start.ts",
      REFERENCE,
      '[ "$1" = init ] || { echo "Error: Invalid index" >&2; exit 1; }',
    );
    expect(stderr).toMatch(/^dns: the plan failed: Invalid index; all of it: .*plan\.txt$/m);
    expect(code).toBe(2);
  });

  test("synthesises without terraform, and says so in one line", () => {
    const { code, stdout, stderr } = run("cli/start.ts", REFERENCE);
    expect(stderr.trim()).toMatch(/^nothing is planned without terraform[^\n]*$/);
    expect(stdout).toMatch(/^dns +\d+ +not planned /m);
    expect(code).toBe(0);
  });
});

describe("npm run synth", () => {
  test("gives the same bytes twice, and from another directory", () => {
    rmSync(output, { recursive: true, force: true });
    expect(run("main.ts", REFERENCE).code).toBe(0);
    const first = contents(output);
    expect(Object.keys(first).filter((file) => file.endsWith("cdk.tf.json"))).toHaveLength(3);
    rmSync(output, { recursive: true });
    const { WARDEN_SITE: _, ...environment } = process.env;
    const elsewhere = mkdirSync(join(directory, "elsewhere"), { recursive: true });
    const second = spawnSync(
      process.execPath,
      [
        "--import",
        join(root, "node_modules/tsx/dist/loader.mjs"),
        join(root, "main.ts"),
        "--site",
        join(root, "site/reference.ts"),
      ],
      { cwd: elsewhere, encoding: "utf8", env: { ...environment, CDKTF_OUTDIR: output } },
    );
    expect(second.stderr).toBe("");
    expect(contents(output)).toEqual(first);
  });

  test("leaves cdktf.out as it was when the site is refused", () => {
    const before = contents(output);
    const bad = join(directory, "bad.json");
    writeFileSync(bad, "{}");
    const { code, stdout, stderr } = run("main.ts", ["--site", bad]);
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(stderr).toContain("state: given nothing; allowed is the backend ");
    expect(stderr).toContain(
      "site: there is nothing to deploy; allowed is at least one of hosts, registry and monitoring\n",
    );
    expect(contents(output)).toEqual(before);
  });

  test("refuses an option that it does not know", () => {
    const { code, stderr } = run("main.ts", ["--sites", "site/reference.ts"]);
    expect(code).toBe(64);
    expect(stderr).toMatch(/^Unknown option '--sites'[^\n]*\n$/);
  });

  test("synthesises the small example", () => {
    const before = join(directory, "before");
    cpSync(output, before, { recursive: true });
    expect(run("main.ts", ["--site", "examples/small/site.ts"])).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(contents(output)).not.toEqual(contents(before));
  });
});
