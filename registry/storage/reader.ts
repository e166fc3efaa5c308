import { closeSync, type Dirent, fstatSync, openSync, readdirSync, readSync, realpathSync, statSync } from "node:fs";
import { type Digest, hasherFor, isDigest, matches } from "../oci/digest";
import { MalformedManifest, type Manifest, parseManifest, schema1Payload } from "../oci/manifest";
import type { RepositoryLayout, StorageLayout } from "./layout";

/**
 * What a link file says: the digest it leads to; that there is none; or that it is there and the registry answers 500 for
 * it, because it is empty, not exactly a digest (one newline is enough), or unreadable.
 */
export type Link = Digest | "absent" | "broken";

/** What a blob holds where a manifest should be. */
export type StoredManifest =
  | { state: "absent" }
  /** There is data, and it is no manifest: cut off, not JSON, unreadable. */
  | { state: "unreadable"; size: number }
  /** JSON, but not that whose digest it is stored under; the registry serves it without a word. */
  | { state: "altered"; size: number }
  | { state: "whole"; size: number; manifest: Manifest };

/** No digest is longer (registry/oci/digest.ts), so a longer file is no link. */
const LINK_BYTES = 257;

/** What a registry accepts at most as a manifest: `maxManifestBodySize` of distribution. */
export const MANIFEST_BYTES = 4 * 1024 * 1024;

const HASH_BYTES = 1024 * 1024;

/**
 * One look at a store, whatever its state: what is absent, empty, cut off or unreadable is an answer here and never an
 * exception. Synchronous, because a scan is a million small system calls and a promise for each costs more than the call.
 */
export class StoreReader {
  /** Folders that could not be listed, so that what is below them is unknown: a look with any is not complete. */
  readonly unreadable: string[] = [];

  private readonly buffer = Buffer.allocUnsafe(HASH_BYTES);
  private readonly sizes = new Map<Digest, number | null>();

  constructor(readonly layout: StorageLayout) {}

  /** Every repository on the disk, also those the catalogue hides, in ascending order. */
  *repositories(): Generator<RepositoryLayout> {
    yield* this.repositoriesBelow("");
  }

  private *repositoriesBelow(parent: string): Generator<RepositoryLayout> {
    const folder = parent === "" ? this.layout.repositories : this.layout.repository(parent).folder;
    const entries = this.entries(folder);
    if (parent !== "" && entries.some(({ name }) => OF_A_REPOSITORY.includes(name))) {
      yield this.layout.repository(parent);
    }
    const below = entries.filter((entry) => !entry.name.startsWith("_") && isFolderBelow(folder, entry));
    for (const name of below.map((entry) => entry.name).sort()) {
      yield* this.repositoriesBelow(parent === "" ? name : `${parent}/${name}`);
    }
  }

  /** Every digest that has a folder in a folder of links; anything else in there is not the registry's. */
  *digests(folder: string): Generator<Digest> {
    for (const algorithm of this.list(folder)) yield* this.digestsIn(algorithm, `${folder}/${algorithm}`);
  }

  /** Every tag that the registry lists. */
  tags(repository: RepositoryLayout): string[] {
    return this.list(repository.tags).filter((name) => TAG.test(name));
  }

  uploads(repository: RepositoryLayout): string[] {
    return this.list(repository.uploads);
  }

  /** The folders that hold blobs, `blobs/<algorithm>/<first two>`. */
  *blobFolders(): Generator<string> {
    for (const algorithm of this.list(this.layout.blobs)) {
      for (const start of this.list(`${this.layout.blobs}/${algorithm}`)) {
        yield `${this.layout.blobs}/${algorithm}/${start}`;
      }
    }
  }

  /** The blobs of one such folder. */
  blobsIn(folder: string): Digest[] {
    return [...this.digestsIn(folder.slice(this.layout.blobs.length + 1, folder.lastIndexOf("/")), folder)];
  }

  private *digestsIn(algorithm: string, folder: string): Generator<Digest> {
    const form = HEXADECIMAL[algorithm];
    for (const encoded of this.list(folder)) {
      const digest: Digest = `${algorithm}:${encoded}`;
      if (form === undefined ? isDigest(digest) : form.test(encoded)) yield digest;
    }
  }

  /** @param expected what it should say, which then is not looked at further */
  link(path: string, expected?: Digest): Link {
    let text: string;
    try {
      const file = openSync(path, "r");
      try {
        text = this.buffer.toString("latin1", 0, readSync(file, this.buffer, 0, LINK_BYTES, 0));
      } finally {
        closeSync(file);
      }
    } catch (error) {
      return isAbsence(error) ? "absent" : "broken";
    }
    return text === expected || isDigest(text) ? (text as Digest) : "broken";
  }

  /** Bytes of a blob's data, or null without it. Each blob is looked at once in a look. */
  blobSize(digest: Digest): number | null {
    const known = this.sizes.get(digest);
    if (known !== undefined) return known;
    const size = fileSize(this.layout.blobData(digest));
    this.sizes.set(digest, size);
    return size;
  }

  /**
   * Reads a blob as a manifest and checks that it hashes to its name.
   *
   * @param digest the name it is asked for by
   * @param target where its link leads: another digest where the client named it by an algorithm other than sha256
   */
  manifest(digest: Digest, target: Digest = digest): StoredManifest {
    let bytes: Uint8Array;
    let size = 0;
    try {
      const file = openSync(this.layout.blobData(target), "r");
      try {
        size = fstatSync(file).size;
        if (size > MANIFEST_BYTES) return { state: "unreadable", size };
        bytes = this.readAll(file, size);
      } finally {
        closeSync(file);
      }
    } catch (error) {
      return isAbsence(error) ? { state: "absent" } : { state: "unreadable", size };
    }
    try {
      const manifest = parseManifest(bytes);
      const hashed = manifest.kind === "schema1" && !matches(bytes, digest) ? schema1Payload(bytes) : bytes;
      return matches(hashed, digest) ? { state: "whole", size, manifest } : { state: "altered", size };
    } catch (error) {
      if (!(error instanceof MalformedManifest)) throw error;
      return { state: isJson(bytes) && !matches(bytes, digest) ? "altered" : "unreadable", size };
    }
  }

  /** Whether a blob's data is there and hashes to its name; read piece by piece. */
  isIntact(digest: Digest): boolean {
    const hash = hasherFor(digest);
    try {
      const file = openSync(this.layout.blobData(digest), "r");
      try {
        if (hash === null) return true;
        for (let read = readSync(file, this.buffer); read > 0; read = readSync(file, this.buffer)) {
          hash.update(this.buffer.subarray(0, read));
        }
      } finally {
        closeSync(file);
      }
    } catch {
      return false;
    }
    return hash?.digest() === digest;
  }

  private readAll(file: number, size: number): Uint8Array {
    const bytes = size <= HASH_BYTES ? this.buffer.subarray(0, size) : Buffer.allocUnsafe(size);
    let filled = 0;
    while (filled < size) {
      const read = readSync(file, bytes, filled, size - filled, null);
      if (read === 0) break;
      filled += read;
    }
    return bytes.subarray(0, filled);
  }

  private list(folder: string): string[] {
    return this.listed(folder, () => readdirSync(folder));
  }

  private entries(folder: string): Dirent[] {
    return this.listed(folder, () => readdirSync(folder, { withFileTypes: true }));
  }

  private listed<T>(folder: string, read: () => T[]): T[] {
    try {
      return read();
    } catch (error) {
      if (!isAbsence(error)) this.unreadable.push(folder);
      return [];
    }
  }
}

/** The encoded part of a digest, as isDigest has it: a store has a million of them. */
const HEXADECIMAL: Record<string, RegExp> = { sha256: /^[a-f0-9]{64}$/, sha512: /^[a-f0-9]{128}$/ };

/** https://distribution.github.io/distribution/spec/api/: a tag is at most 128 characters. */
const TAG = /^\w[\w.-]{0,127}$/;

const OF_A_REPOSITORY = ["_layers", "_manifests", "_uploads"];

function isJson(bytes: Uint8Array): boolean {
  try {
    JSON.parse(new TextDecoder().decode(bytes));
    return true;
  } catch {
    return false;
  }
}

/** A path that does not exist, also because something on the way is no folder. */
function isAbsence(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === "ENOENT" || code === "ENOTDIR";
}

export function fileSize(path: string): number | null {
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    return found?.isFile() ? found.size : null;
  } catch {
    return null;
  }
}

export function isFolder(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch {
    return false;
  }
}

/** A folder, or a symbolic link to one that it does not lie in: following that would never end. */
function isFolderBelow(folder: string, entry: Dirent): boolean {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  const path = `${folder}/${entry.name}`;
  return isFolder(path) && !`${realpathSync(folder)}/`.startsWith(`${realpathSync(path)}/`);
}
