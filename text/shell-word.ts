import { byteOf } from "./file-name";

/**
 * One shell word that stands for the text, whatever is in it. The text may hold anything but NUL, which no shell word
 * can.
 *
 * Source: POSIX.1-2017, Shell Command Language, 2.2.2 single-quotes
 */
export const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** No shell changes a word of these: it is easier to read without quotes. */
const PLAIN = /^[A-Za-z0-9@%+=:,./_-]+$/;

/**
 * One word of a POSIX shell, whatever it holds: the commands that are printed are to be copied. What a terminal does not
 * show as it is (a line end, an escape, a byte that is not UTF-8) is written by its code, as bash, zsh and POSIX.1-2024 read it.
 */
export const shellWord = (text: string): string => {
  if (/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(text)) {
    const escaped = text.replace(/[\\'\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) =>
      /[\\']/.test(character) ? `\\${character}` : octal(character),
    );
    return `$'${escaped}'`;
  }
  return PLAIN.test(text) ? text : quote(text);
};

/** Its bytes, each of three digits, so that a digit that follows is none of it. */
const octal = (character: string): string => {
  const byte = byteOf(character);
  return [...(byte === null ? Buffer.from(character) : [byte])]
    .map((byte) => `\\${byte.toString(8).padStart(3, "0")}`)
    .join("");
};

/** One command, each word quoted. */
export const commandLine = (...words: string[]): string => words.map(shellWord).join(" ");
