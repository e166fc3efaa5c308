import { type BlobCheck, type BlobChecker, sizeFailure } from "./blob-check";
import { checkManifest } from "./check";
import type { RegistryClient } from "./client";
import type { Digest } from "./digest";
import { drain } from "./drain";
import {
  type CheckFailure,
  type Failure,
  failureAt,
  failureOfExchange,
  isUncertain,
  upstreamFailure,
  type Warning,
} from "./failure";
import {
  emptyGraph,
  type Graph,
  locate,
  type ManifestEdge,
  type ManifestNode,
  type Referenced,
  unreadManifest,
} from "./graph";
import type { Answer } from "./http";
import { type AskedImage, askedImages, type Images, imagesOf, stateOfFailure } from "./images";
import { readListing } from "./listing";
import { type Descriptor, isIndexType, isManifestType, type Manifest, matchesPlatform, platformName } from "./manifest";
import { newestTags } from "./newest";
import { isTag } from "./reference";
import { fallbackTag, fallbackTagIn, MOST_REFERRERS, type ReferrersApi } from "./referrers";

/** Whether the registry is authoritative, or a pull-through cache that may hold only part of its upstream. */
export const ROLES = ["private", "proxy"] as const;
export type Role = (typeof ROLES)[number];

/** Which of a repository's tags are walked. */
export type TagSelection =
  | { kind: "all" }
  /** The newest `count` tags, by the creation dates of their images. */
  | { kind: "newest"; count: number }
  /** These tags, and the manifests of these digests; a missing one is a failure. */
  | { kind: "named"; tags: readonly string[]; digests?: readonly Digest[] }
  /** Those of these tags that exist. */
  | { kind: "present"; tags: readonly string[] };

export interface RepositoryOptions {
  role: Role;
  blobs: BlobCheck;
  selection: TagSelection;
  /** Platforms whose children of an index must be present; empty for all. */
  platforms: readonly string[];
  /** Whether the catalog lists it: having no tags is then not a failure. */
  isListed: boolean;
}

/** Distinct objects that were checked, intact or broken. */
export interface RepositoryCounts {
  tags: number;
  /** Indexes excluded. */
  manifests: number;
  indexes: number;
  blobs: number;
}

const byFallbackTag = (tags: readonly string[]): Map<string, string[]> => {
  const found = new Map<string, string[]>();
  for (const tag of tags) {
    const key = fallbackTagIn(tag);
    if (key !== null) found.set(key, [...(found.get(key) ?? []), tag]);
  }
  return found;
};

/**
 * The walk of one repository: its tags, then every manifest below them once, then every config and layer once. Its findings
 * are available at any time, so that a run cut short reports what it has found so far.
 */
export class RepositoryWalk {
  readonly #client: RegistryClient;
  readonly #referrers: ReferrersApi;
  readonly #blobs: BlobChecker;
  readonly #repository: string;
  readonly #options: RepositoryOptions;
  readonly #graph: Graph = emptyGraph();
  /** Manifests to be read, or whose references are to be followed. */
  readonly #pending: ManifestNode[] = [];
  /** The listed tags that hold referrers of a manifest, by fallback tag; null if no tags were listed. */
  #fallbackTags: Map<string, string[]> | null = null;
  /** Tags that were requested, if not all are. */
  #asked = new Set<string>();
  #checkedTags = 0;
  readonly #tagFailures = new Map<string, CheckFailure>();
  readonly #objectFailures = new Map<Referenced, CheckFailure>();
  /** Descriptors that contradict one another or the object: reported only if there is no graver failure. */
  readonly #sizeMismatches = new Map<Referenced, CheckFailure>();
  #checkedBlobs = 0;
  /** Layers that may be stored elsewhere only. */
  readonly #foreign = new Set<number>();
  #referrersSeen = 0;
  #repositoryFailure: CheckFailure | null = null;
  #warning: Warning | null = null;
  /** A request failed in a way that is not a failure of an object. */
  #incomplete = false;

  constructor(
    client: RegistryClient,
    referrers: ReferrersApi,
    blobs: BlobChecker,
    repository: string,
    options: RepositoryOptions,
  ) {
    this.#client = client;
    this.#referrers = referrers;
    this.#blobs = blobs;
    this.#repository = repository;
    this.#options = options;
  }

  /** Walks to the end. @throws ExchangeError `cancelled`, or RegistryError when the registry as a whole is unavailable */
  async run(): Promise<void> {
    const { selection } = this.#options;
    if (selection.kind === "named") for (const digest of selection.digests ?? []) this.#addRoot(digest);
    await this.#readTags(selection);
    await this.#readBelow();
    if (this.#options.blobs !== "none") await this.#checkBlobs();
  }

  get counts(): RepositoryCounts {
    const counts = { tags: this.#checkedTags, manifests: 0, indexes: 0, blobs: this.#checkedBlobs };
    for (const node of this.#graph.manifests.values()) {
      const failure = this.#objectFailures.get(node);
      if (!node.read || (failure !== undefined && this.#isExcused(node, failure))) continue;
      counts[node.index ? "indexes" : "manifests"]++;
    }
    return counts;
  }

  /** Whether everything so far was reached. */
  get complete(): boolean {
    // A failed tag list may hide tags; a missing one, with the whole repository, hides none.
    const listed = this.#repositoryFailure === null || this.#repositoryFailure.reason === "missing";
    return (
      listed &&
      !this.#incomplete &&
      ![...this.#tagFailures.values(), ...this.#objectFailures.values()].some(isUncertain)
    );
  }

  /** What may be wrong with the repository. */
  get warning(): Warning | null {
    return this.#warning;
  }

  /** Which of the walked images can be pulled. */
  images(): Images {
    const repository = this.#repository;
    const { whole, broken } = imagesOf(repository, this.#graph, (object) => this.#failureOf(object) !== null);
    const lost = [...this.#tagFailures.keys()].map((tag) => ({ repository, tags: [tag], digest: null, platforms: [] }));
    return { whole, broken: [...broken, ...lost] };
  }

  /** The result for each requested tag and digest; complete once the walk has ended. */
  asked(): AskedImage[] {
    const lost = [...this.#tagFailures].map(([tag, failure]) => {
      return { tags: [tag], digest: null, manifests: [], state: stateOfFailure(failure) };
    });
    return [...askedImages(this.#graph, (object) => this.#failureOf(object)), ...lost];
  }

  /** The failure of an object, if something here needs the object. */
  #failureOf(object: Referenced): CheckFailure | null {
    const failure = this.#objectFailures.get(object) ?? this.#sizeMismatches.get(object);
    return failure === undefined || this.#isExcused(object, failure) ? null : failure;
  }

  /** The broken objects, each once, unsorted. */
  failures(): Failure[] {
    const repository = this.#repository;
    const own = (object: "repository" | "tag", tags: string[], failure: CheckFailure): Failure => {
      return failureAt(repository, { tags, object, platform: null, path: [] }, null, failure);
    };
    const failures = [...this.#tagFailures].map(([tag, failure]) => own("tag", [tag], failure));
    if (this.#repositoryFailure) failures.push(own("repository", [], this.#repositoryFailure));

    const broken = [...new Map([...this.#sizeMismatches, ...this.#objectFailures])].filter(([object, failure]) => {
      return !this.#isExcused(object, failure);
    });
    if (broken.length === 0) return failures;
    const nodes = broken.map(([node]) => node);
    for (const [at, place] of locate(this.#graph, nodes).entries()) {
      const [node, failure] = broken[at] as (typeof broken)[number];
      failures.push(failureAt(repository, place, this.#digestOf(node), failure));
    }
    return failures;
  }

  /** Whether a missing manifest is not needed here, because its platform was not selected. */
  #isExcused(object: Referenced, { reason }: CheckFailure): boolean {
    return typeof object !== "number" && !object.required && reason === "missing";
  }

  async #readTags(selection: TagSelection): Promise<void> {
    const tags = await this.#select(selection);
    if (selection.kind !== "all") this.#asked = new Set(tags);
    await drain([...tags].reverse(), this.#client.concurrency, (tag) => this.#readTag(tag));
  }

  async #select(selection: TagSelection): Promise<readonly string[]> {
    if (selection.kind === "named") return [...new Set(selection.tags)];
    const tags = await this.#listTags();
    if (selection.kind === "all") return tags;
    this.#fallbackTags = byFallbackTag(tags);
    if (selection.kind === "present") return tags.filter((tag) => selection.tags.includes(tag));
    const readConfigs = this.#options.role === "private";
    return newestTags(this.#client, this.#repository, tags, selection.count, readConfigs);
  }

  async #listTags(): Promise<string[]> {
    const repository = this.#repository;
    const { names, failure } = await readListing("tags", isTag, (next) => this.#client.tags(repository, next));
    const missing = failure?.reason === "missing" && names.length === 0 ? failure.status : null;
    if (missing === null || !this.#options.isListed) this.#repositoryFailure = failure;
    else this.#warning = { repository, reason: "no-tags", status: missing };
    return names;
  }

  /** @param isKnown whether the tag was named or listed, so that a missing one is a failure */
  async #readTag(tag: string, isKnown = true): Promise<void> {
    let answer: Answer;
    try {
      answer = await this.#client.manifest(this.#repository, tag);
    } catch (error) {
      this.#tagFailures.set(tag, failureOfExchange(error));
      this.#checkedTags++;
      return;
    }
    if (!isKnown && answer.status === 404) return;
    this.#checkedTags++;
    const check = checkManifest(answer, { digest: null, size: null });
    if (!check.ok && check.digest === null) {
      this.#tagFailures.set(tag, this.#upstream(answer) ?? check.failure);
      return;
    }
    const node = this.#manifest(check.digest as Digest, null);
    node.required = true;
    const known = this.#graph.roots.get(node);
    if (known) known.push(tag);
    else this.#graph.roots.set(node, [tag]);
    this.#queue(node);
    if (node.read) return;
    if (check.ok) await this.#take(node, check.size, check.manifest);
    else this.#fail(node, check.failure);
  }

  #addRoot(digest: Digest): void {
    const node = this.#manifest(digest, null);
    node.required = true;
    this.#graph.roots.set(node, []);
    this.#queue(node);
  }

  /** Reads a manifest by its digest, unless it has been read. */
  async #readManifest(node: ManifestNode): Promise<void> {
    if (node.read) return;
    node.read = true;
    let answer: Answer;
    try {
      answer = await this.#client.manifest(this.#repository, node.digest);
    } catch (error) {
      this.#fail(node, failureOfExchange(error));
      return;
    }
    const isRoot = this.#graph.roots.has(node);
    if (this.#options.role === "proxy" && !isRoot && answer.status !== 200 && this.#mayLack(answer)) {
      node.read = false;
      return;
    }
    const check = checkManifest(answer, { digest: node.digest, size: node.size });
    if (check.ok) await this.#take(node, check.size, check.manifest);
    else this.#fail(node, this.#upstream(answer) ?? check.failure);
  }

  /** The failure that a pull-through cache passes on from its upstream or reports about it. */
  #upstream(answer: Answer): CheckFailure | null {
    return this.#options.role === "proxy" ? upstreamFailure(answer) : null;
  }

  /** Whether a pull-through cache merely lacks the manifest: its upstream has lost it, or is unavailable. */
  #mayLack(answer: Answer): boolean {
    const failure = upstreamFailure(answer);
    if (failure !== null && isUncertain(failure)) this.#incomplete = true;
    return answer.status === 404 || failure !== null;
  }

  #fail(node: Referenced, failure: CheckFailure): void {
    if (typeof node !== "number") node.read = true;
    this.#objectFailures.set(node, failure);
  }

  async #take(node: ManifestNode, size: number, manifest: Manifest): Promise<void> {
    node.read = true;
    if (node.size !== null && node.size !== size) this.#sizeMismatches.set(node, sizeFailure(200, size, node.size));
    node.size = size;
    node.index = manifest.kind === "index";
    switch (manifest.kind) {
      case "index": {
        const isManifest = ({ mediaType }: Descriptor): boolean => isManifestType(mediaType);
        const others = manifest.manifests.filter((descriptor) => !isManifest(descriptor));
        node.manifests = manifest.manifests
          .filter(isManifest)
          .map((descriptor) => this.#edge(descriptor, platformName(descriptor), this.#mustHave(descriptor)));
        node.layers = others.map(({ digest, size }) => this.#blob(digest, size));
        break;
      }
      case "image":
        node.config = manifest.config === null ? null : this.#blob(manifest.config.digest, manifest.config.size);
        node.layers = manifest.layers.map((layer) => this.#layer(layer));
        break;
      case "schema1":
        node.layers = manifest.layers.map((digest) => this.#blob(digest, null));
        break;
    }
    if (this.#options.role === "private") await this.#addReferrers(node);
  }

  async #addReferrers(node: ManifestNode): Promise<void> {
    if (this.#referrersSeen > MOST_REFERRERS) return;
    const listed = await this.#referrers.of(this.#repository, node.digest);
    if (listed === null) return this.#readFallbackTags(node.digest);
    const { descriptors, failure } = listed;
    node.referrers = descriptors.map((descriptor) => this.#edge(descriptor, null, true));
    this.#repositoryFailure ??= failure && { ...failure, detail: `the referrers of ${node.digest}: ${failure.detail}` };
    this.#countReferrers(descriptors.length);
  }

  /** Without the referrers API, referrers of a manifest have tags; where all tags are walked, these are included already. */
  async #readFallbackTags(subject: Digest): Promise<void> {
    if (this.#options.selection.kind === "all") return;
    const tag = fallbackTag(subject);
    const listed = this.#fallbackTags;
    for (const each of listed === null ? [tag] : (listed.get(tag) ?? [])) {
      if (this.#asked.has(each)) continue;
      this.#asked.add(each);
      this.#countReferrers(1);
      await this.#readTag(each, listed !== null);
    }
  }

  #countReferrers(count: number): void {
    this.#referrersSeen += count;
    if (this.#referrersSeen <= MOST_REFERRERS) return;
    const detail = `more than ${MOST_REFERRERS} manifests refer to others`;
    this.#repositoryFailure ??= { reason: "malformed", status: 200, detail };
  }

  /** Whether a child of an index must be present; so must a nested index, which may hold the selected platforms. */
  #mustHave(descriptor: Descriptor): boolean {
    const { platforms } = this.#options;
    if (platforms.length === 0) return true;
    const name = platformName(descriptor);
    return name === null ? isIndexType(descriptor.mediaType) : platforms.some((each) => matchesPlatform(name, each));
  }

  #edge(descriptor: Descriptor, platform: string | null, required: boolean): ManifestEdge {
    const node = this.#manifest(descriptor.digest, descriptor.size);
    node.required ||= required;
    if (!node.read) node.index ||= isIndexType(descriptor.mediaType);
    return { node, platform };
  }

  #manifest(digest: Digest, size: number | null): ManifestNode {
    const known = this.#graph.manifests.get(digest);
    if (known === undefined) {
      const node = unreadManifest(digest, size);
      this.#graph.manifests.set(digest, node);
      return node;
    }
    this.#compareSizes(known, size);
    known.size ??= size;
    return known;
  }

  #blob(digest: Digest, size: number | null): number {
    const blob = this.#graph.blobs.add(digest, size);
    this.#compareSizes(blob, size);
    return blob;
  }

  /** A layer with urls may be stored elsewhere only, unless another manifest names it without urls. */
  #layer({ digest, size, urls }: Descriptor): number {
    const known = this.#graph.blobs.count;
    const blob = this.#blob(digest, size);
    if (urls === undefined) this.#foreign.delete(blob);
    else if (blob === known) this.#foreign.add(blob);
    return blob;
  }

  #digestOf(object: Referenced): Digest {
    return typeof object === "number" ? this.#graph.blobs.digest(object) : object.digest;
  }

  /** Records a descriptor that contradicts the first one. */
  #compareSizes(object: Referenced, size: number | null): void {
    const first = typeof object === "number" ? this.#graph.blobs.size(object) : object.size;
    if (size !== null && first !== null && size !== first && !this.#sizeMismatches.has(object)) {
      this.#sizeMismatches.set(object, sizeFailure(null, first, size));
    }
  }

  #queue(node: ManifestNode): void {
    if (node.queued) return;
    node.queued = true;
    this.#pending.push(node);
  }

  async #readBelow(): Promise<void> {
    await drain(this.#pending, this.#client.concurrency, async (node) => {
      await this.#readManifest(node);
      for (const { node: below } of [...node.manifests, ...node.referrers]) this.#queue(below);
    });
  }

  async #checkBlobs(): Promise<void> {
    const { blobs } = this.#graph;
    let left = blobs.count;
    // Counted down rather than listed, because there may be a million.
    const pending = {
      get length() {
        return left;
      },
      pop: () => --left,
    };
    await drain(pending, this.#client.concurrency, async (blob) => {
      const description = { digest: blobs.digest(blob), size: blobs.size(blob) };
      const failure = await this.#blobs.check(this.#repository, description);
      // It is stored elsewhere, and may never have been here.
      if (failure?.reason === "missing" && this.#foreign.has(blob)) return;
      this.#checkedBlobs++;
      if (failure !== null) this.#fail(blob, failure);
    });
  }
}
