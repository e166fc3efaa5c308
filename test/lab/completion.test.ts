import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { completionScript } from "../../cli/completion-scripts";
import { describeWarden } from "../../cli/warden";
import { describeWith } from "./components";

const folder = mkdtempSync(join(tmpdir(), "completion-"));
afterAll(() => rmSync(folder, { recursive: true }));

describeWith(["zsh", "fish"], "completion", ({ zsh, fish }) => {
  const run = ([command, ...args]: readonly string[], script: string): string => {
    const { status, stdout, stderr } = spawnSync(command ?? "", [...args, script], {
      encoding: "utf8",
      env: { PATH: process.env.PATH, HOME: folder },
    });
    expect([status, stderr]).toEqual([0, ""]);
    return stdout;
  };

  describe("of zsh", () => {
    const file = join(folder, "_warden");
    beforeAll(() => writeFileSync(file, completionScript("zsh", describeWarden())));

    /** What the function passes to zsh's own functions, which display it. */
    const offered = (...words: string[]): string =>
      run(
        [...zsh.command, "-f", "-c"],
        `_describe() { print -l -- "\${(@P)2}"; }; _files() { print files; }; compadd() { shift; print -l -- "$@"; }
         words=(${words.map((word) => `'${word}'`).join(" ")}); CURRENT=${words.length}; source ${file}`,
      );

    test("offers commands, options and values", () => {
      expect(offered("warden", "")).toMatch(/^verify:check every/m);
      expect(offered("warden", "verify", "")).toMatch(/^--blobs:how /m);
      expect(offered("warden", "verify", "--blobs", "")).toBe("none\nhead\nlast-byte\nhash\n");
      expect(offered("warden", "verify", "--ca-file", "")).toBe("files\n");
      expect(offered("warden", "dns", "")).toMatch(/^verify:/m);
    });
  });

  describe("of fish", () => {
    const file = join(folder, "warden.fish");
    beforeAll(() => writeFileSync(file, completionScript("fish", describeWarden())));
    const offered = (line: string): string[] =>
      run([...fish.command, "-N", "-c"], `source ${file}; complete -C '${line}'`)
        .split("\n")
        .filter(Boolean)
        .map((candidate) => candidate.split("\t", 1)[0] ?? "");

    test("offers commands, options and values", () => {
      expect(offered("warden ver")).toEqual(["verify"]);
      expect(offered("warden verify --blobs head --ht")).toEqual(["--html"]);
      expect(offered("warden verify --blobs ").sort()).toEqual(["hash", "head", "last-byte", "none"]);
      expect(offered("registry-warden dns ")).toContain("verify");
    });
  });
});
