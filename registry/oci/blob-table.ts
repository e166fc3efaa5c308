import { randomInt } from "node:crypto";
import { type Digest, sha256 } from "./digest";

/** 32-bit words of a SHA-256 digest. */
const WORDS = 8;
const SHA256 = "sha256:";
const FREE = -1;
const UNKNOWN_SIZE = -1;

/** Represents a config or layer, because a million objects would not fit in memory; see BlobTable. */
export type BlobNumber = number;

/**
 * The distinct blobs of a repository, numbered from 0 in the order of their arrival. A repository may have a million of
 * them: in typed arrays a blob takes some 60 bytes, as a string in a Map three times as much.
 */
export class BlobTable {
  /** The digests, 8 words each. */
  #words = new Int32Array(WORDS * 256);
  #sizes = new Float64Array(256);
  /** Open addressing with linear probing: blob numbers, with at least half of the slots free. */
  #slots = new Int32Array(512).fill(FREE);
  #count = 0;
  /** Digests of other algorithms; the words hold a hash of the digest instead. */
  readonly #others = new Map<number, Digest>();
  /** Random, so that an attacker who chooses digests cannot force collisions. */
  readonly #seeds = Array.from({ length: WORDS }, () => 2 * randomInt(2 ** 31) + 1);
  readonly #bytes = Buffer.alloc(4 * WORDS);
  readonly #sought = new Int32Array(this.#bytes.buffer, this.#bytes.byteOffset, WORDS);

  get count(): number {
    return this.#count;
  }

  /** The number of a blob; a new one if it is not known yet. @param size bytes, null if unknown */
  add(digest: Digest, size: number | null): BlobNumber {
    const ours = digest.startsWith(SHA256);
    this.#bytes.write((ours ? digest : sha256(digest)).slice(SHA256.length), "hex");
    const slot = this.#slotOf(this.#sought, 0);
    const known = this.#slots[slot] as number;
    if (known !== FREE) return known;

    const number = this.#count++;
    this.#slots[slot] = number;
    this.#words.set(this.#sought, WORDS * number);
    this.#sizes[number] = size ?? UNKNOWN_SIZE;
    if (!ours) this.#others.set(number, digest);
    if (WORDS * this.#count === this.#words.length) this.#grow();
    return number;
  }

  digest(number: number): Digest {
    const other = this.#others.get(number);
    if (other !== undefined) return other;
    const { buffer, byteOffset } = this.#words;
    return `${SHA256}${Buffer.from(buffer, byteOffset + 4 * WORDS * number, 4 * WORDS).toString("hex")}`;
  }

  /** Bytes, as first described; null if no descriptor stated a size. */
  size(number: number): number | null {
    const size = this.#sizes[number] ?? UNKNOWN_SIZE;
    return size === UNKNOWN_SIZE ? null : size;
  }

  /** The slot of a digest, or the free one where it belongs. */
  #slotOf(words: Int32Array, at: number): number {
    let hash = 0;
    for (let each = 0; each < WORDS; each++) {
      hash = Math.imul(hash ^ (words[at + each] as number), this.#seeds[each] as number);
      hash ^= hash >>> 15;
    }
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    for (let number = this.#slots[slot] as number; number !== FREE; number = this.#slots[slot] as number) {
      if (this.#equals(words, at, WORDS * number)) return slot;
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #equals(words: Int32Array, at: number, stored: number): boolean {
    for (let each = 0; each < WORDS; each++) if (words[at + each] !== this.#words[stored + each]) return false;
    return true;
  }

  #grow(): void {
    const words = new Int32Array(2 * this.#words.length);
    words.set(this.#words);
    this.#words = words;
    const sizes = new Float64Array(2 * this.#sizes.length);
    sizes.set(this.#sizes);
    this.#sizes = sizes;
    this.#slots = new Int32Array(2 * this.#slots.length).fill(FREE);
    for (let number = 0; number < this.#count; number++) this.#slots[this.#slotOf(words, WORDS * number)] = number;
  }
}
