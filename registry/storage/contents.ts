import { type Digest, isDigest } from "../oci/digest";
import { type Descriptor, isManifestType, type Manifest, referencedDescriptors } from "../oci/manifest";
import type { StoreReader } from "./reader";

/** A part that a manifest cannot be pushed without. */
export interface Part extends Pick<Descriptor, "digest" | "mediaType" | "urls"> {
  /** Bytes; null if only schema 1 names it. */
  size: number | null;
  isManifest: boolean;
}

/** Everything that a manifest names, config first. */
export const partsOf = (manifest: Manifest): Part[] => {
  if (manifest.kind === "schema1") return manifest.layers.map((digest) => ({ digest, size: null, isManifest: false }));
  return referencedDescriptors(manifest).map((each) => ({
    ...each,
    isManifest: manifest.kind === "index" && isManifestType(each.mediaType),
  }));
};

/** What the data of a store amounts to, regardless of its links. Each blob is read at most once. */
export class StoreContents {
  readonly #complete = new Map<Digest, boolean>();
  readonly #healable = new Map<Digest, boolean>();
  readonly #parents = new Map<string, Map<Digest, Digest[]>>();
  readonly #intact = new Map<Digest, boolean>();

  constructor(readonly reader: StoreReader) {}

  /** Whether a manifest and everything needed to push it are present, byte for byte. */
  isComplete(digest: Digest): boolean {
    return once(this.#complete, digest, () => {
      const stored = this.reader.manifest(digest);
      return stored.state === "whole" && partsOf(stored.manifest).every((part) => this.#hasPart(part));
    });
  }

  /** Whether restoring lost bytes would make it complete; not if what was pushed is itself wrong. */
  isHealable(digest: Digest): boolean {
    return once(this.#healable, digest, () => {
      const stored = this.reader.manifest(digest);
      if (stored.state === "whole") return partsOf(stored.manifest).every((part) => this.#isHealablePart(part));
      return stored.state === "absent" || !this.isIntact(digest);
    });
  }

  /** Everything that the manifests name, directly or through other manifests. */
  below(digests: Iterable<Digest>, found: Set<Digest> = new Set()): Set<Digest> {
    for (const digest of digests) {
      const stored = this.reader.manifest(digest);
      if (stored.state !== "whole") continue;
      for (const part of partsOf(stored.manifest)) {
        if (found.has(part.digest)) continue;
        found.add(part.digest);
        if (part.isManifest) this.below([part.digest], found);
      }
    }
    return found;
  }

  /** The tags that lead to a manifest which states a wrong size for an intact blob. */
  tagsMisdescribing(repository: string, tags: readonly string[], digest: Digest): string[] {
    const { reader } = this;
    const layout = reader.layout.repository(repository);
    const misdescribes = (manifest: Digest): boolean => {
      const stored = reader.manifest(manifest);
      if (stored.state !== "whole") return false;
      return partsOf(stored.manifest).some(
        (part) =>
          (part.digest === digest && part.size !== null && part.size !== reader.blobSize(digest)) ||
          (part.isManifest && misdescribes(part.digest)),
      );
    };
    return tags.filter((tag) => {
      const link = reader.link(layout.tagLink(tag));
      return isDigest(link) && misdescribes(link);
    });
  }

  /** The manifests of a repository that name a digest, those that name these, and so on; topmost first. */
  naming(repository: string, digest: Digest): Digest[] {
    let parents = this.#parents.get(repository);
    if (parents === undefined) {
      parents = this.#parentsIn(repository);
      this.#parents.set(repository, parents);
    }
    const found = new Set<Digest>();
    const climb = (named: Digest): void => {
      for (const parent of parents.get(named) ?? []) {
        if (found.has(parent)) continue;
        climb(parent);
        found.add(parent);
      }
    };
    climb(digest);
    return [...found];
  }

  #parentsIn(repository: string): Map<Digest, Digest[]> {
    const parents = new Map<Digest, Digest[]>();
    for (const revision of this.reader.digests(this.reader.layout.repository(repository).revisions)) {
      const stored = this.reader.manifest(revision);
      if (stored.state !== "whole") continue;
      for (const { digest } of partsOf(stored.manifest))
        parents.set(digest, [...(parents.get(digest) ?? []), revision]);
    }
    return parents;
  }

  /** Whether a blob's data is there and hashes to its name. */
  isIntact(digest: Digest): boolean {
    return once(this.#intact, digest, () => this.reader.isIntact(digest));
  }

  #isHealablePart({ digest, size, isManifest }: Part): boolean {
    if (isManifest) return this.isHealable(digest);
    const stored = this.reader.blobSize(digest);
    return stored === null || size === null || stored === size || !this.isIntact(digest);
  }

  #hasPart({ digest, size, urls, isManifest }: Part): boolean {
    if (isManifest) return this.isComplete(digest);
    // A layer with urls is downloaded from there.
    if (urls !== undefined) return true;
    return (size === null || this.reader.blobSize(digest) === size) && this.isIntact(digest);
  }
}

const once = (known: Map<Digest, boolean>, digest: Digest, learn: () => boolean): boolean => {
  const before = known.get(digest);
  if (before !== undefined) return before;
  const learned = learn();
  known.set(digest, learned);
  return learned;
};
