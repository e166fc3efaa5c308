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
 * The content of a link file: the digest it leads to; that it does not exist; or that it exists but the registry answers
 * 500, because it is empty, not exactly a digest (an extra newline is enough), or on a failing disk.
 */
export type Link = Digest | "absent" | "broken";

/** The content of a blob where a manifest is expected. */
export type StoredManifest =
  | { state: "absent" }
  /** There is data, but it is not a manifest: cut off, not JSON, unreadable. The registry answers 500. */
  | { state: "unreadable"; size: number }
  /** A manifest, but with another digest than the one it is stored under; the registry serves it without complaint. */
  | { state: "altered"; size: number }
  | { state: "whole"; size: number; manifest: Manifest };

/** No digest is longer (registry/oci/digest.ts), so a longer file is not a link. */
const LINK_BYTES = 257;

/** The largest manifest that a registry accepts: `maxManifestBodySize` of distribution. */
export const MANIFEST_BYTES = 4 * 1024 * 1024;

const HASH_BYTES = 1024 * 1024;

/**
 * One pass over a store in any condition: absent, empty, truncated or broken files are ordinary results here, and the only
 * exception is Unreadable. Synchronous, because a scan makes a million small system calls, and promises cost more than these.
 */
export class StoreReader {
  readonly #disk: Disk;
  readonly #buffer = Buffer.allocUnsafe(HASH_BYTES);
  readonly #sizes = new Map<Digest, number | null>();

  constructor(readonly layout: StorageLayout) {
    this.#disk = new Disk(layout);
  }

  /** Folders that could not be listed, so their contents are unknown and the pass is incomplete. */
  get unreadable(): string[] {
    return this.#disk.unreadable;
  }

  /** Every repository on the disk, including those hidden from the catalog, in ascending order. */
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

  /**
   * Every digest that has a folder in a link folder.
   *
   * @param foreign gets the paths of the other folders there, which are not the registry's
   */
  *digests(folder: string, foreign?: string[]): Generator<Digest> {
    for (const algorithm of this.#folders(folder)) {
      for (const encoded of this.#folders(`${folder}/${algorithm}`)) {
        if (isDigestOf(algorithm, encoded)) yield `${algorithm}:${encoded}`;
        else foreign?.push(`${folder}/${algorithm}/${encoded}`);
      }
    }
  }

  /** Every digest with a layer link, read as soon as its folder is listed. */
  *layerLinks(repository: RepositoryLayout): Generator<[Digest, Link]> {
    for (const digest of this.digests(repository.layers)) {
      yield [digest, this.linkTo(repository.layerLink(digest), digest, true)];
    }
  }

  /** Every tag; the registry also lists a file among them, as a tag that leads nowhere. */
  tags(repository: RepositoryLayout): string[] {
    const { folders, others } = this.#disk.list(repository.tags);
    return [...folders, ...others.keys()].filter((name) => TAG.test(name) && others.get(name) !== "link");
  }

  /** Entries among the tags that are not valid tags; the registry lists them nevertheless. */
  foreignTags(repository: RepositoryLayout): string[] {
    const { folders, others } = this.#disk.list(repository.tags);
    return [...folders, ...others.keys()].filter((name) => !TAG.test(name));
  }

  uploads(repository: RepositoryLayout): string[] {
    return this.#folders(repository.uploads);
  }

  /** The folders that contain blobs, `blobs/<algorithm>/<first two>`. */
  *blobFolders(): Generator<string> {
    for (const algorithm of this.#folders(this.layout.blobs)) {
      if (!ALGORITHMS.includes(algorithm)) continue;
      for (const start of this.#folders(`${this.layout.blobs}/${algorithm}`)) {
        yield `${this.layout.blobs}/${algorithm}/${start}`;
      }
    }
  }

  /** Like Disk.knowBlobs. */
  knowBlobs(strangers: readonly string[]): void {
    this.#disk.knowBlobs(strangers);
  }

  /**
   * @param expected the likely content, which then need not be parsed
   * @param isListed as Disk.readBeginning
   */
  link(path: string, expected?: Digest, isListed = false): Link {
    let text: string;
    try {
      const read = this.#disk.readBeginning(path, this.#buffer, LINK_BYTES, isListed);
      if (read === null) return "absent";
      text = read === "special" ? "" : this.#buffer.toString("latin1", 0, read);
    } catch (error) {
      if (error instanceof Unreadable) throw error;
      return "broken";
    }
    return text === expected || (LINKED.test(text) && isDigest(text)) ? (text as Digest) : "broken";
  }

  /** A link that must lead to a digest: one to another digest of the same algorithm serves the wrong content. */
  linkTo(path: string, digest: Digest, isListed = false): Link {
    const link = this.link(path, digest, isListed);
    if (link === "absent" || link === "broken") return link;
    // The caller's string, so that only one copy stays in memory.
    if (link === digest) return digest;
    return algorithmOf(link) === algorithmOf(digest) ? "broken" : link;
  }

  /** The registry looks for a manifest in the revisions and then in the layers: manifestLinkPathFns of distribution. */
  manifestLink(repository: RepositoryLayout, digest: Digest): Link {
    const link = this.linkTo(repository.revisionLink(digest), digest);
    return link === "absent" ? this.linkTo(repository.layerLink(digest), digest) : link;
  }

  /** Size of a blob's data in bytes; null if there is none. Cached for the whole pass. */
  blobSize(digest: Digest): number | null {
    const known = this.#sizes.get(digest);
    if (known !== undefined) return known;
    const size = this.#disk.sizeAmongMany(this.layout.blobData(digest));
    this.#sizes.set(digest, size);
    return size;
  }

  /**
   * Reads a blob as a manifest and verifies its digest.
   *
   * @param digest the name by which it is requested
   * @param target where its link leads: a different digest if the client named it by an algorithm other than sha256
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

  /** Whether a blob's data exists and hashes to its name; read piece by piece. */
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

  /** The bytes of a blob, piece by piece, each valid until the next is requested; none if it does not exist. */
  pieces(digest: Digest, length: number = HASH_BYTES): Generator<Uint8Array> {
    return this.#disk.pieces(this.layout.blobData(digest), length);
  }

  /** Current size of a blob's data in bytes; null if there is none. */
  sizeNow(digest: Digest): number | null {
    return this.#disk.size(this.layout.blobData(digest));
  }

  /** The beginning of a file other than a link or a blob, as text; empty if it is not a file or does not exist. */
  text(path: string, most = 1024): string {
    try {
      const bytes = this.#disk.open(path, (file) => readInto(file, Buffer.alloc(most)));
      return bytes === null || bytes === "special" ? "" : Buffer.from(bytes).toString("utf8");
    } catch {
      return "";
    }
  }

  /** When a file was last written, or a folder's entries last changed, in milliseconds since the epoch; null if it is absent. */
  changedAt(path: string): number | null {
    return this.#disk.stat(path)?.mtimeMs ?? null;
  }

  /** Whether something exists at that path. A name that is not UTF-8 is sought in the folder's listing instead. */
  isThere(path: string): boolean {
    if (this.changedAt(path) !== null) return true;
    const slash = path.lastIndexOf("/");
    const name = path.slice(slash + 1);
    if (!/\p{Cs}/u.test(name)) return false;
    const { folders, others } = this.#disk.list(path.slice(0, slash));
    return folders.includes(name) || others.has(name);
  }

  /** When it was created, in milliseconds since the epoch; 0 if it does not exist or the file system does not record it. */
  bornAt(path: string): number {
    return this.#disk.stat(path)?.birthtimeMs ?? 0;
  }

  isFolder(path: string): boolean {
    return this.#disk.isFolder(path);
  }

  /** The contents of a folder. */
  list(folder: string): FolderListing {
    return this.#disk.list(folder);
  }

  isLink(path: string): boolean {
    return this.#disk.stat(path)?.isSymbolicLink() ?? false;
  }

  /** Where a path finally leads; null if nowhere. */
  targetOf(path: string): string | null {
    return this.#disk.targetOf(path);
  }

  /** Identifies a folder, whatever its name; null if there is none. */
  identityOf(folder: string): string | null {
    const found = this.#disk.stat(folder);
    return found?.isDirectory() ? `${found.dev}:${found.ino}` : null;
  }

  /** The strange entries met at or below a path since the last call. */
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

/** The digests that the registry accepts in a link: go-digest knows no other algorithm, and the registry answers 500. */
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
