import { commandsOf } from "../../handbook/document";
import { documentsOf } from "../../handbook/handbook";
import { runWarden } from "../cli/run-warden";
import { referenceSite } from "../sites";

/** Every invocation of warden in the runbooks, split into words. */
const uses = [
  ...new Set(
    documentsOf(referenceSite)
      .flatMap(commandsOf)
      .flatMap(({ run }) => [...run.text.matchAll(/(?:npm run -s warden --|node \/opt\/warden\.mjs) ([^|&;\n]*)/g)])
      .map(([, words = ""]) => words.trim()),
  ),
].map((words) => words.split(" "));

const help = async (name: string): Promise<string> => {
  const { code, out, err } = await runWarden(name, "--help");
  return code === 0 && !out.startsWith("Usage: warden [") ? out + err : "";
};

test.each(uses.map((words) => [words.join(" "), words] as const))(
  "warden %s: exists, with its options",
  async (_, words) => {
    const [name = "", ...rest] = words;
    const text = await help(name);
    expect(text).not.toBe("");
    const options = rest.filter((word) => word.startsWith("--"));
    for (const option of options) expect(text).toContain(option);
    const values = rest.filter((word, index) => !word.startsWith("--") && rest[index - 1]?.startsWith("--") !== true);
    // No more arguments than the usage line allows.
    expect(values.length).toBeLessThanOrEqual(
      (text.split("\n")[0]?.match(/<[^>]*>|\[(?!options)[^\]]*\]/g) ?? []).length,
    );
  },
);

test("the runbooks use the program", () => {
  expect(uses.length).toBeGreaterThan(5);
});
