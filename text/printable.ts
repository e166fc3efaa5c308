import { byteOf } from "./file-name";

/**
 * Characters that a terminal obeys or hides instead of showing: control characters, including the escape that starts a
 * sequence and its 8-bit forms; characters that reverse the text direction or have no width; line separators; lone
 * surrogates.
 *
 * https://www.unicode.org/reports/tr44/#General_Category_Values
 */
export const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

const escaped = (character: string): string => {
  const code = byteOf(character) ?? character.codePointAt(0) ?? 0;
  return code <= 0xff ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
};

/** Text as one line that moves no cursor and hides nothing: unprintable characters become `\x1b` or `\u{202e}`. */
export const printable = (text: string): string => text.replace(UNPRINTABLE, escaped);

/** Like printable, for a text with its own line breaks and tabs. */
export const printableText = (text: string): string =>
  text.replace(UNPRINTABLE, (character) => (/[\n\t]/.test(character) ? character : escaped(character)));

/** Serialized JSON without such characters; its value stays the same. JSON.stringify escapes only some of them. */
export const printableJson = (json: string): string =>
  json.replace(UNPRINTABLE, (character) => {
    if (character === "\n") return character;
    return character
      .split("")
      .reduce((units, unit) => `${units}\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`, "");
  });
