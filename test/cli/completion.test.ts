import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DescribedCommand } from "../../cli/command-tree";
import { completionScript } from "../../cli/completion-scripts";
import { commandReference, manualPage } from "../../cli/manual";
import { describeWarden } from "../../cli/warden";
import { render } from "../../handbook/document";
import { runWarden } from "./run-warden";

const folder = mkdtempSync(join(tmpdir(), "completion-"));
afterAll(() => rmSync(folder, { recursive: true }));

const warden = describeWarden();

/** What bash offers as completions of the last word. */
const offered = (words: string[], root: DescribedCommand = warden): string[] => {
  const script = join(folder, "warden.bash");
  writeFileSync(script, completionScript("bash", root));
  const { stdout, stderr } = spawnSync(
    "bash",
    [
      "--noprofile",
      "--norc",
      "-c",
      'source "$1"; COMP_WORDS=("${@:2}"); COMP_CWORD=$(($# - 2)); _warden; printf "%s\\n" "${COMPREPLY[@]}"',
      "bash",
      script,
      ...words,
    ],
    { encoding: "utf8" },
  );
  expect(stderr).toBe("");
  return stdout.split("\n").filter(Boolean);
};

describe("completion of bash", () => {
  test("offers every command", () => {
    const names = warden.commands.map(({ name }) => name.replace("warden ", ""));
    expect(offered(["warden", ""])).toEqual([...names, "--version", "-V"]);
    expect(names).toEqual(expect.arrayContaining(["verify", "scan", "prune", "repair", "completion"]));
  });

  test("offers the options of a command, and the values of an option and of an argument", () => {
    expect(offered(["warden", "verify", "--bl"])).toEqual(["--blobs"]);
    expect(offered(["warden", "verify", "registry.test", "--blobs", ""])).toEqual([
      "none",
      "head",
      "last-byte",
      "hash",
    ]);
    expect(offered(["warden", "dns", "v"])).toEqual(["verify"]);
    expect(offered(["warden", "completion", ""])).toEqual(expect.arrayContaining(["bash", "zsh", "fish"]));
  });

  test("leaves the value of any other option to the shell", () => {
    expect(offered(["warden", "verify", "--ca-file", ""])).toEqual([]);
  });

  test("knows subcommands", () => {
    const leaf = (name: string): DescribedCommand => ({
      name,
      description: "",
      usage: "",
      arguments: [],
      options: [],
      examples: [],
      commands: [],
    });
    const root = { ...leaf("warden"), commands: [{ ...leaf("warden a"), commands: [leaf("warden a b")] }] };
    expect(offered(["warden", "a", ""], root)).toEqual(["b"]);
  });
});

test("the reference lists each command once, with every option of it", () => {
  const page = render(commandReference(warden));
  for (const { name, options } of warden.commands) {
    expect(page.split(`\n## ${name}\n`)).toHaveLength(2);
    for (const { flags } of options) expect(page).toContain(`| \`${flags}\` |`);
  }
});

describe("the manual page", () => {
  const page = manualPage(warden, "1.2.3");

  test("names its command", () => {
    expect(page).toMatch(/^\.\\" .*\n\.TH WARDEN 1 "" "registry-warden 1\.2\.3"/);
  });

  test("escapes text that would start a request or be an escape itself", () => {
    const odd = {
      ...warden,
      commands: [{ ...(warden.commands[0] as DescribedCommand), description: ".so /etc/passwd\n'x \\n(.b" }],
    };
    expect(manualPage(odd, "1.2.3")).toContain("\\&.so /etc/passwd\n\\&'x \\en(.b");
  });
});

test("the help mentions no default where there is none", async () => {
  let text = "";
  for (const { name } of warden.commands) text += (await runWarden(name.replace("warden ", ""), "--help")).out;
  expect(text).toContain("(repeatable)");
  expect(text).not.toContain("default: []");
});
