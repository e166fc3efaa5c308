import type { RegistryClient } from "./client";
import { type Digest, encodedOf, hasherFor } from "./digest";
import { type Fault, faultOfExchange, faultOfStatus } from "./failure";
import { type Answer, ExchangeError } from "./http";

/**
 * How a blob is checked: not at all; that it is announced with its size; that its last byte comes, which finds what a
 * warm cache hides; or every byte.
 */
export const BLOB_CHECKS = ["none", "head", "last-byte", "hash"] as const;
export type BlobCheck = (typeof BLOB_CHECKS)[number];

/** What was proved of the blobs. */
export interface BlobsChecked {
  asked: BlobCheck;
  /** The check that the registry allows for. */
  used: BlobCheck;
  /** Why it is another one, and what it leaves unproved; null where it is not. */
  because: string | null;
}

/** What is described of a blob. */
export interface BlobDescription {
  digest: Digest;
  /** Bytes; null in a schema 1 manifest. */
  size: number | null;
}

/** Of several runs in turn, the one that reads the last byte of a blob where the others only ask for its size. */
export interface Turn {
  /** From 0. */
  index: number;
  of: number;
}

/** What is known of how a registry answers to something. */
type Support = "unknown" | "yes" | "no";

/** What a server answers to a Range that it does not take, or to a HEAD. */
const REFUSALS: readonly number[] = [400, 403, 405, 501];

const single = (header: string | string[] | undefined): string | undefined =>
  Array.isArray(header) ? header[0] : header;

/** The Content-Length of an answer in bytes; null where it has none. */
const contentLength = (answer: Answer): number | null => {
  const text = single(answer.headers["content-length"]);
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : null;
};

export const sizeFault = (status: number | null, actual: number, size: number): Fault => ({
  reason: "size-mismatch",
  status,
  detail: `has ${actual} bytes where ${size} are described`,
});

/** Judges an answer to HEAD, or the beginning of one to GET. */
export const checkBlobHead = (answer: Answer, size: number | null): Fault | null => {
  if (answer.status !== 200) return faultOfStatus(answer.status);
  const length = contentLength(answer);
  return length !== null && size !== null && length !== size ? sizeFault(200, length, size) : null;
};

/** Judges an answer to a request for the last byte, or of a server that knows no ranges. */
export const checkLastByte = (answer: Answer, size: number): Fault | null => {
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
};

/** Judges a blob that was received whole. @param actual what the bytes hash to; null when nobody can tell */
export const checkWhole = (answer: Answer, { digest, size }: BlobDescription, actual: Digest | null): Fault | null => {
  const { status, received } = answer;
  if (status !== 200) return faultOfStatus(status);
  if (size !== null && received !== size) {
    if (received > size || actual === digest) return sizeFault(status, received, size);
    return { reason: "truncated", status, detail: `has ${received} bytes where ${size} are described` };
  }
  const whole = actual === null || actual === digest;
  return whole ? null : { reason: "digest-mismatch", status, detail: `hashes to ${actual}` };
};

/** Whether it is the blob's turn: each has one, whatever the others are. */
export const isTurnOf = (digest: Digest, { index, of }: Turn): boolean =>
  Number.parseInt(encodedOf(digest).slice(0, 8), 16) % of === index;

/**
 * Checks the blobs of one registry, and learns on the way what it answers: where it takes no Range, or no HEAD, the next best
 * check is used from then on.
 */
export class BlobChecker {
  readonly #client: RegistryClient;
  readonly #asked: BlobCheck;
  /** With the check "head": whose last bytes are read all the same. */
  readonly #turn: Turn | null;
  #ranges: Support = "unknown";
  #heads: Support = "unknown";
  /** Whether a last byte was wanted and could not be asked for, and so with HEAD. */
  #missedRange = false;
  #missedHead = false;

  constructor(client: RegistryClient, asked: BlobCheck, turn: Turn | null = null) {
    this.#client = client;
    this.#asked = asked;
    this.#turn = turn;
  }

  /** What was proved so far. */
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
   * Asks for a blob as the check says and judges the answer.
   *
   * @returns null when nothing is wrong
   * @throws ExchangeError only when the run was cut short
   */
  async check(repository: string, blob: BlobDescription): Promise<Fault | null> {
    try {
      return await this.#check(repository, blob);
    } catch (error) {
      if (error instanceof ExchangeError && error.fault !== "cancelled") return faultOfExchange(error);
      throw error;
    }
  }

  #check(repository: string, blob: BlobDescription): Promise<Fault | null> {
    const { size } = blob;
    const wantsByte = this.#asked === "last-byte" || (this.#turn !== null && isTurnOf(blob.digest, this.#turn));
    if (this.#asked === "hash" || (wantsByte && size === 0)) return this.#hash(repository, blob);
    // Schema 1 tells no size, and without it there is no last byte.
    if (!wantsByte || size === null) return this.#head(repository, blob);
    return this.#lastByte(repository, blob.digest, size);
  }

  async #hash(repository: string, blob: BlobDescription): Promise<Fault | null> {
    let hash = hasherFor(blob.digest);
    const answer = await this.#client.blobWhole(repository, blob.digest, blob.size ?? Number.POSITIVE_INFINITY, () => {
      const fresh = hasherFor(blob.digest);
      hash = fresh;
      return (piece) => fresh?.update(piece);
    });
    return checkWhole(answer, blob, hash?.digest() ?? null);
  }

  async #lastByte(repository: string, digest: Digest, size: number): Promise<Fault | null> {
    if (this.#ranges === "no") return this.#head(repository, { digest, size });
    const answer = await this.#client.blobLastByte(repository, digest, size);
    const { status } = answer;
    // The last byte of one is the whole, and may be sent as such.
    const ignored = status === 200 && size > 1;
    const encoded = status === 206 && answer.headers["content-encoding"] !== undefined;
    if (status === 206 && !encoded) this.#ranges = "yes";
    if (this.#ranges === "yes" || (!ignored && !encoded && !REFUSALS.includes(status)))
      return checkLastByte(answer, size);
    if (ignored) {
      this.#takesNoRange();
      return checkLastByte(answer, size);
    }
    // Is it the Range that is refused, or the blob?
    const fault = await this.#head(repository, { digest, size });
    if (fault === null) this.#takesNoRange();
    return fault;
  }

  #takesNoRange(): void {
    this.#ranges = "no";
    this.#missedRange = true;
  }

  async #head(repository: string, { digest, size }: BlobDescription): Promise<Fault | null> {
    if (this.#heads === "no") return this.#withoutHead(repository, { digest, size });
    const answer = await this.#client.blobHead(repository, digest);
    if (answer.status === 200) this.#heads = "yes";
    if (this.#heads === "yes" || ![405, 501].includes(answer.status)) return checkBlobHead(answer, size);
    this.#heads = "no";
    this.#missedHead = true;
    return this.#withoutHead(repository, { digest, size });
  }

  /** By the last byte, or where that cannot be asked for, by how the whole begins. */
  async #withoutHead(repository: string, { digest, size }: BlobDescription): Promise<Fault | null> {
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
