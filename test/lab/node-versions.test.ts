import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { describeWith } from "./components";

const root = join(__dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "node-versions-"));
afterAll(() => rmSync(folder, { recursive: true }));

const OLDEST = "node-20";
const NEWER = ["node-22", "node-24", "node-26"] as const;

describeWith([OLDEST, ...NEWER], "every Node that people have", (components) => {
  /** Runs a program of the checkout on one version of Node, which is also the node on its PATH. */
  const run = (node: keyof typeof components, args: readonly string[], environment: NodeJS.ProcessEnv = {}) => {
    const bin = mkdtempSync(join(folder, "bin-"));
    symlinkSync(components[node].command[0], join(bin, "node"));
    return spawnSync(join(bin, "node"), args, {
      cwd: root,
      encoding: "utf8",
      env: { ...process.env, ...environment, PATH: [bin, process.env.PATH].join(delimiter) },
    });
  };

  const synthesised = (node: keyof typeof components): string[] => {
    const output = mkdtempSync(join(folder, "out-"));
    const { status, stderr } = run(node, ["--import", "tsx", "main.ts"], {
      CDKTF_OUTDIR: output,
      WARDEN_SITE: "site/reference.ts",
    });
    expect([status, stderr]).toEqual([0, ""]);
    return ["dns", "registry-vm", "monitoring"].map((stack) =>
      readFileSync(join(output, "stacks", stack, "cdk.tf.json"), "utf8"),
    );
  };

  test.each(NEWER)(
    "%s synthesises the same bytes as the oldest, and is warned of nothing",
    (node) => {
      expect(synthesised(node)).toEqual(synthesised(OLDEST));
    },
    120_000,
  );

  // The pipeline runs all quick tests on each version; here only those that start our programs.
  test.each(NEWER)(
    "%s runs npm start and the bundles, by their own tests",
    (node) => {
      const { status, stderr } = run(node, [
        "node_modules/jest/bin/jest.js",
        "--ci",
        "test/cli/start.test.ts",
        "test/cli/bundle.test.ts",
        "--selectProjects",
        "quick",
      ]);
      expect(stderr).not.toMatch(/Warning/);
      expect([status, stderr]).toEqual([0, expect.stringContaining("Test Suites: 2 passed")]);
    },
    240_000,
  );
});
