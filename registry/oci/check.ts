import { type Digest, isDigest, matches, sha256 } from "./digest";
import { type CheckFailure, failureOfStatus } from "./failure";
import type { Answer } from "./http";
import { MalformedManifest, type Manifest, parseManifest, schema1Payload } from "./manifest";

/** A manifest that matches its name, or what is wrong with it. */
export type ManifestCheck =
  | { ok: true; digest: Digest; size: number; manifest: Manifest }
  /** The digest is null if the answer does not state one. */
  | { ok: false; digest: Digest | null; failure: CheckFailure };

const single = (header: string | string[] | undefined): string | undefined =>
  Array.isArray(header) ? header[0] : header;

const isSchema1 = (answer: Answer): boolean =>
  single(answer.headers["content-type"])?.includes("manifest.v1+") ?? false;

/** What the digest covers: the body or, for a signed schema 1 manifest, the payload. */
const payloadOf = (answer: Answer): Uint8Array => {
  if (!isSchema1(answer)) return answer.body;
  try {
    return schema1Payload(answer.body);
  } catch {
    return answer.body;
  }
};

/**
 * Judges the answer to a manifest request: status, size, digest, form, in this order.
 *
 * @param expected the digest and size that were asked for; both null when it was asked for by tag
 */
export const checkManifest = (
  answer: Answer,
  expected: { digest: Digest | null; size: number | null },
): ManifestCheck => {
  const { status, body } = answer;
  if (status !== 200) return { ok: false, digest: expected.digest, failure: failureOfStatus(status) };
  const payload = payloadOf(answer);
  const announced = single(answer.headers["docker-content-digest"]);
  const named = isDigest(announced) ? announced : null;
  const digest = expected.digest ?? named ?? sha256(payload);
  const failed = (reason: CheckFailure["reason"], detail: string): ManifestCheck => ({
    ok: false,
    digest,
    failure: { reason, status, detail },
  });

  const whole = matches(payload, digest);
  if (expected.size !== null && body.length !== expected.size) {
    const detail = `has ${body.length} bytes where ${expected.size} are described`;
    return failed(!whole && body.length < expected.size ? "truncated" : "size-mismatch", detail);
  }
  if (!whole) return failed("digest-mismatch", `hashes to ${sha256(payload)}`);
  if (named !== null && named !== digest && !matches(payload, named))
    return failed("digest-mismatch", `is announced as ${named}`);
  try {
    const manifest = parseManifest(body, single(answer.headers["content-type"]));
    return { ok: true, digest, size: body.length, manifest };
  } catch (error) {
    if (error instanceof MalformedManifest) return failed("malformed", error.message);
    throw error;
  }
};
