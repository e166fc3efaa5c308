import { type BlobCheck, BlobChecker, type BlobDescription } from "../oci/blob-check";
import { checkManifest } from "../oci/check";
import type { RegistryClient } from "../oci/client";
import { type Digest, isDigest } from "../oci/digest";
import { type Failure, isUncertain } from "../oci/failure";
import { ExchangeError } from "../oci/http";
import { DOCKER_SCHEMA1_SIGNED, type Manifest, OCI_INDEX, OCI_MANIFEST, parseManifest } from "../oci/manifest";
import { partsOf } from "./contents";
import { type Link, MANIFEST_BYTES, type StoreReader } from "./reader";
import { tagHistory } from "./tag-history";

/** Where lost objects may still exist. */
export interface RepairSources {
  /** The registry's own storage. */
  storage: StoreReader | null;
  /** Another registry, with the same repositories. */
  from: RegistryClient | null;
}

/** How the registry's blobs are checked: every byte, or only that the last one arrives. */
export type RepairCheck = Extract<BlobCheck, "last-byte" | "hash">;

/** Something to push again; a plan orders the steps so that each comes after everything it needs. */
export type RepairStep = BlobStep | ManifestStep;

interface Step {
  repository: string;
  digest: Digest;
  source: keyof RepairSources;
}

export interface BlobStep extends Step {
  kind: "blob";
  /** Bytes; null if only schema 1 names it. */
  size: number | null;
}

export interface ManifestStep extends Step {
  kind: "manifest";
  bytes: Uint8Array;
  mediaType: string;
  /** The tag to push it to; null to push it to its digest. */
  tag: string | null;
}

export interface RepairPlan {
  steps: RepairStep[];
  /** What no source can repair. */
  remaining: Failure[];
}

/**
 * Works out what repairs the failures of a walk. For a manifest that includes everything it needs and that was lost with it,
 * because a registry rejects a manifest whose configs, layers or children it lacks.
 *
 * @throws RegistryError when a registry as a whole is unavailable
 */
export const planRepair = async (
  failures: Failure[],
  target: RegistryClient,
  sources: RepairSources,
  blobs: RepairCheck = "last-byte",
): Promise<RepairPlan> => {
  const planner = new RepairPlanner(failures, target, sources, blobs);
  const remaining: Failure[] = [];
  for (const failure of failures) {
    if (isUncertain(failure) || !(await planner.heal(failure))) remaining.push(failure);
  }
  return { steps: planner.steps, remaining };
};

class RepairPlanner {
  readonly #target: RegistryClient;
  readonly #sources: RepairSources;
  readonly steps: RepairStep[] = [];
  /** Whether an object is served, now or after the steps so far. */
  readonly #served = new Map<string, boolean>();
  /** Objects that failed: a registry may still serve them from its cache. */
  readonly #failed: ReadonlySet<string>;
  readonly #kept: BlobChecker;
  readonly #offered: BlobChecker | null;

  constructor(failures: readonly Failure[], target: RegistryClient, sources: RepairSources, blobs: RepairCheck) {
    this.#target = target;
    this.#sources = sources;

    this.#failed = new Set(
      failures.flatMap(({ repository, digest }) => (digest === null ? [] : key(repository, digest))),
    );
    this.#kept = new BlobChecker(target, blobs);
    this.#offered = sources.from && new BlobChecker(sources.from, "last-byte");
  }

  async heal({ repository, object, digest, tags, path, reason }: Failure): Promise<boolean> {
    const [tag] = tags;
    if (object === "tag" && tag !== undefined) return this.#healTag(repository, tag);
    if (digest === null) return false;
    if (object === "manifest") {
      // Intact, but described with another size: the manifest that names it is wrong, and fixing that changes its own digest.
      if (reason === "size-mismatch" && (await pull(this.#target, repository, digest)) !== null) return false;
      return this.#manifest(repository, digest);
    }
    // The manifest that names a config or a layer states its size.
    const parent = path.at(-2);
    if (parent !== undefined) await this.#manifest(repository, parent);
    // Not part of the pull, such as a layer with urls that was pushed nevertheless.
    return this.#served.get(key(repository, digest)) ?? this.#blob(repository, { digest, size: null });
  }

  /** Only the storage knows the target of a tag that is not served. */
  async #healTag(name: string, tag: string): Promise<boolean> {
    const { storage } = this.#sources;
    if (storage === null) return false;
    const repository = storage.layout.repository(name);
    const link = storage.link(repository.tagLink(tag));
    const pushed = tagHistory(storage, name, tag).map(({ digest }) => digest);
    // A push records the digest in the tag's index before it updates the tag: any other target was never pushed.
    if (isDigest(link) && (pushed.length === 0 || pushed.includes(link))) return this.#manifest(name, link);
    const [last = null] = pushed;
    if (last === null || !(await this.#manifest(name, last))) return false;
    const found = await this.#findManifest(name, last);
    if (found === null) return false;
    this.steps.push(manifestStep(name, last, found, tag));
    return true;
  }

  #manifest(repository: string, digest: Digest): Promise<boolean> {
    return this.#once(repository, digest, async () => {
      const isKept = this.#isKept((storage) => storage.manifestLink(storage.layout.repository(repository), digest));
      const served = isKept ? await pull(this.#target, repository, digest) : null;
      if (served !== null) return this.#everyReference(repository, served.manifest);
      const found = await this.#findManifest(repository, digest);
      if (found === null || !(await this.#everyReference(repository, found.manifest))) return false;
      this.steps.push(manifestStep(repository, digest, found, null));
      return true;
    });
  }

  async #everyReference(repository: string, manifest: Manifest): Promise<boolean> {
    let all = true;
    for (const part of partsOf(manifest)) {
      // A layer with urls is downloaded from there.
      if (part.urls !== undefined) continue;
      const served = part.isManifest
        ? await this.#manifest(repository, part.digest)
        : await this.#blob(repository, part);
      all &&= served;
    }
    return all;
  }

  #blob(repository: string, { digest, size }: BlobDescription): Promise<boolean> {
    return this.#once(repository, digest, async () => {
      const { storage } = this.#sources;
      const blob = { digest, size };
      const isKept = this.#isKept((of) =>
        of.linkTo(of.layout.repository(repository).layerLink(blob.digest), blob.digest),
      );
      const isBroken = storage !== null && this.#failed.has(key(repository, digest)) && !storage.isIntact(digest);
      if (isKept && !isBroken && (await this.#kept.check(repository, blob)) === null) return true;
      if (storage?.isIntact(digest)) {
        // Intact, but described with another size.
        if (size !== null && storage.blobSize(digest) !== size) return false;
        this.steps.push({ kind: "blob", repository, ...blob, source: "storage" });
        return true;
      }
      if (this.#offered === null || (await this.#offered.check(repository, blob)) !== null) return false;
      this.steps.push({ kind: "blob", repository, ...blob, source: "from" });
      return true;
    });
  }

  /** Whether the disk has it too, if known: a registry serves what it has cached even when the link is lost. */
  #isKept(linkIn: (storage: StoreReader) => Link): boolean {
    const { storage } = this.#sources;
    if (storage === null) return true;
    const link = linkIn(storage);
    return isDigest(link) && storage.sizeNow(link) !== null;
  }

  async #findManifest(repository: string, digest: Digest): Promise<FoundManifest | null> {
    const bytes = this.#stored(digest);
    if (bytes !== null) return { source: "storage", bytes, manifest: parseManifest(bytes) };
    const { from } = this.#sources;
    const pulled = from === null ? null : await pull(from, repository, digest);
    return pulled === null ? null : { source: "from", ...pulled };
  }

  /** The bytes stored under a digest, if they are that manifest. */
  #stored(digest: Digest): Uint8Array | null {
    const { storage } = this.#sources;
    return storage?.manifest(digest).state === "whole"
      ? Buffer.concat([...storage.pieces(digest, MANIFEST_BYTES)])
      : null;
  }

  async #once(repository: string, digest: Digest, learn: () => Promise<boolean>): Promise<boolean> {
    const known = this.#served.get(key(repository, digest));
    if (known !== undefined) return known;
    const learned = await learn();
    this.#served.set(key(repository, digest), learned);
    return learned;
  }
}

interface FoundManifest {
  source: keyof RepairSources;
  bytes: Uint8Array;
  manifest: Manifest;
}

const key = (repository: string, digest: Digest): string => `${repository}@${digest}`;

/** A manifest with a verified digest; null if the registry does not serve it. */
const pull = async (client: RegistryClient, repository: string, digest: Digest) => {
  try {
    const answer = await client.manifest(repository, digest);
    const check = checkManifest(answer, { digest, size: null });
    return check.ok ? { bytes: answer.body, manifest: check.manifest } : null;
  } catch (error) {
    if (error instanceof ExchangeError) return null;
    throw error;
  }
};

/** Points a tag at a manifest that is in the storage. */
export const tagStep = (storage: StoreReader, repository: string, digest: Digest, tag: string): ManifestStep => {
  const bytes = Buffer.concat([...storage.pieces(digest, MANIFEST_BYTES)]);
  return manifestStep(repository, digest, { source: "storage", bytes, manifest: parseManifest(bytes) }, tag);
};

const manifestStep = (
  repository: string,
  digest: Digest,
  { source, bytes, manifest }: FoundManifest,
  tag: string | null,
): ManifestStep => ({ kind: "manifest", repository, digest, source, bytes, mediaType: mediaTypeOf(manifest), tag });

const mediaTypeOf = ({ kind, mediaType }: Manifest): string =>
  mediaType ?? { index: OCI_INDEX, image: OCI_MANIFEST, schema1: DOCKER_SCHEMA1_SIGNED }[kind];
