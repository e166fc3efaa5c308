import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "../../cli/build";

const root = join(__dirname, "..", "..");
const elsewhere = mkdtempSync(join(tmpdir(), "bundle-"));

beforeAll(build, 60_000);
afterAll(() => rmSync(elsewhere, { recursive: true }));

const warden = (file: string, ...args: string[]): string =>
  execFileSync(process.execPath, [file, ...args], {
    cwd: elsewhere,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });

describe("dist/", () => {
  test("warden.mjs names every command, wherever it is", () => {
    copyFileSync(join(root, "dist/warden.mjs"), join(elsewhere, "warden.mjs"));
    expect(warden("warden.mjs", "--help")).toMatch(/^ {2}verify /m);
  });

  test("warden.mjs reads a site of TypeScript in the checkout that it was built in", () => {
    const output = join(elsewhere, "docs");
    expect(
      warden(join(root, "dist/warden.mjs"), "docs", "--site", join(root, "examples/small/site.ts"), "--output", output),
    ).toContain("wrote ");
  });

  test("probe.mjs fits a ConfigMap, and fails with one line without its environment", () => {
    expect(statSync(join(root, "dist/probe.mjs")).size).toBeLessThan(700 * 1024);
    let stderr = "";
    try {
      warden(join(root, "dist/probe.mjs"));
    } catch (error) {
      ({ stderr } = error as { stderr: string });
    }
    expect(stderr).toMatch(/^[^\n]*REGISTRY[^\n]*\n$/);
  });
});
