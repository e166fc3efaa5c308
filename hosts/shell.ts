/**
 * One shell word that stands for the text, whatever is in it. The text may hold anything but NUL, which no shell word
 * can.
 *
 * Source: POSIX.1-2017, Shell Command Language, 2.2.2 single-quotes
 */
export const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** Shell variables by name; a list becomes a bash array. */
export type Settings = Readonly<Record<string, string | readonly string[]>>;

/** One assignment a line, in the order given; bash(1), "Parameters" and "Arrays". */
export const assignments = (settings: Settings): string =>
  Object.entries(settings)
    .map(([name, value]) => `${name}=${typeof value === "string" ? quote(value) : `(${value.map(quote).join(" ")})`}\n`)
    .join("");
