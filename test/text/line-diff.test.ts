import * as fc from "fast-check";
import { lineDiff } from "../../text/line-diff";

test("one changed line, with what stands around it", () => {
  const before = "a\nb\nc\nd\ne\nf\ng\nh\n";
  expect(lineDiff(before, before.replace("e", "E"))).toEqual({
    added: 1,
    removed: 1,
    lines: ["@@ -2,7 +2,7 @@", " b", " c", " d", "-e", "+E", " f", " g", " h"],
  });
});

test("changes far apart are hunks of their own", () => {
  const lines = Array.from({ length: 20 }, (_, index) => `line ${index}\n`);
  const { lines: diff } = lineDiff(lines.join(""), ["first\n", ...lines.slice(1, -1), "last\n"].join(""));
  expect(diff.filter((line) => line.startsWith("@@"))).toEqual(["@@ -1,4 +1,4 @@", "@@ -17,4 +17,4 @@"]);
});

test("a new text and one that is gone", () => {
  expect(lineDiff("", "a\nb\n").lines).toEqual(["@@ -0,0 +1,2 @@", "+a", "+b"]);
  expect(lineDiff("a\n", "").lines).toEqual(["@@ -1,1 +0,0 @@", "-a"]);
  expect(lineDiff("", "").lines).toEqual([]);
});

test("a line feed that is missing at the end is seen", () => {
  expect(lineDiff("a\n", "a").lines).toEqual(["@@ -1,1 +1,1 @@", "-a", "+a", "\\ No newline at end of file"]);
});

test("an inserted line does not move the rest", () => {
  const { added, removed } = lineDiff("a\nb\nc\n", "a\nx\nb\nc\n");
  expect({ added, removed }).toEqual({ added: 1, removed: 0 });
});

test("texts without anything in common end in bounded time", () => {
  const text = (name: string) => Array.from({ length: 5000 }, (_, index) => `${name} ${index}\n`).join("");
  expect(lineDiff(text("old"), text("new"))).toMatchObject({ added: 5000, removed: 5000 });
});

/** Applies hunks to a text, like patch(1). */
const patch = (before: string, diff: readonly string[]): string => {
  const old = before.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  const now: string[] = [];
  let position = 0;
  for (const line of diff) {
    const header = line.match(/^@@ -(\d+),(\d+) /);
    if (header !== null) {
      const start = Number(header[1]) - (header[2] === "0" ? 0 : 1);
      while (position < start) now.push(old[position++] ?? "");
    } else if (line.startsWith("\\")) now.push((now.pop() ?? "").slice(0, -1));
    else if (line.startsWith("-")) position++;
    else {
      now.push(`${line.slice(1)}\n`);
      if (line.startsWith(" ")) position++;
    }
  }
  return [...now, ...old.slice(position)].join("");
};

const text = fc
  .array(fc.constantFrom("a\n", "b\n", "c\n", "\n", "d"), { maxLength: 30 })
  .map((lines) => lines.join(""));

test("the hunks turn the one text into the other", () => {
  fc.assert(
    fc.property(text, text, (before, after) => {
      const { lines } = lineDiff(before, after);
      // The marker also follows a removed line without a line feed; there it does not belong to the new text.
      const relevant = lines.filter((line, index) => !(line.startsWith("\\") && lines[index - 1]?.startsWith("-")));
      expect(patch(before, relevant)).toBe(after);
    }),
  );
});

test("equal texts have no difference, and a line put in front is the only one", () => {
  fc.assert(
    fc.property(text, (same) => {
      expect(lineDiff(same, same)).toEqual({ added: 0, removed: 0, lines: [] });
      expect(lineDiff(same, `new\n${same}`)).toMatchObject({ added: 1, removed: 0 });
    }),
  );
});
