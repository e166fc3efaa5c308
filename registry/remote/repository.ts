import { checkManifest } from "../oci/check";
import type { RegistryClient } from "../oci/client";
import { type Digest, isDigest } from "../oci/digest";
import { drain } from "../oci/drain";
import { type CheckFailure, failureOfExchange } from "../oci/failure";
import type { Answer } from "../oci/http";
import { readListing } from "../oci/listing";
import { isManifestType, type Manifest, platformName } from "../oci/manifest";
import { createdInConfig, dateOf, isEnd } from "../oci/newest";
import { isTag } from "../oci/reference";
import type { ReferrersApi } from "../oci/referrers";
import { referencesOf } from "../storage/graph";

/** What is known about a manifest that was read. */
export interface RemoteManifest {
  /** The manifests, config and layers it names. */
  references: Digest[];
  /** Those of the references that are manifests. */
  children: Digest[];
  subject: Digest | null;
  /** Its creation date from the annotation, in milliseconds since the epoch. */
  annotated: number | null;
  /** Null for an index. */
  config: Digest | null;
  /** Children that are images for a platform; they give the creation date of an index without one. */
  images: Digest[];
}

/** Why the target of a tag is unknown. */
export interface Unresolved extends CheckFailure {
  /** Its target, if the registry names it although it is gone, as distribution 2 does; otherwise null. */
  leadsTo: Digest | null;
}

/** The tags of a repository at one moment. */
export interface RepositoryState {
  tags: Map<string, Digest>;
  /** Tags that are listed but could not be read. */
  unread: Map<string, Unresolved>;
}

/** Indexes nested deeper than this are not searched for a date. */
const DEEPEST = 3;

/** A repository as read over HTTP: every manifest once, whatever leads to it. */
export class RemoteRepository {
  readonly #client: RegistryClient;
  readonly #referrersApi: ReferrersApi;
  readonly manifests = new Map<Digest, RemoteManifest>();
  /** What could not be read. */
  readonly failures = new Map<Digest, CheckFailure>();
  /** What no tag leads to, directly or as a referrer: known only as the subject of another manifest, or a part of one. */
  readonly hidden = new Set<Digest>();
  /** Sizes of configs, layers and manifests in bytes, by their descriptors. */
  readonly sizes = new Map<Digest, number>();
  readonly #referrers = new Map<Digest, Set<Digest>>();
  readonly #dates = new Map<Digest, number | null>();

  constructor(
    client: RegistryClient,
    referrersApi: ReferrersApi,
    readonly name: string,
  ) {
    this.#client = client;
    this.#referrersApi = referrersApi;
  }

  /** The names of the tags. @throws Unlisted when they cannot be listed */
  async names(): Promise<string[]> {
    const { names, failure } = await readListing("tags", isTag, (next) => this.#client.tags(this.name, next));
    if (failure === null) return names;
    // Nothing is tagged, or nothing any more.
    if (failure.reason === "missing" && names.length === 0) return [];
    throw new Unlisted(`its list of tags cannot be read: ${failure.detail}`);
  }

  /** The current target of every tag. @throws Unlisted */
  async look(): Promise<RepositoryState> {
    const look: RepositoryState = { tags: new Map(), unread: new Map() };
    const names = await this.names();
    await drain(names.toReversed(), this.#client.concurrency, async (tag) => {
      const found = await this.resolve(tag);
      if (typeof found === "string") look.tags.set(tag, found);
      else look.unread.set(tag, found);
    });
    return look;
  }

  /** The current target of a tag, or why it is unknown. */
  async resolve(tag: string): Promise<Digest | Unresolved> {
    try {
      const answer = await this.#client.manifest(this.name, tag);
      const check = checkManifest(answer, { digest: null, size: null });
      if (!check.ok) return { ...check.failure, leadsTo: revisionIn(answer) };
      this.#add(check.digest, check.manifest, check.size);
      return check.digest;
    } catch (error) {
      return { ...failureOfExchange(error), leadsTo: null };
    }
  }

  /**
   * Reads manifests with everything below them and, if the registry supports it, their referrers. What cannot be read is in
   * `failures` afterwards.
   */
  async readBelow(digests: Iterable<Digest>): Promise<void> {
    const pending = [...digests];
    const seen = new Set<Digest>();
    await drain(pending, this.#client.concurrency, async (digest) => {
      if (seen.has(digest)) return;
      seen.add(digest);
      const known = this.manifests.get(digest) ?? (await this.#read(digest));
      if (known === null) return;
      pending.push(...known.children, ...(await this.listReferrers(digest)));
    });
  }

  /** Reads what the manifests that were read refer to, as far as it is there: a subject may be missing. */
  async readSubjects(): Promise<void> {
    const pending = [...this.manifests.values()].flatMap(({ subject }) => subject ?? []);
    const seen = new Set<Digest>(this.manifests.keys());
    await drain(pending, this.#client.concurrency, async (digest) => {
      if (seen.has(digest)) return;
      seen.add(digest);
      const found = await this.#read(digest);
      if (found === null) return;
      this.hidden.add(digest);
      pending.push(...found.children, ...(found.subject === null ? [] : [found.subject]));
    });
  }

  /** The current referrers of a manifest from the registry's API; none if it has no such API. */
  async listReferrers(subject: Digest): Promise<Digest[]> {
    const listed = await this.#referrersApi.of(this.name, subject);
    if (listed === null) return [];
    if (listed.failure === null) this.failures.delete(subject);
    else this.failures.set(subject, listed.failure);
    return listed.descriptors.map(({ digest }) => digest);
  }

  /** The known referrers of a manifest. */
  referrersOf(subject: Digest): Digest[] {
    return [...(this.#referrers.get(subject) ?? [])];
  }

  /** When an image was created according to itself, in milliseconds since the epoch; null if it does not say. */
  async created(digest: Digest, depth = 0): Promise<number | null> {
    const before = this.#dates.get(digest);
    if (before !== undefined) return before;
    const date = await this.#dateOf(digest, depth);
    this.#dates.set(digest, date);
    return date;
  }

  async #dateOf(digest: Digest, depth: number): Promise<number | null> {
    const node = this.manifests.get(digest);
    if (node === undefined) return null;
    if (node.annotated !== null) return node.annotated;
    if (node.config !== null) return this.#dateIn(node.config);
    if (depth >= DEEPEST) return null;
    for (const child of node.images) {
      const date = await this.created(child, depth + 1);
      if (date !== null) return date;
    }
    return null;
  }

  async #dateIn(config: Digest): Promise<number | null> {
    try {
      const created = await createdInConfig(this.#client, this.name, config);
      return created === "hidden" ? null : created;
    } catch (error) {
      if (isEnd(error)) throw error;
      return null;
    }
  }

  async #read(digest: Digest): Promise<RemoteManifest | null> {
    this.failures.delete(digest);
    try {
      const check = checkManifest(await this.#client.manifest(this.name, digest), { digest, size: null });
      if (check.ok) return this.#add(digest, check.manifest, check.size);
      this.failures.set(digest, check.failure);
    } catch (error) {
      this.failures.set(digest, failureOfExchange(error));
    }
    return null;
  }

  #add(digest: Digest, manifest: Manifest, size: number): RemoteManifest {
    const known = this.manifests.get(digest);
    if (known !== undefined) return known;
    const entries = manifest.kind === "index" ? manifest.manifests : [];
    const children = entries.filter(({ mediaType }) => isManifestType(mediaType));
    const subject = manifest.subject?.digest ?? null;
    const node: RemoteManifest = {
      references: referencesOf(manifest),
      children: children.map((child) => child.digest),
      subject,
      annotated: dateOf(manifest.annotations?.["org.opencontainers.image.created"]),
      config: manifest.kind === "image" ? (manifest.config?.digest ?? null) : null,
      images: children.filter((child) => platformName(child) !== null).map((child) => child.digest),
    };
    this.manifests.set(digest, node);
    this.failures.delete(digest);
    this.sizes.set(digest, size);
    if (manifest.kind === "image") {
      for (const blob of [...(manifest.config === null ? [] : [manifest.config]), ...manifest.layers]) {
        if (blob.urls === undefined) this.sizes.set(blob.digest, blob.size);
      }
    }
    if (subject !== null) {
      const referring = this.#referrers.get(subject) ?? new Set();
      this.#referrers.set(subject, referring.add(digest));
    }
    return node;
  }
}

/** The digest of the manifest that a registry fails to find for a tag; null if it does not say. */
const revisionIn = ({ status, body }: Answer): Digest | null => {
  if (status !== 404) return null;
  try {
    const { errors } = JSON.parse(body.toString("utf8")) as { errors?: { detail?: { Revision?: unknown } }[] };
    const revision = errors?.[0]?.detail?.Revision;
    return isDigest(revision) ? revision : null;
  } catch {
    return null;
  }
};

/** Something required from a repository cannot be read; the message gives the reason in one line. */
export class Unlisted extends Error {
  override readonly name = "Unlisted";
}
