import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildSync } from "esbuild";
import { build } from "../../cli/build";
import { bundledPackages, noticesComment, noticesOf } from "../../hosts/notices";

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

  test("warden.mjs reads a TypeScript site in the checkout that it was built in", () => {
    const output = join(elsewhere, "docs");
    expect(
      warden(join(root, "dist/warden.mjs"), "docs", "--site", join(root, "examples/small/site.ts"), "--output", output),
    ).toContain("wrote ");
  });

  test.each(["probe.mjs", "clean-up.mjs"])(
    "%s fits a ConfigMap, and fails with one line without its environment",
    (file) => {
      expect(statSync(join(root, "dist", file)).size).toBeLessThan(700 * 1024);
      let stderr = "";
      try {
        warden(join(root, "dist", file));
      } catch (error) {
        ({ stderr } = error as { stderr: string });
      }
      expect(stderr).toMatch(/^[^\n]*REGISTRY[^\n]*\n$/);
    },
  );
});

describe("the third-party notices", () => {
  /** The packages that esbuild put into a program, from a build of its own: our list is not consulted. */
  const packagesIn = (entry: string): string[] => {
    const { metafile } = buildSync({
      absWorkingDir: root,
      entryPoints: [entry],
      outfile: "x.mjs",
      bundle: true,
      write: false,
      metafile: true,
      platform: "node",
      format: "esm",
      external: ["tsx/cjs/api", "esbuild", "../stacks/manifests"],
      logLevel: "silent",
    });
    const inputs = Object.values(metafile.outputs).flatMap((output) => Object.entries(output.inputs));
    const names = inputs
      .filter(([file, { bytesInOutput }]) => file.includes("node_modules/") && bytesInOutput > 0)
      .map(
        ([file]) =>
          file
            .split("node_modules/")
            .pop()
            ?.match(/^(@[^/]+\/)?[^/]+/)?.[0] ?? file,
      );
    return [...new Set(names)].sort();
  };

  const headings = (text: string): string[] =>
    [...text.matchAll(/^(\S+) (v?\d\S*) \([\w.-]+\)$/gm)].map(([, name = ""]) => name);

  test.each([
    ["warden.mjs", "cli/entry.ts"],
    ["probe.mjs", "cli/probe.ts"],
    ["clean-up.mjs", "cli/clean-up.ts"],
    ["maintenance.mjs", "cli/maintenance.ts"],
  ])("%s ends with those of every package in it", (file, entry) => {
    const notices =
      readFileSync(join(root, "dist", file), "utf8")
        .split("/*! Software of others in this file:")
        .pop() ?? "";
    expect(packagesIn(entry).length).toBeGreaterThan(0);
    expect(headings(notices)).toEqual(packagesIn(entry));
    expect(
      notices.match(/permission notice shall be|Redistributions in binary form|copyright notice and this/gi)?.length,
    ).toBeGreaterThanOrEqual(packagesIn(entry).length);
  });

  test("THIRD_PARTY_NOTICES covers all programs", () => {
    const all = ["cli/entry.ts", "cli/probe.ts", "cli/clean-up.ts", "cli/maintenance.ts"].flatMap(packagesIn);
    expect(headings(readFileSync(join(root, "dist/THIRD_PARTY_NOTICES"), "utf8"))).toEqual([...new Set(all)].sort());
  });

  test("fails for a package that has no licence text", () => {
    const folder = join(elsewhere, "node_modules/@team/nameless");
    execFileSync("mkdir", ["-p", folder]);
    writeFileSync(join(folder, "package.json"), '{ "name": "@team/nameless", "version": "1.0.0" }');
    const output = { inputs: { "node_modules/@team/nameless/index.js": { bytesInOutput: 1 } } };
    const metafile = { inputs: {}, outputs: { "x.mjs": output } } as unknown as Parameters<typeof bundledPackages>[0];
    expect(() => bundledPackages(metafile, elsewhere)).toThrow("@team/nameless 1.0.0 has no licence text");
  });

  test("a licence cannot end its comment", () => {
    const odd = [{ name: "odd", version: "1.0.0", license: "MIT", text: "*/ process.exit(1) /*" }];
    expect(noticesComment(odd).match(/\*\//g)).toHaveLength(1);
    expect(noticesOf(odd)).toContain("*/ process.exit(1)");
    expect(noticesComment([])).toBe("");
  });
});
