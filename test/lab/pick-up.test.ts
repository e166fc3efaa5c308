import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { type Component, describeWith } from "./components";
import { multiPlatformImage, push } from "./images";
import { npmRegistry } from "./npm-registry";
import { type LabRegistry, startRegistry } from "./registry";

const root = join(__dirname, "../..");
const NODES = ["node-20", "node-22", "node-24", "node-26"] as const;
const MANAGERS = ["yarn", "pnpm", "bun"] as const;

jest.setTimeout(180_000);

npmRegistry("an empty folder", () => {
  describeWith(["registry", ...NODES, ...MANAGERS], "and the packed package", (components) => {
    const folder = mkdtempSync(join(tmpdir(), "pick-up-"));
    let registry: LabRegistry;
    let tarball: string;

    const run = (cwd: string, [command, ...args]: readonly [string, ...string[]], bin: string[] = []) => {
      const { status, stdout, stderr } = spawnSync(command, args, {
        cwd,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "pipe"],
        timeout: 150_000,
        env: {
          ...process.env,
          PATH: [...bin, process.env.PATH].join(delimiter),
          NO_COLOR: "1",
          // No personal settings, and no package manager that replaces itself with another version.
          COREPACK_ENABLE_STRICT: "0",
        },
      });
      return { status, stdout, stderr };
    };

    /** A folder with a package.json and nothing else. */
    const empty = (name: string): string => {
      const project = join(folder, name);
      mkdirSync(project);
      writeFileSync(join(project, "package.json"), JSON.stringify({ name, private: true }));
      return project;
    };

    /** A folder that has a component under the name that scripts call. */
    const called = (name: string, { command: [path] }: Component): string => {
      const bin = mkdtempSync(join(folder, "bin-"));
      symlinkSync(path, join(bin, name));
      return bin;
    };

    const verifies = ({ status, stdout, stderr }: ReturnType<typeof run>) => {
      expect([status, stderr]).toEqual([0, ""]);
      expect(JSON.parse(stdout)).toMatchObject({ complete: true, failures: [], counts: { tags: 1, indexes: 1 } });
    };

    beforeAll(async () => {
      registry = await startRegistry();
      await push({ url: registry.url }, "team/app", multiPlatformImage("pick-up"), "v1");
      const packed = spawnSync("npm", ["pack", "--silent", "--pack-destination", folder], {
        cwd: root,
        encoding: "utf8",
      });
      expect([packed.status, packed.stderr]).toEqual([0, ""]);
      const [name = ""] = readdirSync(folder).filter((file) => file.endsWith(".tgz"));
      tarball = join(folder, name);
    });
    afterAll(async () => {
      await registry?.stop();
      rmSync(folder, { recursive: true });
    });

    describe("with npm", () => {
      let project: string;
      beforeAll(() => {
        project = empty("with-npm");
        const install = ["npm", "install", "--prefer-offline", "--no-audit", "--no-fund", tarball] as const;
        expect(run(project, install)).toMatchObject({ status: 0 });
      });

      test("brings no CDKTF to whoever wants to check an image", () => {
        expect(readdirSync(join(project, "node_modules"))).not.toContain("cdktf");
      });

      test.each(NODES)("npx registry-warden verifies on %s", (node) => {
        const bin = called("node", components[node]);
        expect(run(project, ["node", "--version"], [bin]).stdout).toMatch(new RegExp(`^v${node.slice(5)}\\.`));
        for (const command of ["registry-warden", "warden"])
          verifies(run(project, ["npx", "--no-install", command, "verify", registry.url, "--json"], [bin]));
      });
    });

    test.each([
      ["yarn", ["add"], ["-s", "run"]],
      ["pnpm", ["add"], ["exec"]],
      ["bun", ["add"], ["x"]],
    ] as const)("%s installs and runs it", (manager, add, exec) => {
      const project = empty(`with-${manager}`);
      const { command } = components[manager];
      const program = manager === "bun" ? command : ([process.execPath, ...command] as const);
      const node = dirname(process.execPath);
      expect(run(project, [...program, ...add, tarball], [node]).status).toBe(0);
      verifies(run(project, [...program, ...exec, "registry-warden", "verify", registry.url, "--json"], [node]));
    });
  });
});
