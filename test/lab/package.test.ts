import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import example from "../../examples/library/site";
import { bundle } from "../../hosts/bundle";
import manifest from "../../package.json";
import { createApp } from "../../stacks/app";
import { mainOf } from "../examples/library-page";
import { parsed } from "../sites";
import { npmRegistry } from "./npm-registry";

const root = join(__dirname, "../..");
const subpaths = Object.keys(manifest.exports).filter((subpath) => !subpath.endsWith(".json"));

npmRegistry("the package, in another CDKTF app", () => {
  const folder = mkdtempSync(join(tmpdir(), "package-"));
  const app = join(folder, "app");
  const installed = join(app, "node_modules/registry-warden");
  const output = join(app, "cdktf.out/stacks");
  afterAll(() => rmSync(folder, { recursive: true }));

  const run = (command: string, ...args: string[]): string =>
    execFileSync(command, args, { cwd: app, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], timeout: 120_000 });
  const program = (name: string): string => join(app, "node_modules/.bin", name);

  /** `npm pack`. @returns the digest and the path of the tarball */
  const pack = (destination: string): { integrity: string; file: string } => {
    mkdirSync(destination);
    const stdout = execFileSync("npm", ["pack", "--json", "--pack-destination", destination], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    const { integrity, filename } = Object.values(JSON.parse(stdout.slice(stdout.search(/^[[{]/m))))[0] as {
      integrity: string;
      filename: string;
    };
    return { integrity, file: join(destination, filename) };
  };

  let first: { integrity: string; file: string };
  beforeAll(() => {
    first = pack(join(folder, "first"));
    cpSync(join(root, "examples/library"), app, {
      recursive: true,
      filter: (path) => !/\/(node_modules|cdktf\.out|package-lock\.json)$/.test(path),
    });
    run("npm", "install", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error", first.file);
  }, 300_000);

  test("is the same bytes each time that it is packed", () => {
    expect(pack(join(folder, "second")).integrity).toBe(first.integrity);
  }, 120_000);

  test("holds compiled modules with their types, and no path of the machine that packed it", () => {
    const files = readdirSync(installed, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    expect(files.filter((file) => /(?<!\.d)\.ts$|\.test\.|tsconfig/.test(file))).toEqual([]);
    for (const file of files) expect([file, readFileSync(file, "utf8").includes(root)]).toEqual([file, false]);
  });

  test.each(["probe", "maintenance"])("ships the very program %s that a checkout bundles", (program) => {
    expect(readFileSync(join(installed, `lib/cli/${program}.mjs`), "utf8")).toBe(bundle(`cli/${program}.ts`));
  });

  test.each(subpaths)("%s can be loaded, and has types", (subpath) => {
    const name = `registry-warden/${subpath.replace("./", "")}`;
    const loaded = run("node", "-p", `JSON.stringify(Object.keys(require(${JSON.stringify(name)})))`);
    expect(JSON.parse(loaded).length).toBeGreaterThan(0);
    expect(existsSync(join(installed, "lib", `${subpath}.d.ts`))).toBe(true);
  });

  test("has no entry for what it does not promise", () => {
    expect(() => run("node", "-e", 'require("registry-warden/constructs/literal")')).toThrow(
      "ERR_PACKAGE_PATH_NOT_EXPORTED",
    );
  });

  test("loads a provider for the constructs that need it alone", () => {
    const providers = (subpath: string): string =>
      run(
        "node",
        "-p",
        `require("registry-warden/${subpath}"); Object.keys(require.cache).filter((file) => file.includes("@cdktf/provider-")).length`,
      ).trim();
    expect(providers("constructs/host-dns")).toBe("0");
    expect(providers("constructs/registry-dashboard")).not.toBe("0");
  });

  test.each([
    ["as the template of CDKTF has it", ["--module", "commonjs"]],
    ["with Node's own resolution", ["--module", "nodenext"]],
  ])("the example compiles %s", (_, options) => {
    run(program("tsc"), "--project", ".", ...options);
  });

  test("the app of the library's page compiles, and is synthesised with the package", () => {
    const page = mkdtempSync(join(app, "page-"));
    try {
      writeFileSync(join(page, "main.ts"), mainOf(readFileSync(join(root, "docs/library.md"), "utf8")));
      run(program("tsc"), "--project", ".");
      execFileSync(program("ts-node"), [join(page, "main.ts")], { cwd: page, timeout: 120_000 });
      const stack = readFileSync(join(page, "cdktf.out/stacks/registry-integrity/cdk.tf.json"), "utf8");
      expect(Object.keys(JSON.parse(stack).resource).sort()).toEqual([
        "helm_release",
        "kubernetes_config_map_v1",
        "kubernetes_cron_job_v1",
        "terraform_data",
      ]);
    } finally {
      rmSync(page, { recursive: true });
    }
  }, 120_000);

  test("the compiler sees an error in the site of an app", () => {
    writeFileSync(join(app, "wrong.ts"), readFileSync(join(app, "site.ts"), "utf8").replace("serverName", "server"));
    try {
      const { status, stdout } = spawnSync(program("tsc"), ["--project", "."], { cwd: app, encoding: "utf8" });
      expect([status, stdout]).toEqual([2, expect.stringMatching(/^wrong\.ts\(.*'server' does not exist/)]);
    } finally {
      rmSync(join(app, "wrong.ts"));
    }
  });

  describe("the example, synthesised", () => {
    const stack = (name: string) => JSON.parse(readFileSync(join(output, name, "cdk.tf.json"), "utf8"));
    beforeAll(() => {
      run(program("ts-node"), "main.ts");
    }, 120_000);

    test("has the hosts, the probe and the alerts in a stack of its own", () => {
      const { resource, terraform, locals, ...platform } = stack("platform");
      expect(Object.keys(resource).sort()).toEqual([
        "helm_release",
        "kubernetes_config_map_v1",
        "kubernetes_cron_job_v1",
        "terraform_data",
      ]);
      expect(terraform.backend.local.path).toBe("../../../platform.tfstate");
      expect(JSON.stringify({ locals, ...platform })).not.toContain(app);
      const [configMap] = Object.values(resource.kubernetes_config_map_v1) as { data: Record<string, string> }[];
      // The ConfigMap refers to the program, so that no plan prints it.
      const [, program = ""] = configMap?.data["probe.mjs"]?.match(/^\$\{sensitive\(local\.([\w-]+)\)\}$/) ?? [];
      expect(locals[program].length).toBeGreaterThan(100_000);
      const [release] = Object.values(resource.helm_release) as { chart: string }[];
      expect(existsSync(join(output, "platform", release?.chart ?? "missing", "Chart.yaml"))).toBe(true);
    });

    test("has the same stack of the registry that a checkout has", () => {
      const directory = join(folder, "checkout");
      createApp(parsed(example), directory).synth();
      const ours = JSON.parse(readFileSync(join(directory, "stacks/registry-vm/cdk.tf.json"), "utf8"));
      expect(stack("registry-vm")).toEqual(ours);
    });
  });

  describe("warden, from the package", () => {
    const warden = (...args: string[]) =>
      spawnSync(program("warden"), args, { cwd: app, encoding: "utf8", timeout: 60_000 });

    test("says its version and the commit that it was built from", () => {
      const [, version, commit] = warden("--version").stdout.match(/^(\S+) \(([0-9a-f]{12})(?:-dirty)?\)\n$/) ?? [];
      expect(version).toBe(manifest.version);
      expect(execFileSync("git", ["rev-parse", "HEAD"], { cwd: root, encoding: "utf8" })).toContain(commit);
    });

    test("writes the handbook of a site", () => {
      writeFileSync(join(app, "site.json"), JSON.stringify(example));
      const { status, stdout } = warden("docs", "--site", "site.json", "--output", "handbook");
      expect([status, stdout]).toEqual([0, expect.stringContaining("wrote handbook/runbooks/server.md\n")]);
    });

    test("names what it lacks for a site in TypeScript", () => {
      const { status, stderr } = warden("docs", "--site", "site.ts");
      expect([status, stderr]).toEqual([2, expect.stringMatching(/^error: .*site\.ts.*npm install .*tsx.*\n$/)]);
    });
  });
});
