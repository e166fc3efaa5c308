import { once } from "node:events";
import { styleText } from "node:util";
import { isNativeError } from "node:util/types";
import { printable, printableJson, printableText } from "../text/printable";

/** The version of all JSON documents: fields may be added, but are never renamed. */
export const JSON_VERSION = 1;

/** Output is buffered up to this length. Characters. */
const CHUNK = 64 * 1024;

const ALWAYS = { validateStream: false };

type Lines = string | readonly string[];

/** Lines made safe to print: external text cannot move the cursor, forge a line or hide what follows. */
const shown = (lines: Lines): string =>
  [lines]
    .flat()
    .map((line) => `${printable(line)}\n`)
    .join("");

/** Prints one or more lines. */
export const print = (lines: Lines): void => {
  process.stdout.write(shown(lines));
};

/** Like print, for a text that contains its own line endings. */
export const printText = (text: string): void => {
  process.stdout.write(printableText(text));
};

/** Prints a document for another program: not a single character may change. */
export const printDocument = (text: string): void => {
  process.stdout.write(text);
};

/** Prefixes of lines that are more than a note, with their colors. */
const MARKS = { error: "red", warning: "yellow" } as const;

/**
 * Prints one or more lines to standard error. On a terminal the leading word of an error or a warning is colored, unless NO_COLOR
 * is set: https://no-color.org/
 */
export const printError = (lines: Lines): void => {
  // The stream itself respects NO_COLOR, FORCE_COLOR and TERM; one that is not a terminal has no such method.
  const text = shown(lines);
  process.stderr.write(
    process.stderr.isTTY && process.stderr.hasColors()
      ? text.replace(/^(error|warning):/gm, (mark, word: keyof typeof MARKS) => styleText(MARKS[word], mark, ALWAYS))
      : text,
  );
};

/** Prints a question to standard error: the answer follows on the same line. */
export const ask = (question: string): void => {
  process.stderr.write(printable(question));
};

/** The message of whatever was thrown. */
export const messageOf = (error: unknown): string =>
  error instanceof Error || isNativeError(error) ? error.message : String(error);

const isRecord = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !("toJSON" in value);

/** A value as formatted by JSON.stringify with an indentation of 2, one list element at a time. */
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

/** Waits until the reader has consumed the output, or is gone. */
const drained = async (stream: NodeJS.WriteStream): Promise<void> => {
  if (stream.errored !== null || stream.destroyed) return;
  const ended = new AbortController();
  const { signal } = ended;
  await Promise.race(["drain", "close"].map((event) => once(stream, event, { signal }).catch(() => {})));
  ended.abort();
};

/**
 * Prints one JSON document with its version. It is never in memory as a whole, so a report of hundreds of thousands of
 * failures only takes as much memory as the reader lags behind.
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

/** Prints documents of the same kind as a JSON list, each with its version. */
export const printJsonList = (documents: readonly object[]): void => {
  const list = documents.map((document) => ({ version: JSON_VERSION, ...document }));
  process.stdout.write(`${printableJson(JSON.stringify(list, null, 2))}\n`);
};
