import { createHash, hash } from "node:crypto";

/**
 * A content digest, `algorithm:encoded`, for example `sha256:` and 64 lower-case hexadecimal digits.
 *
 * https://github.com/opencontainers/image-spec/blob/v1.1.0/descriptor.md#digests
 */
export type Digest = `${string}:${string}`;

/** The algorithms the specification registers, with the length of their hexadecimal form. */
const REGISTERED = { sha256: 64, sha512: 128 } as const;

export type RegisteredAlgorithm = keyof typeof REGISTERED;

const GRAMMAR = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/;
/** Nearly every digest is one, so a single test suffices. */
const SHA256 = /^sha256:[a-f0-9]{64}$/;
const LOWER_HEX = /^[a-f0-9]+$/;

/** The part before the colon: `sha256`. */
export const algorithmOf = (digest: Digest): string => digest.slice(0, digest.indexOf(":"));

/** The part after the colon: 64 hexadecimal digits for sha256. */
export const encodedOf = (digest: Digest): string => digest.slice(digest.indexOf(":") + 1);

const isRegistered = (algorithm: string): algorithm is RegisteredAlgorithm => Object.hasOwn(REGISTERED, algorithm);

/**
 * Whether the text is a digest: a registered algorithm needs its exact length in lower-case hexadecimal; an unregistered
 * one only has to match the grammar, because the specification asks implementations to accept it.
 */
export const isDigest = (text: unknown): text is Digest => {
  if (typeof text !== "string") return false;
  if (SHA256.test(text)) return true;
  if (text.length > 256 || !GRAMMAR.test(text)) return false;
  const digest = text as Digest;
  const algorithm = algorithmOf(digest);
  return !isRegistered(algorithm) || isEncoded(algorithm, encodedOf(digest));
};

const isEncoded = (algorithm: RegisteredAlgorithm, encoded: string): boolean =>
  encoded.length === REGISTERED[algorithm] && LOWER_HEX.test(encoded);

/** Like isDigest, for the two parts: a store has a million of them, and joining each just to test it is slow. */
export const isDigestOf = (algorithm: string, encoded: string): boolean =>
  isRegistered(algorithm) ? isEncoded(algorithm, encoded) : isDigest(`${algorithm}:${encoded}`);

/** Hashes a stream piece by piece, in constant memory. */
export interface Hasher {
  update(bytes: Uint8Array): void;
  /** Ends the stream; call it once. */
  digest(): Digest;
}

/** A streaming hasher of a registered algorithm. */
export const hasher = (algorithm: RegisteredAlgorithm = "sha256"): Hasher => {
  const hash = createHash(algorithm);
  return {
    update: (bytes) => void hash.update(bytes),
    digest: () => `${algorithm}:${hash.digest("hex")}`,
  };
};

/** A hasher of the digest's own algorithm; null when that algorithm is not registered and cannot be checked. */
export const hasherFor = (digest: Digest): Hasher | null => {
  const algorithm = algorithmOf(digest);
  return isRegistered(algorithm) ? hasher(algorithm) : null;
};

/** The SHA-256 digest of the bytes. */
export const sha256 = (bytes: Uint8Array | string): Digest => `sha256:${hash("sha256", bytes)}`;

/** Whether the bytes hash to the digest; also true when its algorithm is not registered and cannot be checked. */
export const matches = (bytes: Uint8Array, digest: Digest): boolean => {
  const algorithm = algorithmOf(digest);
  return !isRegistered(algorithm) || digest === `${algorithm}:${hash(algorithm, bytes)}`;
};
