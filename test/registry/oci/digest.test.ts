import { createHash } from "node:crypto";
import fc from "fast-check";
import { algorithmOf, encodedOf, hasher, hasherFor, isDigest, matches, sha256 } from "../../../registry/oci/digest";

const HELLO = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

test("the digest of known bytes", () => {
  expect(sha256("hello")).toBe(HELLO);
  expect(sha256(Buffer.from("hello"))).toBe(HELLO);
});

test.each([
  ["a sha256", HELLO],
  ["a sha512", `sha512:${"0".repeat(128)}`],
  ["an unregistered algorithm in the grammar", "blake3+b64:Zm9v=_-"],
  ["an unregistered algorithm of 256 characters", `other:${"0".repeat(250)}`],
])("accepts %s", (_name, text) => {
  expect(isDigest(text)).toBe(true);
});

test.each([
  ["nothing", ""],
  ["no algorithm", "2cf24dba"],
  ["a short sha256", "sha256:2cf24dba"],
  ["upper case", HELLO.toUpperCase()],
  ["upper-case hexadecimal", HELLO.replace("2cf24dba", "2CF24DBA")],
  ["a path", `sha256:${"../".repeat(21)}x`],
  ["a path of an unregistered algorithm", "other:../../etc"],
  ["a line break at the end", `${HELLO}\n`],
  ["a sha512 of another length", `sha512:${"0".repeat(64)}`],
  ["an unregistered algorithm without an end", `other:${"0".repeat(251)}`],
  ["a number", 7],
  ["null", null],
])("refuses %s", (_name, text) => {
  expect(isDigest(text)).toBe(false);
});

test("takes a digest apart", () => {
  const digest = sha256("hello");
  expect(`${algorithmOf(digest)}:${encodedOf(digest)}`).toBe(digest);
});

test("hashing piece by piece equals hashing at once, in both algorithms", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array()),
      fc.constantFrom("sha256" as const, "sha512" as const),
      (pieces, algorithm) => {
        const stream = hasher(algorithm);
        for (const piece of pieces) stream.update(piece);
        const whole = createHash(algorithm).update(Buffer.concat(pieces)).digest("hex");
        expect(stream.digest()).toBe(`${algorithm}:${whole}`);
      },
    ),
  );
});

test("bytes match their own digest and no altered byte does", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1 }), fc.nat(), (bytes, at) => {
      const digest = sha256(bytes);
      expect(matches(bytes, digest)).toBe(true);
      const altered = Uint8Array.from(bytes);
      altered[at % bytes.length] = (altered[at % bytes.length] ?? 0) ^ 1;
      expect(matches(altered, digest)).toBe(false);
    }),
  );
});

test("a digest of an unregistered algorithm cannot be checked and is not accused", () => {
  expect(hasherFor("blake3:abc")).toBeNull();
  expect(matches(Buffer.from("hello"), "blake3:abc")).toBe(true);
});
