import type { Digest } from "../oci/digest";
import { type Descriptor, isManifestType, type Manifest, platformName } from "../oci/manifest";
import type { Role } from "../oci/repository";
import { type Finding, type FindingKind, precedence } from "./finding";
import { foreignFinding, foreignInRepository } from "./foreign";
import type { RepositoryLayout } from "./layout";
import { Reach } from "./reach";
import type { Link, StoreReader } from "./reader";
import { isFirstPush, readUploads, type Upload, wasNeverTagged } from "./upload";

export interface InspectionCounts {
  /** 1, or 0 for a folder into which nothing was ever pushed. */
  repositories: number;
  tags: number;
  /** Manifests that the repository links, including indexes. */
  revisions: number;
  indexes: number;
  layerLinks: number;
}

export interface Inspection {
  counts: InspectionCounts;
  findings: Finding[];
}

export interface InspectionOptions {
  role: Role;
  /** Blobs known not to hash to their name. */
  corrupt: ReadonlySet<Digest>;
  /** The time of the scan, in milliseconds since the epoch. */
  now: number;
}

/**
 * Inspects one repository. Referrers are read before what they refer to (tags, then manifests, then what they name),
 * because a push writes in the opposite order: a push in progress then does not look like damage.
 */
export const inspectRepository = (
  reader: StoreReader,
  repository: RepositoryLayout,
  options: InspectionOptions,
): Inspection => new RepositoryInspector(reader, repository, options).inspect();

/** How the registry treats a manifest in this repository; `lost`: the link exists but the data does not. */
interface KnownManifest {
  state: "served" | "absent" | "lost" | "broken" | "unreadable" | "altered";
  /** Size of its data in bytes; 0 if there is none. */
  size: number;
}

interface LayerLink {
  link: Link;
  /** Whether a manifest names it and its blob matches: then it need not be checked again. */
  isGood: boolean;
}

class RepositoryInspector {
  readonly #reader: StoreReader;
  readonly #repository: RepositoryLayout;
  readonly #options: InspectionOptions;
  readonly #counts: InspectionCounts = { repositories: 0, tags: 0, revisions: 0, indexes: 0, layerLinks: 0 };
  readonly #reach = new Reach();
  readonly #brokenTags: { tag: string; link: Link }[] = [];
  readonly #layers = new Map<Digest, LayerLink>();
  readonly #manifests = new Map<Digest, KnownManifest>();
  readonly #indexes = new Map<Digest, Descriptor[]>();
  readonly #damaged = new Map<Digest, { kind: FindingKind; linkPresent: boolean }>();

  constructor(reader: StoreReader, repository: RepositoryLayout, options: InspectionOptions) {
    this.#reader = reader;
    this.#repository = repository;
    this.#options = options;
  }

  inspect(): Inspection {
    const { layers, manifests } = this.#repository;
    this.#counts.repositories = this.#reader.isFolder(layers) || this.#reader.isFolder(manifests) ? 1 : 0;
    this.#readTags();
    this.#readLayerLinks();
    const noRevisions: string[] = [];
    for (const digest of this.#reader.digests(this.#repository.revisions, noRevisions)) this.#manifest(digest);
    this.#checkIndexes();
    this.#checkTagged();
    this.#checkUnreferenced();
    this.#checkLayerLinks();
    const uploads = readUploads(this.#reader, this.#repository, this.#options.now);
    return {
      counts: this.#counts,
      findings: [
        ...[...this.#damaged].map(([digest, { kind, linkPresent }]) => this.#finding(digest, kind, linkPresent)),
        ...this.#brokenTags.map(({ tag, link }) =>
          this.#findingWithoutDigest("broken-tag", { tags: [tag], linkPresent: link === "broken" }),
        ),
        ...this.#hidden(uploads),
        ...foreignInRepository(this.#reader, this.#repository, noRevisions).map(foreignFinding),
        ...uploads
          .filter(({ stale }) => stale)
          .map(({ id }) => this.#findingWithoutDigest("stale-upload", { upload: id })),
      ],
    };
  }

  #readTags(): void {
    for (const tag of this.#reader.tags(this.#repository)) {
      this.#counts.tags++;
      const link = this.#reader.link(this.#repository.tagLink(tag));
      if (link === "absent" || link === "broken") this.#brokenTags.push({ tag, link });
      else this.#reach.tag(tag, link);
    }
  }

  #readLayerLinks(): void {
    for (const [digest, link] of this.#reader.layerLinks(this.#repository)) {
      if (link === "absent") continue;
      this.#counts.layerLinks++;
      this.#layers.set(digest, { link, isGood: false });
    }
  }

  /** A layer link from the first reading; one that has appeared since, for example by a push, is read now. */
  #layerLink(digest: Digest): LayerLink {
    const read = this.#layers.get(digest);
    return read ?? { link: this.#reader.linkTo(this.#repository.layerLink(digest), digest), isGood: false };
  }

  /** The registry looks for a manifest in the revisions and then in the layers: manifestLinkPathFns of distribution. */
  #manifestLink(digest: Digest): Link {
    const link = this.#reader.linkTo(this.#repository.revisionLink(digest), digest);
    if (link === "absent") return this.#layerLink(digest).link;
    this.#counts.revisions++;
    return link;
  }

  /** Looks up a manifest as the registry would. The first lookup reads it and checks what it names. */
  #manifest(digest: Digest): KnownManifest {
    const known = this.#manifests.get(digest);
    if (known !== undefined) return known;
    const read = this.#readManifest(digest);
    this.#manifests.set(digest, read);
    return read;
  }

  #readManifest(digest: Digest): KnownManifest {
    const link = this.#manifestLink(digest);
    if (link === "absent") return { state: "absent", size: 0 };
    if (link === "broken") {
      this.#report(digest, "broken-link", true);
      return { state: "broken", size: 0 };
    }
    const stored = this.#reader.manifest(digest, link);
    switch (stored.state) {
      case "absent":
        return { state: "lost", size: 0 };
      case "unreadable":
        this.#report(digest, "unreadable-manifest", true);
        return stored;
      case "altered":
        this.#report(digest, "digest-mismatch", true);
        return stored;
      case "whole":
        this.#checkBlobs(digest, stored.manifest);
        return { state: "served", size: stored.size };
    }
  }

  #checkBlobs(parent: Digest, manifest: Manifest): void {
    switch (manifest.kind) {
      case "index":
        this.#counts.indexes++;
        this.#indexes.set(parent, manifest.manifests);
        break;
      case "image":
        if (manifest.config !== null) this.#checkBlob(parent, manifest.config, "missing-config");
        for (const layer of manifest.layers) this.#checkBlob(parent, layer, "missing-layer");
        break;
      case "schema1":
        for (const digest of manifest.layers) this.#checkBlob(parent, { digest }, "missing-layer");
        break;
    }
  }

  #checkBlob(parent: Digest, blob: Blob, missing: FindingKind): void {
    const layerLink = this.#layerLink(blob.digest);
    const kind = this.#kindOfBlob(blob, layerLink.link, missing);
    if (kind === null) {
      layerLink.isGood = true;
      return;
    }
    this.#report(blob.digest, kind, layerLink.link !== "absent");
    this.#reach.refer(parent, blob.digest, platformName(blob));
  }

  #kindOfBlob({ digest, size, urls }: Blob, link: Link, missing: FindingKind): FindingKind | null {
    const { role, corrupt } = this.#options;
    if (link === "broken") return "broken-link";
    // A foreign layer is downloaded from its urls.
    if (link === "absent") return role === "proxy" || urls !== undefined ? null : missing;
    const stored = this.#reader.blobSize(link);
    if (stored === null) return role === "proxy" ? null : missing;
    if (size !== undefined && stored !== size) return "size-mismatch";
    return corrupt.has(digest) || corrupt.has(link) ? "digest-mismatch" : null;
  }

  #checkIndexes(): void {
    for (const [parent, children] of this.#indexes) {
      for (const child of children) {
        if (isManifestType(child.mediaType)) this.#checkChild(parent, child);
        else this.#checkBlob(parent, child, "missing-layer");
      }
    }
  }

  #checkChild(parent: Digest, { digest, size, platform }: Descriptor): void {
    this.#reach.refer(parent, digest, platformName({ platform }));
    const stored = this.#manifest(digest);
    if (stored.state === "absent" || stored.state === "lost") this.#reportLost(digest, "orphan-index-child");
    else if (stored.state !== "broken" && stored.size !== size) this.#report(digest, "size-mismatch", true);
  }

  #checkTagged(): void {
    for (const digest of this.#reach.tagged()) {
      const { state } = this.#manifest(digest);
      if (state === "absent" || state === "lost") this.#reportLost(digest, "broken-tag");
    }
  }

  /** Revisions that neither a tag nor an index names, and that lead to nothing. */
  #checkUnreferenced(): void {
    for (const [digest, { state }] of this.#manifests) {
      if (state === "lost" && !this.#damaged.has(digest)) this.#reportLost(digest, "broken-link");
    }
  }

  /** A cache fetches what it lacks again, and its manifests expire before the tags that point at them. */
  #reportLost(digest: Digest, kind: FindingKind): void {
    if (this.#options.role === "private") this.#report(digest, kind, this.#manifest(digest).state === "lost");
  }

  #checkLayerLinks(): void {
    for (const [digest, { link, isGood }] of this.#layers) {
      if (isGood) continue;
      if (link === "broken" || link === "absent") this.#report(digest, "broken-link", true);
      else if (this.#reader.blobSize(link) === null) this.#reportOrphan(digest);
      else if (this.#options.corrupt.has(link)) this.#report(digest, "digest-mismatch", true);
    }
  }

  /** A cache keeps the links of what it has collected: its manifests expire before their layers. */
  #reportOrphan(digest: Digest): void {
    if (this.#options.role === "private") this.#report(digest, "orphan-layer-link", true);
  }

  #report(digest: Digest, kind: FindingKind, linkPresent: boolean): void {
    const known = this.#damaged.get(digest);
    if (known === undefined || precedence(kind) < precedence(known.kind)) {
      this.#damaged.set(digest, { kind, linkPresent: linkPresent || known?.linkPresent === true });
    }
  }

  #finding(digest: Digest, kind: FindingKind, linkPresent: boolean): Finding {
    const blobPresent = this.#reader.blobSize(digest) !== null;
    return {
      repository: this.#repository.name,
      kind,
      digest,
      ...this.#reach.wayTo(digest),
      tags: this.#reach.tagsTo(digest),
      blobPresent,
      linkPresent,
      repairable: blobPresent && this.#reader.isIntact(digest),
    };
  }

  #findingWithoutDigest(kind: FindingKind, known: Partial<Finding>): Finding {
    return {
      repository: this.#repository.name,
      kind,
      digest: null,
      parent: null,
      platform: null,
      tags: [],
      blobPresent: false,
      linkPresent: false,
      repairable: false,
      ...known,
    };
  }

  /** The catalog lists the repositories that have `_layers`; one without `tags` has no list of tags. */
  #hidden(uploads: Upload[]): Finding[] {
    if (this.#options.role === "proxy") return [];
    const { tags, revisions, layerLinks } = this.#counts;
    const notInCatalog = tags + revisions > 0 && !this.#reader.isFolder(this.#repository.layers);
    if (notInCatalog) return [this.#findingWithoutDigest("hidden-repository", {})];
    if (layerLinks + revisions === 0 || this.#reader.isFolder(this.#repository.tags)) return [];
    if (!wasNeverTagged(this.#reader, this.#repository)) return [this.#findingWithoutDigest("hidden-repository", {})];
    if (isFirstPush(this.#reader, this.#repository, uploads, this.#options.now)) return [];
    return [this.#findingWithoutDigest("untagged-repository", {})];
  }
}

/** What a manifest says about a config or a layer; schema 1 gives no size. */
type Blob = Pick<Descriptor, "digest" | "urls" | "platform"> & { size?: number };
