import * as fc from "fast-check";
import { fit, PIECES, type Piece, type Section } from "../../review/fit";

const section = (head: string, ...pieces: Piece[]): Section => ({ head, separator: "\n", pieces });

test("everything stays where it fits, and an empty section is not shown", () => {
  const sections = [
    section("## a\n", { kind: "notes", text: "one" }, { kind: "notes", text: "two" }),
    section("## b\n"),
  ];
  expect(fit("first", sections, "last", 1000)).toBe("first\n\n## a\none\ntwo\n\nlast");
  expect(fit("first", sections, "", 1000)).toBe("first\n\n## a\none\ntwo");
});

test("the least important goes first, of one kind the longest, and the end says so", () => {
  const long = "x".repeat(500);
  const sections = [
    section("## a\n", { kind: "addresses", text: "address" }),
    section("## b\n", { kind: "diffs", text: `${long}${long}` }, { kind: "diffs", text: `${long}y` }),
    section("## c\n", { kind: "new files", text: long }),
  ];
  expect(fit("first", sections, "last", 1500)).toBe(
    `first\n\n## a\naddress\n\n## b\n${long}y\n\nlast\n\n_Left out, to stay below 1,500 characters: diffs (1), new files (1). \`npm run plan\` shows all of it._`,
  );
});

const piece = fc.record({ kind: fc.constantFrom(...PIECES), text: fc.string({ maxLength: 2000 }) });
const sections = fc.array(
  fc.record({
    head: fc.string({ maxLength: 20 }),
    separator: fc.constantFrom("\n" as const, "\n\n" as const),
    pieces: fc.array(piece, { maxLength: 10 }),
  }),
  { maxLength: 5 },
);

test("a text never reaches the limit, and nothing more important is dropped than what stays", () => {
  fc.assert(
    fc.property(sections, fc.integer({ min: 1000, max: 20_000 }), (given, limit) => {
      const text = fit("first", given, "last", limit);
      expect(text.length).toBeLessThan(limit);
      expect(text.startsWith("first")).toBe(true);
      const named = PIECES.filter((kind) =>
        new RegExp(`(: |, )${kind} \\(\\d+\\)[,.]`).test(text.split("_Left out")[1] ?? ""),
      );
      const kinds = new Set(given.flatMap(({ pieces }) => pieces.map(({ kind }) => kind)));
      const [most] = named;
      if (most !== undefined)
        // Once a kind was dropped, every less important kind is gone entirely.
        for (const kind of PIECES.slice(PIECES.indexOf(most) + 1)) if (kinds.has(kind)) expect(named).toContain(kind);
    }),
  );
});
