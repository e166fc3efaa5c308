import { markup } from "./markup";

/**
 * Characters that are invisible, or that reverse the direction of the following text: in a review they could hide an
 * addition. Line feeds and tabs are kept.
 *
 * https://trojansource.codes/
 */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Surrogate}\p{Private_Use}]/gu;

/** The text with every hidden character written as its code point, `\u{202e}`. */
export const visible = (text: string): string =>
  text.replace(HIDDEN, (character) =>
    character === "\n" || character === "\t" ? character : `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );

/** A text cut to a number of characters, with an ellipsis if something is missing. */
export const cut = (text: string, length: number): string =>
  // A lone surrogate at the cut would not be a character.
  text.length <= length ? text : `${text.slice(0, length - 1).replace(/[\ud800-\udbff]$/, "")}…`;

const longestRun = (text: string): number => Math.max(0, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));

const LONGEST_SPAN = 300;

/**
 * A code span that shows any text on one line.
 *
 * https://github.github.com/gfm/#code-spans
 */
export const codeSpan = (text: string): string => {
  const line = cut(visible(text).replaceAll("\n", "\\n").replaceAll("\t", "\\t"), LONGEST_SPAN);
  const fence = "`".repeat(longestRun(line) + 1);
  const padding = line === "" || /^[ `]|[ `]$/.test(line) ? " " : "";
  return `${fence}${padding}${line}${padding}${fence}`;
};

/**
 * A fenced code block that the text cannot close.
 *
 * https://github.github.com/gfm/#fenced-code-blocks
 */
export const fenced = (language: string, text: string): string => {
  const fence = "`".repeat(Math.max(3, longestRun(text) + 1));
  return `${fence}${language}\n${text}\n${fence}`;
};

/** Text between HTML tags. */
export const html = (text: string): string => markup(cut(visible(text).replace(/\s+/g, " "), LONGEST_SPAN));

/**
 * A collapsible block. The blank lines end the HTML blocks, so that the body is interpreted as Markdown.
 *
 * @param summary HTML
 */
export const folded = (summary: string, body: string): string =>
  `<details><summary>${summary}</summary>\n\n${body}\n\n</details>`;
