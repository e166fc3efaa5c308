import fc from "fast-check";
import { printable, printableJson, printableText } from "../../text/printable";
import { anyCharacter } from "../any-character";

const anyText = fc.oneof(
  fc.string({ unit: anyCharacter }),
  fc.string({
    unit: fc.constantFrom("\u001b", "\u009b", "\u202e", "\u2066", "\ud800", "\n", "\u2028", "\u{e0041}", "a"),
  }),
);
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

test.each([
  ["an escape sequence", "\u001b]0;title\u0007", "\\x1b]0;title\\x07"],
  ["its 8-bit form", "\u009b2J", "\\x9b2J"],
  ["a line that is forged", "a\nresult    nothing broken\r", "a\\x0aresult    nothing broken\\x0d"],
  ["a direction that is turned", "\u202egnp.exe", "\\u{202e}gnp.exe"],
  ["half of a pair", "\ud83d!", "\\u{d83d}!"],
  ["what may be shown", "größe 日本 🙂", "größe 日本 🙂"],
])("shows %s", (_what, text, shown) => {
  expect(printable(text)).toBe(shown);
});

test("nothing that a terminal obeys is left, and what is left stays as it was", () => {
  fc.assert(
    fc.property(anyText, (text) => {
      expect(printable(text)).not.toMatch(UNPRINTABLE);
      expect(printableText(text).replace(/[\n\t]/g, "")).not.toMatch(UNPRINTABLE);
      if (!UNPRINTABLE.test(text)) expect(printable(text)).toBe(text);
    }),
  );
});

test("JSON keeps its value", () => {
  fc.assert(
    fc.property(fc.dictionary(anyText, anyText), (value) => {
      const json = printableJson(JSON.stringify(value, null, 2));
      expect(json.replaceAll("\n", "")).not.toMatch(UNPRINTABLE);
      expect(JSON.parse(json)).toEqual(value);
    }),
  );
});
