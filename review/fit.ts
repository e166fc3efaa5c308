/**
 * The pieces of a comment, most important first. What does not fit is dropped from the end of this list, and the names
 * say what was dropped.
 */
export const PIECES = [
  "notes",
  "destroyed or replaced resources",
  "stacks",
  "deferred hosts",
  "addresses",
  "changes outside Terraform",
  "diffs",
  "attributes",
  "new files",
  "new attributes",
] as const;

export type PieceKind = (typeof PIECES)[number];

/** A part that is shown as a whole or not at all. */
export interface Piece {
  readonly kind: PieceKind;
  readonly text: string;
}

/** A part of a comment; without any piece it is not shown. */
export interface Section {
  /** Markdown before the pieces; empty for none. */
  readonly head: string;
  readonly pieces: readonly Piece[];
  /** Between two pieces: one line feed in a list or a table, two between blocks. */
  readonly separator: "\n" | "\n\n";
}

const written = ({ head, pieces, separator }: Section): string =>
  pieces.length === 0 ? "" : `${head}${pieces.map(({ text }) => text).join(separator)}`;

const BETWEEN = "\n\n";

/** Longer than any sentence about what was dropped. */
const ROOM_FOR_DROPPED = 600;

const droppedLine = (dropped: ReadonlyMap<PieceKind, number>, limit: number): string => {
  const parts = PIECES.filter((kind) => dropped.has(kind)).map((kind) => `${kind} (${dropped.get(kind)})`);
  return `_Left out, to stay below ${limit.toLocaleString("en")} characters: ${parts.join(", ")}. \`npm run plan\` shows all of it._`;
};

/** The pieces in the order in which they are dropped: the least important kind first, and longest first within a kind. */
const dropOrder = (sections: readonly Section[]): Piece[] =>
  sections
    .flatMap(({ pieces }) => pieces)
    .sort((a, b) => PIECES.indexOf(b.kind) - PIECES.indexOf(a.kind) || b.text.length - a.text.length);

/**
 * Joins sections to a text within the limit by leaving out pieces, and says at the end how many of which kind. The first and last
 * line are always kept.
 *
 * @param limit in UTF-16 code units; a text never has fewer of these than characters
 */
export const fit = (first: string, sections: readonly Section[], last: string, limit: number): string => {
  const join = (kept: readonly Section[], dropped: string): string =>
    [first, ...kept.map(written), last, dropped].filter((part) => part !== "").join(BETWEEN);
  const whole = join(sections, "");
  if (whole.length < limit) return whole;

  const gone = new Set<Piece>();
  const dropped = new Map<PieceKind, number>();
  let excess = whole.length - (limit - ROOM_FOR_DROPPED);
  for (const piece of dropOrder(sections)) {
    if (excess < 0) break;
    gone.add(piece);
    dropped.set(piece.kind, (dropped.get(piece.kind) ?? 0) + 1);
    // Its separator is dropped too, or the head if nothing is left: at least the text is saved.
    excess -= piece.text.length;
  }
  const kept = sections.map((section) => ({ ...section, pieces: section.pieces.filter((piece) => !gone.has(piece)) }));
  return join(kept, droppedLine(dropped, limit));
};
