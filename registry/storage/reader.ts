import { readSync } from "node:fs";
import { algorithmOf, type Digest, hasherFor, isDigest, isDigestOf, matches } from "../oci/digest";
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
import { isRepository } from "../oci/reference";
import { Disk, type FolderListing, readInto, type Strange, Unreadable } from "./disk";
import { ALGORITHMS, OF_A_REPOSITORY, type RepositoryLayout, type StorageLayout } from "./layout";

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

/**
 * One look at a store, whatever its state: what is absent, empty, cut off or broken is an answer here, and the only
 * exception is Unreadable. Synchronous, because a scan is a million small system calls and a promise for each costs more than the call.
 */
export class StoreReader {
  readonly #disk: Disk;
  readonly #buffer = Buffer.allocUnsafe(HASH_BYTES);
  readonly #sizes = new Map<Digest, number | null>();

  constructor(readonly layout: StorageLayout) {
    this.#disk = new Disk(layout);
  }

  /** Folders that could not be listed, so that what is below them is unknown: a look with any is not complete. */
  get unreadable(): string[] {
    return this.#disk.unreadable;
  }

  /** Every repository on the disk, also those the catalog hides, in ascending order. */
  *repositories(): Generator<RepositoryLayout> {
    yield* this.#repositoriesBelow("");
  }

  *#repositoriesBelow(parent: string): Generator<RepositoryLayout> {
    const folder = parent === "" ? this.layout.repositories : this.layout.repository(parent).folder;
    const { folders } = this.#disk.list(folder);
    if (parent !== "" && folders.some((name) => OF_A_REPOSITORY.includes(name))) {
      yield this.layout.repository(parent);
    }
    for (const name of folders.filter((each) => !each.startsWith("_")).sort()) {
      const repository = parent === "" ? name : `${parent}/${name}`;
      if (isRepository(repository)) yield* this.#repositoriesBelow(repository);
    }
  }

  /** Every digest that has a folder in a folder of links; anything else in there is not the registry's. */
  *digests(folder: string): Generator<Digest> {
    for (const algorithm of this.#folders(folder)) yield* this.#digestsIn(algorithm, `${folder}/${algorithm}`);
  }

  /** Every tag; a file among them is listed by the registry too, as a tag that leads nowhere. */
  tags(repository: RepositoryLayout): string[] {
    const { folders, others } = this.#disk.list(repository.tags);
    return [...folders, ...others.keys()].filter((name) => TAG.test(name) && others.get(name) !== "link");
  }

  /** What lies among the tags and cannot be one; the registry lists it all the same. */
  foreignTags(repository: RepositoryLayout): string[] {
    const { folders, others } = this.#disk.list(repository.tags);
    return [...folders, ...others.keys()].filter((name) => !TAG.test(name));
  }

  uploads(repository: RepositoryLayout): string[] {
    return this.#folders(repository.uploads);
  }

  /** The folders that hold blobs, `blobs/<algorithm>/<first two>`. */
  *blobFolders(): Generator<string> {
    for (const algorithm of this.#folders(this.layout.blobs)) {
      if (!ALGORITHMS.includes(algorithm)) continue;
      for (const start of this.#folders(`${this.layout.blobs}/${algorithm}`)) {
        yield `${this.layout.blobs}/${algorithm}/${start}`;
      }
    }
  }

  /** As Disk.knowBlobs. */
  knowBlobs(strangers: readonly string[]): void {
    this.#disk.knowBlobs(strangers);
  }

  *#digestsIn(algorithm: string, folder: string): Generator<Digest> {
    for (const encoded of this.#folders(folder)) {
      if (isDigestOf(algorithm, encoded)) yield `${algorithm}:${encoded}`;
    }
  }

  /** @param expected what it should say, which then is not parsed */
  link(path: string, expected?: Digest): Link {
    let text: string;
    try {
      const read = this.#disk.readBeginning(path, this.#buffer, LINK_BYTES);
      if (read === null) return "absent";
      text = read === "special" ? "" : this.#buffer.toString("latin1", 0, read);
    } catch (error) {
      if (error instanceof Unreadable) throw error;
      return "broken";
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
    const known = this.#sizes.get(digest);
    if (known !== undefined) return known;
    const size = this.#disk.sizeAmongMany(this.layout.blobData(digest));
    this.#sizes.set(digest, size);
    return size;
  }

  /**
   * Reads a blob as a manifest and checks that it hashes to its name.
   *
   * @param digest the name it is asked for by
   * @param target where its link leads: another digest where the client named it by an algorithm other than sha256
   */
  manifest(digest: Digest, target: Digest = digest): StoredManifest {
    let size = 0;
    let bytes: Uint8Array | null | "special";
    try {
      bytes = this.#disk.open(this.layout.blobData(target), (file, stats) => {
        size = stats.size;
        return size > MANIFEST_BYTES ? null : readInto(file, this.#room(size));
      });
    } catch (error) {
      if (error instanceof Unreadable) throw error;
      return { state: "unreadable", size };
    }
    if (bytes === null && size > 0) return { state: "unreadable", size };
    if (bytes === null || bytes === "special") return { state: "absent" };
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
    try {
      const read = this.#disk.open(this.layout.blobData(digest), (file) => {
        if (hash === null) return true;
        for (let bytes = readSync(file, this.#buffer); bytes > 0; bytes = readSync(file, this.#buffer)) {
          hash.update(this.#buffer.subarray(0, bytes));
        }
        return hash.digest() === digest;
      });
      return read === true;
    } catch (error) {
      if (error instanceof Unreadable) throw error;
      return false;
    }
  }

  /** The bytes of a blob, piece by piece, each valid until the next is asked for; nothing of one that is not there. */
  pieces(digest: Digest, length: number = HASH_BYTES): Generator<Uint8Array> {
    return this.#disk.pieces(this.layout.blobData(digest), length);
  }

  /** Bytes of a blob's data at this moment, or null without it. */
  sizeNow(digest: Digest): number | null {
    return this.#disk.size(this.layout.blobData(digest));
  }

  /** The beginning of a file that is neither a link nor a blob, as text; empty without it, or where it is not a file. */
  text(path: string, most = 1024): string {
    try {
      const bytes = this.#disk.open(path, (file) => readInto(file, Buffer.alloc(most)));
      return bytes === null || bytes === "special" ? "" : Buffer.from(bytes).toString("utf8");
    } catch {
      return "";
    }
  }

  /** When a file was last written, or a folder got or lost an entry, in milliseconds since the epoch; null without it. */
  changedAt(path: string): number | null {
    return this.#disk.stat(path)?.mtimeMs ?? null;
  }

  /** Whether something exists at that path. One that is not UTF-8 cannot be asked for, and is looked for among its neighbours. */
  isThere(path: string): boolean {
    if (this.changedAt(path) !== null) return true;
    const slash = path.lastIndexOf("/");
    const name = path.slice(slash + 1);
    if (!/\p{Cs}/u.test(name)) return false;
    const { folders, others } = this.#disk.list(path.slice(0, slash));
    return folders.includes(name) || others.has(name);
  }

  /** When it was made, in milliseconds since the epoch; 0 where the file system does not tell, or nothing is there. */
  bornAt(path: string): number {
    return this.#disk.stat(path)?.birthtimeMs ?? 0;
  }

  isFolder(path: string): boolean {
    return this.#disk.isFolder(path);
  }

  /** What a folder holds. */
  list(folder: string): FolderListing {
    return this.#disk.list(folder);
  }

  isLink(path: string): boolean {
    return this.#disk.stat(path)?.isSymbolicLink() ?? false;
  }

  /** Where a path leads in the end; null where it leads nowhere. */
  targetOf(path: string): string | null {
    return this.#disk.targetOf(path);
  }

  /** Tells two folders apart, whatever their names; null without one. */
  identityOf(folder: string): string | null {
    const found = this.#disk.stat(folder);
    return found?.isDirectory() ? `${found.dev}:${found.ino}` : null;
  }

  /** What strange things were met at or below a path since they were last asked for. */
  takeStrange(path: string): Strange[] {
    return this.#disk.takeStrange(path);
  }

  #room(size: number): Uint8Array {
    return size <= HASH_BYTES ? this.#buffer.subarray(0, size) : Buffer.allocUnsafe(size);
  }

  #folders(folder: string): string[] {
    return this.#disk.list(folder).folders;
  }
}

/** https://distribution.github.io/distribution/spec/api/: a tag is at most 128 characters. */
const TAG = /^\w[\w.-]{0,127}$/;

/** What the registry takes for a digest in a link: go-digest knows no other algorithm, and answers 500. */
const LINKED = /^sha(?:256|384|512):/;

const SERVED_TYPES: unknown[] = [undefined, "", OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST];

/** Whether the registry serves the bytes as a manifest, whatever they name: manifestStore.Get of distribution. */
const isServedManifest = (bytes: Uint8Array): boolean => {
  try {
    const { schemaVersion, mediaType } = JSON.parse(new TextDecoder().decode(bytes));
    return schemaVersion === 1 || (schemaVersion === 2 && SERVED_TYPES.includes(mediaType));
  } catch {
    return false;
  }
};
