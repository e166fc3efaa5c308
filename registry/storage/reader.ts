import { closeSync, type Dirent, fstatSync, openSync, readdirSync, readSync, realpathSync, statSync } from "node:fs";
import { algorithmOf, type Digest, hasherFor, isDigest, matches } from "../oci/digest";
import {
  DOCKER_LIST,
  DOCKER_MANIFEST,
  MalformedManifest,
  type Manifest,
  OCI_INDEX,
  OCI_MANIFEST,
  parseManifest,
  schema1Payload,
} from "../oci/manifest";
import type { RepositoryLayout, StorageLayout } from "./layout";
import { StorageRefusal } from "./refusal";

/**
 * What a link file says: the digest it leads to; that there is none; or that it is there and the registry answers 500 for
 * it, because it is empty, not exactly a digest (one newline is enough), or a disk that fails.
 */
export type Link = Digest | "absent" | "broken";

/** What a blob holds where a manifest should be. */
export type StoredManifest =
  | { state: "absent" }
  /** There is data, and it is no manifest: cut off, not JSON, unreadable. The registry answers 500. */
  | { state: "unreadable"; size: number }
  /** A manifest, but not that whose digest it is stored under; the registry serves it without a word. */
  | { state: "altered"; size: number }
  | { state: "whole"; size: number; manifest: Manifest };

/** No digest is longer (registry/oci/digest.ts), so a longer file is no link. */
const LINK_BYTES = 257;

/** What a registry accepts at most as a manifest: `maxManifestBodySize` of distribution. */
export const MANIFEST_BYTES = 4 * 1024 * 1024;

const HASH_BYTES = 1024 * 1024;

/** This user may not look: nobody can tell what is there. What fails otherwise fails for the registry too. */
export class Unreadable extends StorageRefusal {
  constructor(
    readonly path: string,
    code = "EACCES",
  ) {
    super("unreadable", `${path} cannot be read (${code})`, "run as a user who may read the whole store");
  }
}

function refuseUnpermitted(path: string, error: unknown): void {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "EACCES" || code === "EPERM") throw new Unreadable(path, code);
}

/**
 * One look at a store, whatever its state: what is absent, empty, cut off or broken is an answer here, and the only
 * exception is Unreadable. Synchronous, because a scan is a million small system calls and a promise for each costs more than the call.
 */
export class StoreReader {
  /** Folders that could not be listed, so that what is below them is unknown: a look with any is not complete. */
  readonly unreadable: string[] = [];

  private readonly buffer = Buffer.allocUnsafe(HASH_BYTES);
  private readonly sizes = new Map<Digest, number | null>();

  constructor(readonly layout: StorageLayout) {}

  /** Every repository on the disk, also those the catalog hides, in ascending order. */
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

  /** Every tag. */
  tags(repository: RepositoryLayout): string[] {
    return this.list(repository.tags).filter((name) => TAG.test(name));
  }

  /** What lies among the tags and cannot be one; the registry lists it all the same. */
  foreignTags(repository: RepositoryLayout): string[] {
    return this.list(repository.tags).filter((name) => !TAG.test(name));
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

  /** @param expected what it should say, which then is not parsed */
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
      refuseUnpermitted(path, error);
      return isAbsence(error) ? "absent" : "broken";
    }
    return text === expected || (LINKED.test(text) && isDigest(text)) ? (text as Digest) : "broken";
  }

  /** A link that has to lead to a digest: one to another digest of the same algorithm serves the wrong content. */
  linkTo(path: string, digest: Digest): Link {
    const link = this.link(path, digest);
    if (link === "absent" || link === "broken") return link;
    // The same string, so that it is held once.
    if (link === digest) return digest;
    return algorithmOf(link) === algorithmOf(digest) ? "broken" : link;
  }

  /** The registry looks for a manifest in the revisions and then in the layers: manifestLinkPathFns of distribution. */
  manifestLink(repository: RepositoryLayout, digest: Digest): Link {
    const link = this.linkTo(repository.revisionLink(digest), digest);
    return link === "absent" ? this.linkTo(repository.layerLink(digest), digest) : link;
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
    const path = this.layout.blobData(target);
    let bytes: Uint8Array;
    let size = 0;
    try {
      const file = openSync(path, "r");
      try {
        const found = fstatSync(file);
        if (!found.isFile()) return { state: "absent" };
        size = found.size;
        if (size > MANIFEST_BYTES) return { state: "unreadable", size };
        bytes = this.readAll(file, size);
      } finally {
        closeSync(file);
      }
    } catch (error) {
      refuseUnpermitted(path, error);
      return isAbsence(error) ? { state: "absent" } : { state: "unreadable", size };
    }
    try {
      const manifest = parseManifest(bytes);
      const hashed = manifest.kind === "schema1" && !matches(bytes, digest) ? schema1Payload(bytes) : bytes;
      return matches(hashed, digest) ? { state: "whole", size, manifest } : { state: "altered", size };
    } catch (error) {
      if (!(error instanceof MalformedManifest)) throw error;
      return { state: isServedManifest(bytes) && !matches(bytes, digest) ? "altered" : "unreadable", size };
    }
  }

  /** Whether a blob's data is there and hashes to its name; read piece by piece. */
  isIntact(digest: Digest): boolean {
    const hash = hasherFor(digest);
    const path = this.layout.blobData(digest);
    try {
      const file = openSync(path, "r");
      try {
        if (hash === null) return true;
        for (let read = readSync(file, this.buffer); read > 0; read = readSync(file, this.buffer)) {
          hash.update(this.buffer.subarray(0, read));
        }
      } finally {
        closeSync(file);
      }
    } catch (error) {
      refuseUnpermitted(path, error);
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

/** What the registry takes for a digest in a link: go-digest knows no other algorithm, and answers 500. */
const LINKED = /^sha(?:256|384|512):/;

const OF_A_REPOSITORY = ["_layers", "_manifests", "_uploads"];

const SERVED_TYPES: unknown[] = [undefined, "", OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST];

/** Whether the registry serves the bytes as a manifest, whatever they name: manifestStore.Get of distribution. */
function isServedManifest(bytes: Uint8Array): boolean {
  try {
    const { schemaVersion, mediaType } = JSON.parse(new TextDecoder().decode(bytes));
    return schemaVersion === 1 || (schemaVersion === 2 && SERVED_TYPES.includes(mediaType));
  } catch {
    return false;
  }
}

/** A path that does not exist, also because something on the way is no folder. */
function isAbsence(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === "ENOENT" || code === "ENOTDIR";
}

/** @throws Unreadable */
export function fileSize(path: string): number | null {
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    return found?.isFile() ? found.size : null;
  } catch (error) {
    refuseUnpermitted(path, error);
    return null;
  }
}

/** @throws Unreadable */
export function isFolder(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch (error) {
    refuseUnpermitted(path, error);
    return false;
  }
}

/** A folder, or a symbolic link to one that it does not lie in: following that would never end. */
function isFolderBelow(folder: string, entry: Dirent): boolean {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  const path = `${folder}/${entry.name}`;
  return isFolder(path) && !`${realpathSync(folder)}/`.startsWith(`${realpathSync(path)}/`);
}
