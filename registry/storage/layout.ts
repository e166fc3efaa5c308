import type { Digest } from "../oci/digest";

/**
 * Where distribution's filesystem driver stores everything, below the folder mounted at /var/lib/registry. All paths in the
 * program are derived from here.
 *
 *     docker/registry/v2/
 *       blobs/<algorithm>/<first two>/<encoded>/data
 *       repositories/<name>/
 *         _layers/<algorithm>/<encoded>/link                  configs and layers the repository may serve
 *         _manifests/revisions/<algorithm>/<encoded>/link     manifests the repository may serve
 *         _manifests/tags/<tag>/current/link                  what the tag points at
 *         _manifests/tags/<tag>/index/<algorithm>/<encoded>/link   everything it ever pointed at
 *         _uploads/<id>/{data,startedat,hashstates}
 *
 * A link is a file that contains a digest and nothing else. A manifest is served when its revision link, or a layer link with
 * the same digest, and the blob's data exist; a layer when its layer link and the data exist. Identical in 2.8.3 and
 * 3.0.0: registry/storage/paths.go of distribution.
 */
export class StorageLayout {
  readonly registry: string;
  readonly repositories: string;
  readonly blobs: string;

  constructor(readonly root: string) {
    this.registry = `${root}/docker/registry/v2`;
    this.repositories = `${this.registry}/repositories`;
    this.blobs = `${this.registry}/blobs`;
  }

  /** Written only by a pull-through cache: when each cached object expires. */
  get schedulerState(): string {
    return `${this.root}/scheduler-state.json`;
  }

  /** Ours: prune's lock and journals. The registry never looks there; it is on the same disk, so a rename suffices. */
  get warden(): string {
    return `${this.root}/registry-warden`;
  }

  blob(digest: Digest): string {
    const colon = digest.indexOf(":");
    const start = colon + 1;
    return `${this.blobs}/${digest.slice(0, colon)}/${digest.slice(start, start + 2)}/${digest.slice(start)}`;
  }

  blobData(digest: Digest): string {
    return `${this.blob(digest)}/data`;
  }

  repository(name: string): RepositoryLayout {
    return new RepositoryLayout(name, `${this.repositories}/${name}`);
  }
}

export class RepositoryLayout {
  readonly layers: string;
  readonly manifests: string;
  readonly revisions: string;
  readonly tags: string;
  readonly uploads: string;

  constructor(
    readonly name: string,
    readonly folder: string,
  ) {
    this.layers = `${folder}/_layers`;
    this.manifests = `${folder}/_manifests`;
    this.revisions = `${this.manifests}/revisions`;
    this.tags = `${this.manifests}/tags`;
    this.uploads = `${folder}/_uploads`;
  }

  layer(digest: Digest): string {
    return entry(this.layers, digest);
  }

  layerLink(digest: Digest): string {
    return `${this.layer(digest)}/link`;
  }

  revision(digest: Digest): string {
    return entry(this.revisions, digest);
  }

  revisionLink(digest: Digest): string {
    return `${this.revision(digest)}/link`;
  }

  tag(tag: string): string {
    return `${this.tags}/${tag}`;
  }

  tagLink(tag: string): string {
    return `${this.tag(tag)}/current/link`;
  }

  tagHistory(tag: string): string {
    return `${this.tag(tag)}/index`;
  }

  tagHistoryEntry(tag: string, digest: Digest): string {
    return entry(this.tagHistory(tag), digest);
  }

  upload(id: string): string {
    return `${this.uploads}/${id}`;
  }

  /** Contains the time when the upload began, RFC 3339. */
  uploadStarted(id: string): string {
    return `${this.upload(id)}/startedat`;
  }
}

/** Link folders are nested by algorithm: `_layers/sha256/<encoded>`. */
const entry = (folder: string, digest: Digest): string => `${folder}/${digest.replace(":", "/")}`;

/** The folders that identify a repository. */
export const OF_A_REPOSITORY: readonly string[] = ["_layers", "_manifests", "_uploads"];

/** The algorithms that the registry's library knows: go-digest. */
export const ALGORITHMS: readonly string[] = ["sha256", "sha384", "sha512"];
