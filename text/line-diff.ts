/** The difference of two texts, line by line. */
export interface LineDiff {
  readonly added: number;
  readonly removed: number;
  /** Hunks in unified format, without the header of file names. */
  readonly lines: readonly string[];
}

type Mark = " " | "-" | "+";

interface Edit {
  readonly mark: Mark;
  /** With its line feed, where it has one. */
  readonly line: string;
}

const CONTEXT = 3;

/** Beyond so many edits the texts have little in common, and the search for the shortest script would take its square. */
const MOST_EDITS = 1000;

/** The lines of a text, each with its line feed: a last line without one is another line. */
const split = (text: string): string[] => text.match(/[^\n]*\n|[^\n]+$/g) ?? [];

const replaced = (before: readonly string[], after: readonly string[]): Edit[] => [
  ...before.map((line): Edit => ({ mark: "-", line })),
  ...after.map((line): Edit => ({ mark: "+", line })),
];

/**
 * The shortest edit script between two lists of lines.
 *
 * Source: E. W. Myers, An O(ND) Difference Algorithm and Its Variations (1986), the greedy algorithm of section 2
 */
const edits = (before: readonly string[], after: readonly string[]): Edit[] => {
  if (before.length === 0 || after.length === 0) return replaced(before, after);
  // furthest[k]: the furthest x on diagonal k = x - y; one copy is kept for each number of edits, to walk back along.
  let furthest = new Map<number, number>([[1, 0]]);
  const trace: Map<number, number>[] = [];
  for (let count = 0; count <= Math.min(before.length + after.length, MOST_EDITS); count++) {
    trace.push(furthest);
    furthest = new Map(furthest);
    for (let diagonal = -count; diagonal <= count; diagonal += 2) {
      let x = step(furthest, diagonal, count).x;
      while (x < before.length && x - diagonal < after.length && before[x] === after[x - diagonal]) x++;
      furthest.set(diagonal, x);
      if (x >= before.length && x - diagonal >= after.length) return walkBack(trace, before, after);
    }
  }
  return replaced(before, after);
};

/** Where the last edit lands on a diagonal: a line added from the diagonal above, or removed from the one below. */
const step = (furthest: ReadonlyMap<number, number>, diagonal: number, count: number) => {
  const above = furthest.get(diagonal + 1) ?? -1;
  const below = furthest.get(diagonal - 1) ?? -1;
  const add = diagonal === -count || (diagonal !== count && below < above);
  return add ? { x: above, from: diagonal + 1 } : { x: below + 1, from: diagonal - 1 };
};

const walkBack = (
  trace: readonly ReadonlyMap<number, number>[],
  before: readonly string[],
  after: readonly string[],
): Edit[] => {
  const script: Edit[] = [];
  let x = before.length;
  let y = after.length;
  const common = (until: number): void => {
    while (x > until) {
      x--;
      y--;
      script.push({ mark: " ", line: before[x] ?? "" });
    }
  };
  for (let count = trace.length - 1; count > 0; count--) {
    const landed = step(trace[count] ?? new Map(), x - y, count);
    const added = landed.from === x - y + 1;
    common(landed.x);
    if (added) script.push({ mark: "+", line: after[--y] ?? "" });
    else script.push({ mark: "-", line: before[--x] ?? "" });
  }
  common(0);
  return script.reverse();
};

interface Hunk {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

/** The edits that change something, with their context; those that meet are one hunk. */
const hunks = (script: readonly Edit[]): Hunk[] => {
  const found: Hunk[] = [];
  script.forEach(({ mark }, index) => {
    if (mark === " ") return;
    const hunk = { from: Math.max(0, index - CONTEXT), to: Math.min(script.length, index + CONTEXT + 1) };
    const last = found.at(-1);
    if (last !== undefined && hunk.from <= last.to) found[found.length - 1] = { from: last.from, to: hunk.to };
    else found.push(hunk);
  });
  return found;
};

const count = (script: readonly Edit[], ...marks: Mark[]): number =>
  script.filter(({ mark }) => marks.includes(mark)).length;

/** Source: POSIX.1-2017, diff, "Diff -u Output Format": an empty range stands behind the line before it. */
const range = (start: number, length: number): string => `${length === 0 ? start : start + 1},${length}`;

const written = (script: readonly Edit[], { from, to }: Hunk): string[] => {
  const above = script.slice(0, from);
  const part = script.slice(from, to);
  const before = range(count(above, " ", "-"), count(part, " ", "-"));
  const after = range(count(above, " ", "+"), count(part, " ", "+"));
  return [
    `@@ -${before} +${after} @@`,
    ...part.flatMap(({ mark, line }) =>
      line.endsWith("\n") ? [`${mark}${line.slice(0, -1)}`] : [`${mark}${line}`, "\\ No newline at end of file"],
    ),
  ];
};

/** Compares two texts by lines. Equal texts have no lines. */
export const lineDiff = (before: string, after: string): LineDiff => {
  const old = split(before);
  const now = split(after);
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start++;
  let end = 0;
  while (end < old.length - start && end < now.length - start && old.at(-1 - end) === now.at(-1 - end)) end++;
  const same = (line: string): Edit => ({ mark: " ", line });
  const script = [
    ...old.slice(0, start).map(same),
    ...edits(old.slice(start, old.length - end), now.slice(start, now.length - end)),
    ...old.slice(old.length - end).map(same),
  ];
  return {
    added: count(script, "+"),
    removed: count(script, "-"),
    lines: hunks(script).flatMap((hunk) => written(script, hunk)),
  };
};
