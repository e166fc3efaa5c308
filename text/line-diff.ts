import { type StructuredPatchHunk, structuredPatch } from "diff";

/** The difference between two texts, line by line. */
export interface LineDiff {
  readonly added: number;
  readonly removed: number;
  /** Hunks in unified format, without the header with file names. */
  readonly lines: readonly string[];
}

/** With more edits than this the texts have little in common, and the search, whose cost is quadratic, would take too long. */
const MOST_EDITS = 1000;

const hunksOf = (before: string, after: string): StructuredPatchHunk[] | undefined =>
  structuredPatch("", "", before, after, "", "", { context: 3, maxEditLength: MOST_EDITS })?.hunks;

/** One text removed as a whole, and the other added. */
const replaced = (before: string, after: string): StructuredPatchHunk[] => {
  const side = (text: string, mark: string): string[] =>
    text
      .split(/(?<=\n)(?!$)/)
      .flatMap((line) => (line.endsWith("\n") ? [mark + line.slice(0, -1)] : [mark + line, END]));
  const removed = side(before, "-");
  const added = side(after, "+");
  const count = (lines: string[]) => lines.filter((line) => line !== END).length;
  const lines = [...removed, ...added];
  return [{ oldStart: 1, oldLines: count(removed), newStart: 1, newLines: count(added), lines }];
};

const END = "\\ No newline at end of file";

/** Source: POSIX.1-2017, diff, "Diff -u Output Format": an empty range is placed after the line before it. */
const range = (start: number, length: number): string => `${length === 0 ? start - 1 : start},${length}`;

/** Compares two texts by lines. The result for equal texts has no lines. */
export const lineDiff = (before: string, after: string): LineDiff => {
  const hunks = hunksOf(before, after) ?? replaced(before, after);
  const marked = (mark: string): number =>
    hunks.flatMap(({ lines }) => lines).filter((line) => line.startsWith(mark)).length;
  return {
    added: marked("+"),
    removed: marked("-"),
    lines: hunks.flatMap(({ oldStart, oldLines, newStart, newLines, lines }) => [
      `@@ -${range(oldStart, oldLines)} +${range(newStart, newLines)} @@`,
      ...lines,
    ]),
  };
};
