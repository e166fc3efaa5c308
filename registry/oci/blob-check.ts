import type { RegistryClient } from "./client";
import { type Digest, encodedOf, hasherFor } from "./digest";
import { type CheckFailure, failureOfExchange, failureOfStatus } from "./failure";
import type { Answer } from "./http";

/**
 * How a blob is checked: not at all; that the registry announces it with the right size; that its last byte arrives, which
 * catches what a warm cache hides; or every byte.
 */
export const BLOB_CHECKS = ["none", "head", "last-byte", "hash"] as const;
export type BlobCheck = (typeof BLOB_CHECKS)[number];

/** What was verified about the blobs. */
export interface BlobsChecked {
  asked: BlobCheck;
  /** The check that the registry supports. */
  used: BlobCheck;
  /** Why it differs from the requested check, and what it leaves unverified; null where it is the same. */
  because: string | null;
}

/** What a descriptor says about a blob. */
export interface BlobDescription {
  digest: Digest;
  /** Bytes; null in a schema 1 manifest. */
  size: number | null;
}

/** One of several successive runs: the one that reads a blob's last byte, where the others only ask for its size. */
export interface Turn {
  /** From 0. */
  index: number;
  of: number;
}

/** Whether a registry supports something, as far as known. */
type Support = "unknown" | "yes" | "no";

/** Statuses of a server that does not accept a Range, or a HEAD. */
const REFUSALS: readonly number[] = [400, 403, 405, 501];

const single = (header: string | string[] | undefined): string | undefined =>
  Array.isArray(header) ? header[0] : header;

/** The Content-Length of an answer in bytes; null where it has none. */
const contentLength = (answer: Answer): number | null => {
  const text = single(answer.headers["content-length"]);
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : null;
};

export const sizeFailure = (status: number | null, actual: number, size: number): CheckFailure => ({
  reason: "size-mismatch",
  status,
  detail: `has ${actual} bytes where ${size} are described`,
});

/** Judges the answer to a HEAD, or the headers of the answer to a GET. */
export const checkBlobHead = (answer: Answer, size: number | null): CheckFailure | null => {
  if (answer.status !== 200) return failureOfStatus(answer.status);
  const length = contentLength(answer);
  return length !== null && size !== null && length !== size ? sizeFailure(200, length, size) : null;
};

/** Judges the answer to a request for the last byte, also from a server without range support. */
export const checkLastByte = (answer: Answer, size: number): CheckFailure | null => {
  const { status } = answer;
  if (status === 206) {
    const total = /\/(\d+)$/.exec(single(answer.headers["content-range"]) ?? "")?.[1];
    if (total !== undefined && Number(total) !== size) return sizeFailure(status, Number(total), size);
    return answer.received > 0 ? null : { reason: "truncated", status, detail: "its last byte does not come" };
  }
  if (status !== 200) return failureOfStatus(status);
  const length = contentLength(answer) ?? answer.received;
  if (length < size) return { reason: "truncated", status, detail: `has ${length} bytes where ${size} are described` };
  return length > size ? sizeFailure(status, length, size) : null;
};

/** Judges a blob that was received in full. @param actual what the bytes hash to; null for an unsupported algorithm */
export const checkWhole = (
  answer: Answer,
  { digest, size }: BlobDescription,
  actual: Digest | null,
): CheckFailure | null => {
  const { status, received } = answer;
  if (status !== 200) return failureOfStatus(status);
  if (size !== null && received !== size) {
    if (received > size || actual === digest) return sizeFailure(status, received, size);
    return { reason: "truncated", status, detail: `has ${received} bytes where ${size} are described` };
  }
  const whole = actual === null || actual === digest;
  return whole ? null : { reason: "digest-mismatch", status, detail: `hashes to ${actual}` };
};

/** Whether it is the blob's turn; the turn depends on the blob's digest alone. */
export const isTurnOf = (digest: Digest, { index, of }: Turn): boolean =>
  Number.parseInt(encodedOf(digest).slice(0, 8), 16) % of === index;

/**
 * Checks the blobs of one registry and learns what it supports: if it rejects Range or HEAD, the next best check is used
 * from then on.
 */
export class BlobChecker {
  readonly #client: RegistryClient;
  readonly #asked: BlobCheck;
  /** With the check "head": the blobs whose last byte is read anyway. */
  readonly #turn: Turn | null;
  #ranges: Support = "unknown";
  #heads: Support = "unknown";
  /** Whether a last byte was wanted but could not be requested; below, the same for HEAD. */
  #missedRange = false;
  #missedHead = false;

  constructor(client: RegistryClient, asked: BlobCheck, turn: Turn | null = null) {
    this.#client = client;
    this.#asked = asked;
    this.#turn = turn;
  }

  /** What has been verified so far. */
  get checked(): BlobsChecked {
    const asked = this.#asked;
    if (this.#missedRange && this.#missedHead) {
      const because =
        "the registry takes neither Range nor HEAD: that a blob begins and has its size is all that was seen";
      return { asked, used: "head", because };
    }
    if (this.#missedRange && asked === "last-byte") {
      const because = "the registry takes no Range: a blob that it announces and has lost or cut off goes unseen";
      return { asked, used: "head", because };
    }
    if (this.#missedHead && asked === "head")
      return { asked, used: "last-byte", because: "the registry takes no HEAD" };
    return { asked, used: asked, because: null };
  }

  /**
   * Requests a blob according to the check and judges the answer.
   *
   * @returns null when nothing is wrong
   * @throws ExchangeError only when the run was cut short
   */
  async check(repository: string, blob: BlobDescription): Promise<CheckFailure | null> {
    try {
      return await this.#check(repository, blob);
    } catch (error) {
      return failureOfExchange(error);
    }
  }

  #check(repository: string, blob: BlobDescription): Promise<CheckFailure | null> {
    const { size } = blob;
    const wantsByte = this.#asked === "last-byte" || (this.#turn !== null && isTurnOf(blob.digest, this.#turn));
    if (this.#asked === "hash" || (wantsByte && size === 0)) return this.#hash(repository, blob);
    // Schema 1 states no size, and without one the last byte is unknown.
    if (!wantsByte || size === null) return this.#head(repository, blob);
    return this.#lastByte(repository, blob.digest, size);
  }

  async #hash(repository: string, blob: BlobDescription): Promise<CheckFailure | null> {
    let hash = hasherFor(blob.digest);
    const answer = await this.#client.blobWhole(repository, blob.digest, blob.size ?? Number.POSITIVE_INFINITY, () => {
      const fresh = hasherFor(blob.digest);
      hash = fresh;
      return (piece) => fresh?.update(piece);
    });
    return checkWhole(answer, blob, hash?.digest() ?? null);
  }

  async #lastByte(repository: string, digest: Digest, size: number): Promise<CheckFailure | null> {
    if (this.#ranges === "no") return this.#head(repository, { digest, size });
    const answer = await this.#client.blobLastByte(repository, digest, size);
    const { status } = answer;
    // The last byte of a one-byte blob is the whole blob, and may be sent with 200.
    const ignored = status === 200 && size > 1;
    const encoded = status === 206 && answer.headers["content-encoding"] !== undefined;
    if (status === 206 && !encoded) this.#ranges = "yes";
    if (this.#ranges === "yes" || (!ignored && !encoded && !REFUSALS.includes(status)))
      return checkLastByte(answer, size);
    if (ignored) {
      this.#takesNoRange();
      return checkLastByte(answer, size);
    }
    // Is the Range rejected, or the blob?
    const failure = await this.#head(repository, { digest, size });
    if (failure === null) this.#takesNoRange();
    return failure;
  }

  #takesNoRange(): void {
    this.#ranges = "no";
    this.#missedRange = true;
  }

  async #head(repository: string, { digest, size }: BlobDescription): Promise<CheckFailure | null> {
    if (this.#heads === "no") return this.#withoutHead(repository, { digest, size });
    const answer = await this.#client.blobHead(repository, digest);
    if (answer.status === 200) this.#heads = "yes";
    if (this.#heads === "yes" || ![405, 501].includes(answer.status)) return checkBlobHead(answer, size);
    this.#heads = "no";
    this.#missedHead = true;
    return this.#withoutHead(repository, { digest, size });
  }

  /** Checks by the last byte or, where that cannot be requested, by the start of a full answer. */
  async #withoutHead(repository: string, { digest, size }: BlobDescription): Promise<CheckFailure | null> {
    if (size !== null && size > 0 && this.#ranges !== "no") {
      const answer = await this.#client.blobLastByte(repository, digest, size);
      if (answer.status === 206) this.#ranges = "yes";
      if (answer.status === 200 && size > 1) this.#takesNoRange();
      if (!REFUSALS.includes(answer.status)) return checkLastByte(answer, size);
      this.#takesNoRange();
    }
    return checkBlobHead(await this.#client.blobBeginning(repository, digest), size);
  }
}
