import { once } from "node:events";
import { styleText } from "node:util";
import { isNativeError } from "node:util/types";
import { printable, printableJson, printableText } from "../text/printable";

/** Of every JSON document: fields may be added under it, and are never renamed. */
export const JSON_VERSION = 1;

/** Collected to this length before they are written. Characters. */
const CHUNK = 64 * 1024;

const ALWAYS = { validateStream: false };

type Lines = string | readonly string[];

/** Lines as they may be shown: what came from outside cannot move the cursor, forge a line or hide what follows. */
const shown = (lines: Lines): string =>
  [lines]
    .flat()
    .map((line) => `${printable(line)}\n`)
    .join("");

/** Prints a line, or several. */
export const print = (lines: Lines): void => {
  process.stdout.write(shown(lines));
};

/** As print, of a text that has lines of its own. No line end is added. */
export const printText = (text: string): void => {
  process.stdout.write(printableText(text));
};

/** Prints a document of ours for a program that reads it: not a character of it may change. */
export const printDocument = (text: string): void => {
  process.stdout.write(text);
};

/** What a line begins with that is more than a note, and its colour. */
const MARKS = { error: "red", warning: "yellow" } as const;

/**
 * Prints a line, or several, on the standard error. On a terminal the word that an error or a warning begins with has a
 * colour, unless NO_COLOR is set: https://no-color.org/
 */
export const printError = (lines: Lines): void => {
  // The stream itself reads NO_COLOR, FORCE_COLOR and TERM; one that is no terminal has no such method.
  const text = shown(lines);
  process.stderr.write(
    process.stderr.isTTY && process.stderr.hasColors()
      ? text.replace(/^(error|warning):/gm, (mark, word: keyof typeof MARKS) => styleText(MARKS[word], mark, ALWAYS))
      : text,
  );
};

/** Asks a question on the standard error: the answer follows on the same line. */
export const ask = (question: string): void => {
  process.stderr.write(printable(question));
};

/** What was thrown, in words. */
export const messageOf = (error: unknown): string =>
  error instanceof Error || isNativeError(error) ? error.message : String(error);

const isRecord = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !("toJSON" in value);

/** A value as JSON.stringify with an indentation of 2 writes it, one element of a list after the other. */
const piecesOf = function* (value: unknown, margin = ""): Generator<string> {
  const inner = `${margin}  `;
  if (Array.isArray(value) && value.length > 0) {
    for (const [at, element] of value.entries()) {
      const text = JSON.stringify(element ?? null, null, 2).replaceAll("\n", `\n${inner}`);
      yield `${at === 0 ? "[" : ","}\n${inner}${text}`;
    }
    yield `\n${margin}]`;
    return;
  }
  const fields = isRecord(value) ? Object.entries(value).filter(([, field]) => field !== undefined) : [];
  if (fields.length === 0) {
    yield JSON.stringify(isRecord(value) ? {} : value, null, 2);
    return;
  }
  for (const [at, [name, field]] of fields.entries()) {
    yield `${at === 0 ? "{" : ","}\n${inner}${JSON.stringify(name)}: `;
    yield* piecesOf(field, inner);
  }
  yield `\n${margin}}`;
};

/** Until the reader has taken what was written, or has gone. */
const drained = async (stream: NodeJS.WriteStream): Promise<void> => {
  if (stream.errored !== null || stream.destroyed) return;
  const ended = new AbortController();
  const { signal } = ended;
  await Promise.race(["drain", "close"].map((event) => once(stream, event, { signal }).catch(() => {})));
  ended.abort();
};

/**
 * Prints one JSON document with its version. It is never held as a whole: a report of hundreds of thousands of failures
 * takes no more memory than its reader is slow.
 */
export const printJson = async (document: object): Promise<void> => {
  let chunk = "";
  for (const piece of piecesOf({ version: JSON_VERSION, ...document })) {
    chunk += printableJson(piece);
    if (chunk.length < CHUNK) continue;
    if (!process.stdout.write(chunk)) await drained(process.stdout);
    chunk = "";
  }
  process.stdout.write(`${chunk}\n`);
};

/** Prints documents of the same kind as one JSON list, each with its version. */
export const printJsonList = (documents: readonly object[]): void => {
  const list = documents.map((document) => ({ version: JSON_VERSION, ...document }));
  process.stdout.write(`${printableJson(JSON.stringify(list, null, 2))}\n`);
};
