import fc from "fast-check";

const HALVES = { first: 0xd800, count: 0x800 };
const LAST = 0x10ffff - HALVES.count;

/**
 * Any Unicode character except surrogates. Replaces fast-check's unit `binary`, which first builds a table of all of them:
 * that takes a second in each test file.
 */
export const anyCharacter: fc.Arbitrary<string> = fc.nat(LAST).map(
  (n) => String.fromCodePoint(n < HALVES.first ? n : n + HALVES.count),
  (character) => {
    const code = typeof character === "string" ? character.codePointAt(0) : undefined;
    if (code === undefined || character !== String.fromCodePoint(code)) throw new Error("not one character");
    return code < HALVES.first ? code : code - HALVES.count;
  },
);
