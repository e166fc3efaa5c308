import fc from "fast-check";
import { BlobTable } from "../../../registry/oci/blob-table";
import { type Digest, sha256 } from "../../../registry/oci/digest";

const digest: fc.Arbitrary<Digest> = fc.oneof(
  fc.nat(50).map((n) => sha256(`${n}`)),
  // Digests that differ in a single character.
  fc.nat(15).map((n): Digest => `sha256:${"0".repeat(63)}${n.toString(16)}`),
  fc.nat(15).map((n): Digest => `sha512:${"0".repeat(127)}${n.toString(16)}`),
  fc.nat(5).map((n): Digest => `other+b64:${n}`),
);

test("a table is a map of digests to numbers from 0, and back", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(digest, fc.option(fc.nat()))), (added) => {
      const table = new BlobTable();
      const model = new Map<Digest, { number: number; size: number | null }>();
      for (const [each, size] of added) {
        if (!model.has(each)) model.set(each, { number: model.size, size });
        expect(table.add(each, size)).toBe(model.get(each)?.number);
      }
      expect(table.count).toBe(model.size);
      for (const [each, { number, size }] of model) {
        expect(table.digest(number)).toBe(each);
        expect(table.size(number)).toBe(size);
      }
    }),
  );
});

test("a table grows, and forgets nothing", () => {
  const table = new BlobTable();
  const digests = Array.from({ length: 5000 }, (_, n) => sha256(`${n}`));
  const numbers = digests.map((_, number) => number);
  expect(digests.map((each, number) => table.add(each, number))).toEqual(numbers);
  expect(digests.map((each) => table.add(each, null))).toEqual(numbers);
  expect(numbers.map((number) => table.digest(number))).toEqual(digests);
  expect(numbers.map((number) => table.size(number))).toEqual(numbers);
});
