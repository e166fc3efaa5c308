import { type Digest, isDigest } from "../oci/digest";
import { isManifestType, type Manifest } from "../oci/manifest";
import { createdDates } from "./created";
import type { RepositoryLayout } from "./layout";
import type { StoreReader } from "./reader";

/** Everything a repository links, and the references between these objects. */
export interface RepositoryGraph {
  name: string;
  tags: Map<string, Tag>;
  /** By digest: every linked revision, including unreadable ones, whose references are unknown. */
  manifests: Map<Digest, LinkedManifest>;
  /** The configs and layers it may serve, with the blob that each leads to. */
  layerLinks: Map<Digest, Digest>;
  /**
   * Manifests that a tag or an index names but no revision links. A registry may serve such a manifest through a layer link
   * with its digest, and then collects what it names as garbage.
   */
  unlinked: Set<Digest>;
  /** What an interrupted earlier run removed, or was about to: what refers to it goes with it. @default nothing */
  removed?: ReadonlySet<Digest>;
  /** Manifests that are known only as the subject of another: they are kept, whatever becomes of that one. @default none */
  hidden?: ReadonlySet<Digest>;
  /** Whether it has no tags folder: either nothing in it was ever tagged, or its tags are lost. @default false */
  untagged?: boolean;
  /** When an image was created according to itself, in milliseconds since the epoch. @default unknown */
  createdAt?(digest: Digest): number | null;
  /** When a layer link was written, in milliseconds since the epoch. @default unknown */
  layerLinkedAt?(digest: Digest): number;
}

export interface Tag {
  digest: Digest;
  /** When the tag was last pushed, in milliseconds since the epoch: when its link was last written. */
  pushedAt: number;
  /** Every digest it ever pointed at. */
  history: Digest[];
}

export interface LinkedManifest {
  /** When it was last pushed to the repository, in milliseconds since the epoch. */
  linkedAt: number;
  /** The manifests, config and layers it names. */
  references: Digest[];
  /** The subject of a signature or an attestation; it may be absent from the store. */
  subject: Digest | null;
}

/** Reads a repository for retention. Broken objects are left out, so the store must be scanned first. */
export const readGraph = (reader: StoreReader, repository: RepositoryLayout, intern: Interner): RepositoryGraph => {
  const tags = new Map<string, Tag>();
  for (const tag of reader.tags(repository)) {
    const link = repository.tagLink(tag);
    const digest = reader.link(link);
    if (!isDigest(digest)) continue;
    const history = [...reader.digests(repository.tagHistory(tag))].map(intern);
    tags.set(tag, { digest: intern(digest), pushedAt: reader.changedAt(link) ?? 0, history });
  }
  const named = new Set([...tags.values()].map(({ digest }) => digest));
  const manifests = new Map<Digest, LinkedManifest>();
  for (const digest of reader.digests(repository.revisions)) {
    const path = repository.revisionLink(digest);
    const link = reader.link(path);
    if (link === "absent") continue;
    const stored = link === "broken" ? null : reader.manifest(digest, link);
    const manifest = stored?.state === "whole" ? stored.manifest : null;
    if (manifest?.kind === "index") {
      for (const child of manifest.manifests) if (isManifestType(child.mediaType)) named.add(intern(child.digest));
    }
    manifests.set(intern(digest), {
      linkedAt: reader.changedAt(path) ?? 0,
      references: manifest === null ? [] : referencesOf(manifest).map(intern),
      subject: manifest?.subject === undefined ? null : intern(manifest.subject.digest),
    });
  }
  const layerLinks = new Map<Digest, Digest>();
  for (const digest of reader.digests(repository.layers)) {
    const link = reader.link(repository.layerLink(digest));
    if (link !== "absent") layerLinks.set(intern(digest), intern(link === "broken" ? digest : link));
  }
  const unlinked = new Set([...named].filter((digest) => !manifests.has(digest)));
  return {
    name: repository.name,
    tags,
    manifests,
    layerLinks,
    unlinked,
    untagged: !reader.isFolder(repository.tags),
    createdAt: createdDates(reader),
    layerLinkedAt: (digest) => reader.changedAt(repository.layerLink(digest)) ?? 0,
  };
};

/** Returns the same string for equal digests, so that a digest named a thousand times is stored once. */
export type Interner = (digest: Digest) => Digest;

export const digestInterner = (): Interner => {
  const known = new Map<Digest, Digest>();
  return (digest) => {
    const same = known.get(digest);
    if (same === undefined) known.set(digest, digest);
    return same ?? digest;
  };
};

export const referencesOf = (manifest: Manifest): Digest[] => {
  switch (manifest.kind) {
    case "index":
      return manifest.manifests.map(({ digest }) => digest);
    case "image":
      return [...(manifest.config === null ? [] : [manifest.config]), ...manifest.layers].map(({ digest }) => digest);
    case "schema1":
      return manifest.layers;
  }
};
