import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { assignments } from "../../hosts/shell";
import { quote } from "../../text/shell-word";

/** Favors characters that are special to a shell, to Terraform or to compose. */
const anyText = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom("'", '"', "$", "{", "}", "\\", "`", "\n", " ", "%", "!", "#", "*", "~", "ü"),
      fc.string({ minLength: 1, maxLength: 1 }),
    ),
  })
  .map((text) => text.replaceAll("\0", ""));

const bash = (script: string): string => execFileSync("bash", ["-c", script], { encoding: "utf8" });

test("a quoted text is one word that bash reads literally, whatever is in it", () => {
  fc.assert(
    fc.property(fc.array(anyText, { minLength: 1, maxLength: 40 }), (texts) => {
      expect(
        bash(`printf '%s\\0' ${texts.map(quote).join(" ")}`)
          .split("\0")
          .slice(0, -1),
      ).toEqual(texts);
    }),
    { numRuns: 25 },
  );
});

test("settings become variables and arrays of the same value", () => {
  fc.assert(
    fc.property(anyText, fc.array(anyText, { maxLength: 10 }), (text, list) => {
      const script = `set -u; ${assignments({ TEXT: text, LIST: list })}\nprintf '%s\\0' "$TEXT" "\${LIST[@]}"`;
      expect(bash(script).split("\0").slice(0, -1)).toEqual([text, ...list]);
    }),
    { numRuns: 25 },
  );
});

test("a record becomes an associative array, also where a function reads it", () => {
  fc.assert(
    fc.property(
      fc.dictionary(
        anyText.filter((key) => key !== ""),
        anyText,
        { maxKeys: 10 },
      ),
      (map) => {
        const script = `set -u; read_it() {
${assignments({ MAP: map })}}
read_it; for key in "\${!MAP[@]}"; do printf '%s\\0%s\\0' "$key" "\${MAP[$key]}"; done`;
        const words = bash(script).split("\0").slice(0, -1);
        expect(Object.fromEntries(words.flatMap((key, at) => (at % 2 === 0 ? [[key, words[at + 1]]] : [])))).toEqual({
          ...map,
        });
      },
    ),
    { numRuns: 25 },
  );
});

test("an assignment is a line that a plan can show", () => {
  expect(assignments({ HOST: "pve", NAMESERVERS: ["192.0.2.1", "192.0.2.2"], NONE: [] })).toBe(
    "HOST='pve'\nNAMESERVERS=('192.0.2.1' '192.0.2.2')\nNONE=()\n",
  );
});
