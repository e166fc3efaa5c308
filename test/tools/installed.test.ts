import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(__dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "installed-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs a script in a checkout that needs zod 4.6.7 and an alias, with these packages installed. */
const run = (installed: Record<string, string>) => {
  const checkout = mkdtempSync(join(folder, "checkout-"));
  mkdirSync(join(checkout, "tools"));
  cpSync(join(root, "tools/installed.cjs"), join(checkout, "tools/installed.cjs"));
  const needs = { dependencies: { zod: "4.6.7" }, devDependencies: { cdktf: "npm:cdktn@0.24.0" } };
  writeFileSync(join(checkout, "package.json"), JSON.stringify(needs));
  for (const [name, version] of Object.entries(installed)) {
    mkdirSync(join(checkout, "node_modules", name), { recursive: true });
    writeFileSync(join(checkout, "node_modules", name, "package.json"), JSON.stringify({ version }));
  }
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["-r", "./tools/installed.cjs", "-e", "console.log('ran')"],
    { cwd: checkout, encoding: "utf8" },
  );
  return { status, stdout, stderr };
};

test.each([
  ["another version", { zod: "4.6.6", cdktf: "0.24.0" }, "zod is 4.6.6, this checkout needs 4.6.7"],
  ["a package that is new", { cdktf: "0.24.0" }, "zod is not installed, this checkout needs 4.6.7"],
  ["an alias", { zod: "4.6.7", cdktf: "0.21.0" }, "cdktf is 0.21.0, this checkout needs npm:cdktn@0.24.0"],
])("%s is one line that says what to run", (_what, installed, why) => {
  expect(run(installed)).toEqual({ status: 2, stdout: "", stderr: `error: ${why}; run npm ci\n` });
});

test("what is installed as it should be is not spoken of", () => {
  expect(run({ zod: "4.6.7", cdktf: "0.24.0" })).toEqual({ status: 0, stdout: "ran\n", stderr: "" });
});

test("every script that runs a program of ours asks first", () => {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    scripts: Record<string, string>;
  };
  const unguarded = Object.entries(scripts)
    .filter(
      ([name, script]) =>
        name !== "prepare" && /\btsx\b|jest/.test(script) && !script.includes("-r ./tools/installed.cjs"),
    )
    .map(([name]) => name);
  expect(unguarded).toEqual([]);
});
