import { byteOf } from "./file-name";

/**
 * What a terminal obeys or hides instead of showing: control characters, among them the escape that begins a sequence and
 * its 8-bit forms; characters that reverse the direction of what follows or have no width; separators of lines; halves of
 * surrogate pairs.
 *
 * https://www.unicode.org/reports/tr44/#General_Category_Values
 */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

const escaped = (character: string): string => {
  const code = byteOf(character) ?? character.codePointAt(0) ?? 0;
  return code <= 0xff ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
};

/** Text as one line that moves no cursor and hides nothing: `\x1b` and `\u{202e}` stand for what cannot be shown. */
export const printable = (text: string): string => text.replace(UNPRINTABLE, escaped);

/** As printable, of a text that has lines and tabs of its own. */
export const printableText = (text: string): string =>
  text.replace(UNPRINTABLE, (character) => (/[\n\t]/.test(character) ? character : escaped(character)));

/** Serialised JSON in which no such character is left; its value stays the same. JSON.stringify escapes only some. */
export const printableJson = (json: string): string =>
  json.replace(UNPRINTABLE, (character) => {
    if (character === "\n") return character;
    return character
      .split("")
      .reduce((units, unit) => `${units}\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`, "");
  });
