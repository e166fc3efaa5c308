import * as fc from "fast-check";
import { codeSpan, cut, fenced, folded, html, visible } from "../../text/markdown";

test("what a reader would not see is written out", () => {
  expect(visible("a\u202eb\u200bc\u0007d\re")).toBe("a\\u{202e}b\\u{200b}c\\u{7}d\\u{d}e");
  expect(visible("a\tb\nc")).toBe("a\tb\nc");
});

test("a code span holds any text on one line", () => {
  expect(codeSpan("plain")).toBe("`plain`");
  expect(codeSpan("a`b")).toBe("``a`b``");
  expect(codeSpan("`a``b`")).toBe("``` `a``b` ```");
  expect(codeSpan("a\nb")).toBe("`a\\nb`");
  expect(codeSpan("x".repeat(400))).toHaveLength(302);
});

test("a fence is longer than any within", () => {
  expect(fenced("diff", "+a")).toBe("```diff\n+a\n```");
  expect(fenced("", "````\n```")).toBe("`````\n````\n```\n`````");
});

test("a summary holds no tags", () => {
  expect(folded(html("<b>&\n</details>"), "body")).toBe(
    "<details><summary>&lt;b&gt;&amp; &lt;/details&gt;</summary>\n\nbody\n\n</details>",
  );
});

test("a text is never cut within a character", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.integer({ min: 1, max: 20 }), (text, length) => {
      const short = cut(text, length);
      expect(short.length).toBeLessThanOrEqual(length);
      expect(short).not.toMatch(/\p{Surrogate}/u);
    }),
  );
});

test("no text closes the code span or the fence that holds it", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("`", " ", "a", "\n", "~") }), (text) => {
      const span = codeSpan(text);
      const fence = span.match(/^`+/)?.[0] ?? "";
      expect(span.slice(fence.length, -fence.length).match(/`+/g) ?? []).not.toContain(fence);
      const block = fenced("", text).split("\n");
      expect(block.slice(1, -1).some((line) => line.trim().startsWith(block.at(-1) ?? "never"))).toBe(false);
    }),
  );
});
