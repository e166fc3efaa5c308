import { printable } from "./printable";

/** Lines of a table for people, each column as wide as its widest cell. */
export function columns(table: readonly (readonly string[])[]): string[] {
  const rows = table.map((row) => row.map(printable));
  const widths: number[] = [];
  for (const row of rows) {
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length);
  }
  return rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

/** `1 tag`, `2 tags`; `many` where it is not formed by an s. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

/** The algorithm and the first 12 digits, enough to find it by. */
export function shortDigest(digest: string | null): string {
  return digest === null ? "-" : digest.replace(/^([^:]+:[^:]{12}).*$/s, "$1");
}

/** `app:v1 (+2)`: the repository with its first tag, and how many more lead to the object. */
export function nameOf(repository: string | null, tags: readonly string[]): string {
  const [first] = tags;
  const name = repository ?? "(no repository)";
  if (first === undefined) return name;
  return `${name}:${first}${tags.length > 1 ? ` (+${tags.length - 1})` : ""}`;
}
