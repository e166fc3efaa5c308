import type { RegistryClient } from "../oci/client";
import { type Digest, isDigest, sha256 } from "../oci/digest";
import type { Failure } from "../oci/failure";
import { readListing } from "../oci/listing";
import { OCI_INDEX } from "../oci/manifest";
import { type RegistryWriter, WriteRefused } from "../oci/push";
import { type ImageTarget, isTag } from "../oci/reference";
import { StoreContents } from "./contents";
import type { Finding } from "./finding";
import type { StoreReader } from "./reader";
import { StorageRefusal } from "./refusal";

/**
 * What to discard: a tag or a digest; without either, the tag `latest` or a repository that has lost its folders. The digest
 * may be abbreviated, as in the tables.
 */
export type DiscardTarget = Pick<ImageTarget, "repository" | "tag" | "digest">;

/** An image to remove because nothing can repair it. */
export interface Discard {
  repository: string;
  /** Null if the tag's target is unknown, and for a repository. */
  digest: Digest | null;
  /** Every tag that is removed with it, in ascending order. */
  tags: string[];
}

/** The known damage. */
export interface KnownDamage {
  /** From the registry. */
  failures: Failure[];
  /** From its storage; empty if that is not known. */
  findings: Finding[];
}

/** The full digest for one that may be abbreviated. @throws StorageRefusal when it does not exist, or is ambiguous */
export const wholeDigest = (
  { repository, digest }: DiscardTarget,
  { failures, findings }: KnownDamage,
  storage: StoreReader | null,
): Digest | null => {
  if (digest === null || isDigest(digest)) return digest;
  const layout = storage?.layout.repository(repository);
  const known = [
    ...failures.flatMap((each) => (each.repository === repository ? each.path : [])),
    ...findings.flatMap((each) => (each.repository === repository ? (each.digest ?? []) : [])),
    ...(storage === null || layout === undefined ? [] : storage.digests(layout.revisions)),
  ];
  const [found, other] = new Set(known.filter((each) => each.startsWith(digest)));
  if (found === undefined) throw absent(`${repository}@${digest}…`);
  if (other === undefined) return found;
  throw new StorageRefusal(
    "not-found",
    `${repository}@${digest} may be ${found} or ${other}`,
    "give more of its digits",
  );
};

/**
 * Works out what is removed with an image.
 *
 * @param together every digest of the repository that is discarded with it
 * @param storage of the registry, if known: it shows what tags point at that the registry cannot serve
 * @throws StorageRefusal when the image is intact, needed by others, or does not exist
 */
export const planDiscard = async (
  { repository, tag: named, digest: given }: DiscardTarget,
  together: readonly (Digest | null)[],
  { failures, findings }: KnownDamage,
  client: RegistryClient,
  storage: StoreReader | null,
): Promise<Discard> => {
  const hidden = findings.some((each) => each.repository === repository && each.kind === "hidden-repository");
  if (named === null && given === null && hidden) return { repository, digest: null, tags: [] };
  const tag = given === null ? (named ?? "latest") : null;
  const digest = given ?? (await digestOf(client, storage, repository, tag ?? ""));
  const broken = failures.filter(
    (failure) =>
      failure.repository === repository &&
      ((failure.object === "tag" && tag !== null && failure.tags.includes(tag)) ||
        (digest !== null && failure.path.includes(digest))),
  );
  const sharing = digest === null ? [] : await tagsPointingAt(client, storage, repository, digest);
  const tags = [...new Set([...(tag === null ? [] : [tag]), ...sharing])].sort();
  const onDisk = findings.some(
    (finding) => finding.repository === repository && isBrokenBy(finding, { tags, digest }, storage),
  );
  const name = tag === null ? `${repository}@${digest}` : `${repository}:${tag}`;
  if (broken.length === 0 && !onDisk) {
    const isThere = digest !== null || (tag !== null && (await tagsOf(client, repository)).includes(tag));
    throw isThere ? whole(name) : absent(name);
  }
  if (tag === null && digest !== null) refusePart(repository, digest, together, broken);
  const unknown = tags.length === 0 && broken.every(({ path, reason }) => path.length === 1 && reason === "missing");
  if (tag === null && digest !== null && unknown && !onDisk && !isLinked(storage, repository, digest))
    throw absent(name);
  return { repository, digest, tags };
};

/** Whether a finding is about an image or a part of it. */
const isBrokenBy = (
  finding: Finding,
  { tags, digest }: Pick<Discard, "tags" | "digest">,
  storage: StoreReader | null,
): boolean => {
  if (finding.tags.some((tag) => tags.includes(tag))) return true;
  if (digest === null || finding.repository === null || finding.digest === null || finding.tags.length > 0)
    return false;
  if (finding.digest === digest) return true;
  return storage !== null && new StoreContents(storage).naming(finding.repository, finding.digest).includes(digest);
};

const whole = (name: string): StorageRefusal => {
  const hint = "leave out --discard for it, or the sources that would heal it: what can be kept is kept";
  return new StorageRefusal("whole", `${name} is whole, or will be by this repair`, hint);
};

const absent = (name: string): StorageRefusal => {
  const hint = "leave out --discard for it, or give --storage where only the disk still has a link of it";
  return new StorageRefusal("not-found", `${name} is not in this registry`, hint);
};

const isLinked = (storage: StoreReader | null, repository: string, digest: Digest): boolean =>
  storage !== null && storage.link(storage.layout.repository(repository).revisionLink(digest)) !== "absent";

/** A manifest named by an index cannot be removed alone: that would break the index. */
const refusePart = (
  repository: string,
  digest: Digest,
  together: readonly (Digest | null)[],
  broken: readonly Failure[],
): void => {
  const user = broken.find(({ path }) => path.indexOf(digest) > 0 && !together.includes(path[0] ?? null));
  if (user === undefined) return;
  const users =
    user.tags.length > 0 ? user.tags.map((tag) => `${repository}:${tag}`) : [`${repository}@${user.path[0]}`];
  throw new StorageRefusal("needed", `${repository}@${digest} is part of ${users.join(", ")}`, "discard that");
};

/** The target of a tag, according to the registry or its storage. */
const digestOf = async (
  client: RegistryClient,
  storage: StoreReader | null,
  repository: string,
  tag: string,
): Promise<Digest | null> => {
  const link = storage?.link(storage.layout.repository(repository).tagLink(tag));
  if (isDigest(link)) return link;
  const { status, headers, body } = await client.manifest(repository, tag);
  const announced = headers["docker-content-digest"];
  if (status !== 200) return null;
  return isDigest(announced) ? announced : sha256(body);
};

const tagsPointingAt = async (
  client: RegistryClient,
  storage: StoreReader | null,
  repository: string,
  digest: Digest,
): Promise<string[]> => {
  const sharing: string[] = [];
  for (const tag of await tagsOf(client, repository)) {
    if ((await digestOf(client, storage, repository, tag)) === digest) sharing.push(tag);
  }
  return sharing;
};

const tagsOf = async (client: RegistryClient, repository: string): Promise<string[]> =>
  (await readListing("tags", isTag, (next) => client.tags(repository, next))).names;

/**
 * Removes an image through the registry, by its digest. A tag whose manifest is lost cannot be removed that way, and 2.8.3
 * does not delete tags by name: such a tag is first pointed at an empty index created for it, which is then removed along
 * with the tag. 2.8.3 also cannot remove a manifest whose data or link is broken: that requires the storage.
 *
 * @throws WriteRefused when the registry refuses
 */
export const discardByApi = async (
  { repository, digest, tags }: Discard,
  client: RegistryClient,
  writer: RegistryWriter,
): Promise<void> => {
  if (digest !== null) {
    const { status } = await writer.remove(repository, digest);
    // 400, 404 and 500: the registry cannot even read it, but its tags can be removed nevertheless.
    if (![202, 400, 404, 500].includes(status)) throw new WriteRefused(status, `removing ${digest}`);
  }
  const left = new Set(await tagsOf(client, repository));
  for (const tag of tags.filter((each) => left.has(each))) {
    if ((await writer.remove(repository, tag)).status === 202) continue;
    const empty = JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_INDEX,
      manifests: [],
      annotations: { "org.opencontainers.image.description": `${repository}:${tag} is being removed` },
    });
    await writer.pushManifest(repository, tag, Buffer.from(empty), OCI_INDEX);
    const { status } = await writer.remove(repository, sha256(empty));
    if (status !== 202) throw new WriteRefused(status, `removing the tag ${tag}`);
  }
};
