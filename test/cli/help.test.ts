import { runWarden } from "./run-warden";

const help = async (...names: string[]): Promise<string> => {
  const { code, out } = await runWarden(...names, "--help");
  expect([names, code]).toEqual([names, 0]);
  return out;
};

/** The subcommands of a command; [] for one that does the work itself. */
const partsOf = (text: string): string[] =>
  [...(text.split("\nCommands:\n")[1] ?? "").matchAll(/^ {2}([a-z][a-z-]*)/gm)]
    .map(([, name = ""]) => name)
    .filter((name) => name !== "help");

const commandsBelow = async (...names: string[]): Promise<string[][]> => {
  const parts = partsOf(await help(...names));
  return parts.length === 0 ? [names] : (await Promise.all(parts.map((part) => commandsBelow(...names, part)))).flat();
};

/** The examples in a command's help, split into words, without their explanations. */
const examplesOf = (text: string): string[][] =>
  (text.split("\nExamples:\n")[1] ?? "")
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => line.trim().split(/ {2,}/, 1)[0]?.split(" ") ?? []);

test("every command shows examples of itself, with options that it has and arguments that it takes", async () => {
  const commands = await commandsBelow();
  expect(commands.length).toBeGreaterThan(7);
  for (const names of commands) {
    const text = await help(...names);
    const examples = examplesOf(text);
    expect([names, examples.length > 0]).toEqual([names, true]);
    const [usage = ""] = text.split("\n");
    for (const words of examples) {
      const [program, ...rest] = words.slice(words.indexOf("warden"));
      expect([program, ...rest.slice(0, names.length)]).toEqual(["warden", ...names]);
      const given = rest.slice(names.length);
      const options = given.filter((word) => word.startsWith("--"));
      for (const option of options) expect([words, text]).toEqual([words, expect.stringContaining(`${option} `)]);
      const takesValue = (option = ""): boolean => new RegExp(`${option} <`).test(text);
      const values = given.filter(
        (word, index) =>
          !word.startsWith("<") &&
          !word.startsWith("--") &&
          !(given[index - 1]?.startsWith("--") && takesValue(given[index - 1])),
      );
      const [needed, allowed] = [/<[^>]*>/g, /<[^>]*>|\[(?!options)[^\]]*\]/g].map(
        (argument) => (usage.match(argument) ?? []).length,
      );
      expect(values.length).toBeGreaterThanOrEqual(needed ?? 0);
      expect(values.length).toBeLessThanOrEqual(allowed ?? 0);
    }
  }
});

test("every command begins what it says about itself in the same way", async () => {
  const lines = (await help()).split("\nCommands:\n")[1]?.match(/^ {2}[a-z-]+.* {2,}(\S.*)$/gm) ?? [];
  expect(lines.length).toBeGreaterThan(7);
  for (const line of lines) expect(line.replace(/^.* {2,}/, "")).toMatch(/^[a-z]/);
});
