import { byteOf } from "./file-name";
import { UNPRINTABLE } from "./printable";

/**
 * One shell word that evaluates to the text. The text may contain anything except NUL, which no shell word can contain.
 *
 * Source: POSIX.1-2017, Shell Command Language, 2.2.2 single-quotes
 */
export const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** A word of these characters needs no quotes, and is easier to read without. */
const PLAIN = /^[A-Za-z0-9@%+=:,./_-]+$/;

/**
 * One word for a POSIX shell: printed commands are meant to be copied. Anything that a terminal does not show literally
 * (a line break, an escape, a byte that is not UTF-8) is written as a code that bash, zsh and POSIX.1-2024 understand.
 */
export const shellWord = (text: string): string => {
  if (text.search(UNPRINTABLE) >= 0) return `$'${text.replace(/[\\']/g, "\\$&").replace(UNPRINTABLE, octal)}'`;
  return PLAIN.test(text) ? text : quote(text);
};

/** Its bytes in octal, three digits each, so that a digit that follows is not taken as part of them. */
const octal = (character: string): string => {
  const byte = byteOf(character);
  return [...(byte === null ? Buffer.from(character) : [byte])]
    .map((byte) => `\\${byte.toString(8).padStart(3, "0")}`)
    .join("");
};

/** One command, each word quoted. */
export const commandLine = (...words: string[]): string => words.map(shellWord).join(" ");
