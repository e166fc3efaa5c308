import { createHash } from "node:crypto";
import { checkManifest } from "../../../registry/oci/check";
import { type Digest, sha256 } from "../../../registry/oci/digest";
import type { Answer } from "../../../registry/oci/http";
import { digestOf, image } from "../../lab/images";

const made = image("app");
const own = digestOf(made);
const size = made.bytes.length;
const sha512: Digest = `sha512:${createHash("sha512").update(made.bytes).digest("hex")}`;

const answer = (body: Buffer, announced?: string, status = 200): Answer => ({
  origin: "http://registry.example",
  path: "/",
  status,
  headers: { "docker-content-digest": announced },
  body,
  received: body.length,
});
/** The reason for which a manifest is refused; null if it is as it should be. */
const refused = (given: Answer, digest: Digest | null = null, size: number | null = null) => {
  const check = checkManifest(given, { digest, size });
  return check.ok ? null : check.failure.reason;
};

test.each([
  ["by tag", undefined, null, null],
  ["by tag, announced", own, null, null],
  ["by digest and size", own, own, size],
  ["by digest, announced by another algorithm", sha512, own, null],
  ["by digest, announced as nonsense", "sha256:../../etc", own, null],
])("a manifest asked for %s is whole", (_how, announced, digest, size) => {
  expect(checkManifest(answer(made.bytes, announced), { digest, size })).toMatchObject({
    ok: true,
    size: made.bytes.length,
  });
});

test("a manifest is held to the digest and the size that it was asked for by, and to the digest that it is announced with", () => {
  const other = Buffer.from(made.bytes);
  other[10] = 0;
  expect(refused(answer(other, own), own)).toBe("digest-mismatch");
  expect(refused(answer(other), own)).toBe("digest-mismatch");
  expect(refused(answer(other, own))).toBe("digest-mismatch");
  expect(refused(answer(made.bytes, sha256("other")), own)).toBe("digest-mismatch");
  expect(refused(answer(made.bytes.subarray(1), own), own, size)).toBe("truncated");
  expect(refused(answer(Buffer.concat([made.bytes, made.bytes])), own, size)).toBe("size-mismatch");
  // Whole, and described wrongly.
  expect(refused(answer(made.bytes), own, size + 1)).toBe("size-mismatch");
});

test("bytes that are not a manifest are refused, whatever their digest", () => {
  const body = Buffer.from("{}");
  expect(refused(answer(body), sha256(body), body.length)).toBe("malformed");
  expect(refused(answer(made.bytes, own, 206), own, size)).toBe("malformed");
  expect(refused(answer(made.bytes, own, 404), own, size)).toBe("missing");
});
