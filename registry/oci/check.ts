import type { RegistryClient } from "./client";
import { type Digest, hasherFor, isDigest, matches, sha256 } from "./digest";
import { type Fault, faultOfExchange, faultOfStatus } from "./failure";
import { type Answer, ExchangeError } from "./http";
import { MalformedManifest, type Manifest, parseManifest, schema1Payload } from "./manifest";

/**
 * How a blob is checked: not at all; that it is announced with its size; that its last byte comes, which finds what a
 * warm cache hides; or every byte.
 */
export const BLOB_CHECKS = ["none", "head", "last-byte", "hash"] as const;
export type BlobCheck = (typeof BLOB_CHECKS)[number];

/** A manifest that is what its name says, or what is wrong with it. */
export type ManifestCheck =
  | { ok: true; digest: Digest; size: number; manifest: Manifest }
  /** The digest is null where the answer names none. */
  | { ok: false; digest: Digest | null; fault: Fault };

function single(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}

/** The Content-Length of an answer in bytes; null where it has none. */
function contentLength(answer: Answer): number | null {
  const text = single(answer.headers["content-length"]);
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : null;
}

function isSchema1(answer: Answer): boolean {
  return single(answer.headers["content-type"])?.includes("manifest.v1+") ?? false;
}

/** What the digest covers: the body, or of a signed schema 1 manifest the payload. */
function payloadOf(answer: Answer): Uint8Array {
  if (!isSchema1(answer)) return answer.body;
  try {
    return schema1Payload(answer.body);
  } catch {
    return answer.body;
  }
}

/**
 * Judges the answer to a manifest request: status, size, digest, form, in this order.
 *
 * @param expected the digest and size that were asked for; both null when it was asked for by tag
 */
export function checkManifest(answer: Answer, expected: { digest: Digest | null; size: number | null }): ManifestCheck {
  const { status, body } = answer;
  if (status !== 200) return { ok: false, digest: expected.digest, fault: faultOfStatus(status) };
  const payload = payloadOf(answer);
  const announced = single(answer.headers["docker-content-digest"]);
  const named = isDigest(announced) ? announced : null;
  const digest = expected.digest ?? named ?? sha256(payload);
  const failed = (reason: Fault["reason"], detail: string): ManifestCheck => ({
    ok: false,
    digest,
    fault: { reason, status, detail },
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
}

/** What is described of a blob. */
export interface BlobDescription {
  digest: Digest;
  /** Bytes; null in a schema 1 manifest. */
  size: number | null;
}

export function sizeFault(status: number | null, actual: number, size: number): Fault {
  return { reason: "size-mismatch", status, detail: `has ${actual} bytes where ${size} are described` };
}

/** Judges an answer to HEAD. */
export function checkBlobHead(answer: Answer, size: number | null): Fault | null {
  if (answer.status !== 200) return faultOfStatus(answer.status);
  const length = contentLength(answer);
  return length !== null && size !== null && length !== size ? sizeFault(200, length, size) : null;
}

/** Judges an answer to a request for the last byte, or of a server that knows no ranges. */
export function checkLastByte(answer: Answer, size: number): Fault | null {
  const { status } = answer;
  if (status === 206) {
    const total = /\/(\d+)$/.exec(single(answer.headers["content-range"]) ?? "")?.[1];
    if (total !== undefined && Number(total) !== size) return sizeFault(status, Number(total), size);
    return answer.received > 0 ? null : { reason: "truncated", status, detail: "its last byte does not come" };
  }
  if (status !== 200) return faultOfStatus(status);
  const length = contentLength(answer) ?? answer.received;
  if (length < size) return { reason: "truncated", status, detail: `has ${length} bytes where ${size} are described` };
  return length > size ? sizeFault(status, length, size) : null;
}

/** Judges a blob that was received whole. @param actual what the bytes hash to; null when nobody can tell */
export function checkWhole(answer: Answer, { digest, size }: BlobDescription, actual: Digest | null): Fault | null {
  const { status, received } = answer;
  if (status !== 200) return faultOfStatus(status);
  if (size !== null && received !== size) {
    if (received > size || actual === digest) return sizeFault(status, received, size);
    return { reason: "truncated", status, detail: `has ${received} bytes where ${size} are described` };
  }
  const whole = actual === null || actual === digest;
  return whole ? null : { reason: "digest-mismatch", status, detail: `hashes to ${actual}` };
}

async function hashBlob(client: RegistryClient, repository: string, blob: BlobDescription): Promise<Fault | null> {
  let hash = hasherFor(blob.digest);
  const answer = await client.blobWhole(repository, blob.digest, blob.size ?? Number.POSITIVE_INFINITY, () => {
    const fresh = hasherFor(blob.digest);
    hash = fresh;
    return (piece) => fresh?.update(piece);
  });
  return checkWhole(answer, blob, hash?.digest() ?? null);
}

/**
 * Asks for a blob as the check says and judges the answer.
 *
 * @returns null when nothing is wrong
 * @throws ExchangeError only when the run was cut short
 */
export async function checkBlob(
  client: RegistryClient,
  repository: string,
  blob: BlobDescription,
  check: Exclude<BlobCheck, "none">,
): Promise<Fault | null> {
  try {
    if (check === "hash" || (check === "last-byte" && blob.size === 0)) return await hashBlob(client, repository, blob);
    // Schema 1 tells no size, and without it there is no last byte.
    if (check === "head" || blob.size === null) {
      return checkBlobHead(await client.blobHead(repository, blob.digest), blob.size);
    }
    return checkLastByte(await client.blobLastByte(repository, blob.digest, blob.size), blob.size);
  } catch (error) {
    if (error instanceof ExchangeError && error.fault !== "cancelled") return faultOfExchange(error);
    throw error;
  }
}
