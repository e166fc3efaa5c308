import * as fc from "fast-check";
import { attributeChanges, isEqual, markedStrings, pathText } from "../../review/attributes";
import type { ChangeJson } from "../../review/plan";

const changes = (change: Partial<ChangeJson>) =>
  attributeChanges({ actions: ["update"], ...change }).map(({ path, before, after, forces }) => [
    pathText(path),
    "value" in before ? before.value : before.kind,
    "value" in after ? after.value : after.kind,
    ...(forces ? ["forces"] : []),
  ]);

test("only what differs, attribute by attribute", () => {
  const before = { name: "a", same: 1, list: [1, 2], gone: "x", files: { "/etc/x": "1" } };
  const after = { name: "b", same: 1, list: [1, 3], gone: null, files: { "/etc/x": "2", "/etc/y": "3" } };
  expect(changes({ before, after })).toEqual([
    ["name", "a", "b"],
    ["list[1]", 2, 3],
    ["gone", "x", "absent"],
    ['files["/etc/x"]', "1", "2"],
    ['files["/etc/y"]', "absent", "3"],
  ]);
});

test("what is not set, null or empty is the same", () => {
  expect(changes({ before: { a: null, b: [], c: {} }, after: { a: undefined, b: null, d: {} } })).toEqual([]);
});

test("a map that becomes a list is one attribute", () => {
  expect(changes({ before: { a: { "0": "x" } }, after: { a: ["x"] } })).toEqual([["a", { "0": "x" }, ["x"]]]);
});

test("unknown values, also where there was none", () => {
  expect(changes({ before: { id: "1" }, after: {}, after_unknown: { id: true, list: [false, true] } })).toEqual([
    ["id", "1", "unknown"],
    ["list[1]", "absent", "unknown"],
  ]);
});

test("a sensitive value is shown on neither side, and only where it changes", () => {
  const before = { token: "old", same: "s", nested: { a: "1", b: "2" } };
  const after = { token: "new", same: "s", nested: { a: "3", b: "2" } };
  const marks = { same: true, nested: true };
  expect(changes({ before, after, before_sensitive: { ...marks, token: true }, after_sensitive: marks })).toEqual([
    ["token", "sensitive", "sensitive"],
    ["nested", "sensitive", "sensitive"],
  ]);
});

test("the attribute that forces a replacement, by any path above it", () => {
  const change = { before: { files: { a: "1" }, b: "1" }, after: { files: { a: "2" }, b: "2" } };
  expect(changes({ ...change, replace_paths: [["files"]] })).toEqual([
    ["files.a", "1", "2", "forces"],
    ["b", "1", "2"],
  ]);
});

test("a path is written as in Terraform", () => {
  expect(pathText(["metadata", 0, "name"])).toBe("metadata[0].name");
  expect(pathText(["triggers_replace", "/etc/resolv.conf"])).toBe('triggers_replace["/etc/resolv.conf"]');
});

test("marked strings and numbers", () => {
  expect(markedStrings({ a: { b: "x", 7: [8] }, c: "y" }, { a: true })).toEqual(["8", "x"]);
  expect(markedStrings({ a: "x" }, false)).toEqual([]);
});

test("a value does not differ from itself, whatever the order of its keys", () => {
  const reversed = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(reversed)
      : typeof value === "object" && value !== null
        ? Object.fromEntries(
            Object.entries(value)
              .reverse()
              .map(([key, inner]) => [key, reversed(inner)]),
          )
        : value;
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(isEqual(value, reversed(value))).toBe(true);
      expect(changes({ before: { value }, after: { value: reversed(value) } })).toEqual([]);
    }),
  );
});
