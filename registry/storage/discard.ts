import type { RegistryClient } from "../oci/client";
import { type Digest, isDigest, sha256 } from "../oci/digest";
import type { Failure } from "../oci/failure";
import { readListing } from "../oci/listing";
import { OCI_INDEX } from "../oci/manifest";
import { type ImageTarget, isTag } from "../oci/reference";
import { Folder, within } from "./folder";
import type { StoreReader } from "./reader";
import { StorageRefusal } from "./refusal";
import { type RegistryWriter, WriteRefused } from "./registry-writer";

/** An image to remove because nothing heals it. */
export interface Discard {
  repository: string;
  /** Null where nothing tells what the tag points at. */
  digest: Digest | null;
  /** Every tag that goes with it, in ascending order. */
  tags: string[];
}

/**
 * Works out what is removed with an image.
 *
 * @param failures of the registry
 * @param storage its storage, where it is known: it tells what tags point at that the registry cannot serve
 * @throws StorageRefusal when the image is whole, others need it, or it is not there
 */
export async function planDiscard(
  image: ImageTarget,
  failures: Failure[],
  client: RegistryClient,
  storage: StoreReader | null,
): Promise<Discard> {
  const { repository } = image;
  const inRepository = failures.filter((failure) => failure.repository === repository);
  const tag = image.digest === null ? (image.tag ?? "latest") : null;
  const digest = image.digest ?? (await digestOf(client, storage, repository, tag ?? ""));
  const broken = inRepository.filter(
    ({ object, tags, path }) =>
      (object === "tag" && tag !== null && tags.includes(tag)) || (digest !== null && path.includes(digest)),
  );
  const name = tag === null ? `${repository}@${digest}` : `${repository}:${tag}`;
  if (broken.length === 0) {
    const isThere = digest !== null || (tag !== null && (await tagsOf(client, repository)).includes(tag));
    throw isThere ? whole(name) : absent(name);
  }
  if (tag === null && digest !== null) refusePart(repository, digest, broken);
  const sharing = digest === null ? [] : await tagsPointingAt(client, storage, repository, digest);
  const unknown = sharing.length === 0 && broken.every(({ path, reason }) => path.length === 1 && reason === "missing");
  if (tag === null && digest !== null && unknown && !isLinked(storage, repository, digest)) throw absent(name);
  return { repository, digest, tags: [...new Set([...(tag === null ? [] : [tag]), ...sharing])].sort() };
}

function whole(name: string): StorageRefusal {
  const hint = "leave out --discard for it, or the sources that would heal it: what can be kept is kept";
  return new StorageRefusal("whole", `${name} is whole, or will be by this repair`, hint);
}

function absent(name: string): StorageRefusal {
  const hint = "leave out --discard for it, or give --storage where only the disk still has a link of it";
  return new StorageRefusal("not-found", `${name} is not in this registry`, hint);
}

/** Removes the link of a manifest that is broken; looked at once more right before. */
function removeBrokenRevision(storage: StoreReader, repository: string, digest: Digest): void {
  const { layout } = storage;
  const folder = Folder.open(layout, layout.repository(repository).revision(digest));
  if (folder === null) return;
  within(folder, () => {
    const link = storage.linkTo(layout.repository(repository).revisionLink(digest), digest);
    if (isDigest(link) && storage.manifest(digest, link).state === "whole") return;
    folder.removeFile("link");
  });
}

/** Whether the disk has a link of the manifest, whatever that says. */
function isLinked(storage: StoreReader | null, repository: string, digest: Digest): boolean {
  return storage !== null && storage.link(storage.layout.repository(repository).revisionLink(digest)) !== "absent";
}

/** A manifest that an index names cannot go alone: the index would be broken then. */
function refusePart(repository: string, digest: Digest, broken: Failure[]): void {
  const whole = broken.find(({ path }) => path.indexOf(digest) > 0);
  if (whole === undefined) return;
  throw new StorageRefusal(
    "needed",
    `${repository}@${digest} is part of ${whole.tags.map((tag) => `${repository}:${tag}`).join(", ")}`,
    "discard that",
  );
}

/** What a tag points at, by the registry or by its storage. */
async function digestOf(
  client: RegistryClient,
  storage: StoreReader | null,
  repository: string,
  tag: string,
): Promise<Digest | null> {
  const { status, headers, body } = await client.manifest(repository, tag);
  const announced = headers["docker-content-digest"];
  if (status === 200) return isDigest(announced) ? announced : sha256(body);
  const link = storage?.link(storage.layout.repository(repository).tagLink(tag));
  return isDigest(link) ? link : null;
}

async function tagsPointingAt(
  client: RegistryClient,
  storage: StoreReader | null,
  repository: string,
  digest: Digest,
): Promise<string[]> {
  const sharing: string[] = [];
  for (const tag of await tagsOf(client, repository)) {
    if ((await digestOf(client, storage, repository, tag)) === digest) sharing.push(tag);
  }
  return sharing;
}

async function tagsOf(client: RegistryClient, repository: string): Promise<string[]> {
  return (await readListing("tags", isTag, (next) => client.tags(repository, next))).names;
}

/**
 * Removes an image by digest. A tag whose manifest is lost cannot be removed so, and 2.8.3 removes none by name: such a
 * tag is first pointed at an empty index of its own, which is then removed with it. Nor does 2.8.3 remove a manifest whose
 * data or link is broken, and its garbage collection fails on such a link: with the storage, that goes from the disk.
 *
 * @throws WriteRefused when the registry refuses
 */
export async function applyDiscard(
  { repository, digest, tags }: Discard,
  client: RegistryClient,
  writer: RegistryWriter,
  storage: StoreReader | null,
): Promise<void> {
  if (digest !== null) {
    const status = await writer.remove(repository, digest);
    // 400, 404 and 500: the registry cannot even look at it; its tags can go all the same.
    if (![202, 400, 404, 500].includes(status)) throw new WriteRefused(status, `removing ${digest}`);
    if (status !== 202 && storage !== null) removeBrokenRevision(storage, repository, digest);
  }
  const left = new Set(await tagsOf(client, repository));
  for (const tag of tags.filter((each) => left.has(each))) {
    if ((await writer.remove(repository, tag)) === 202) continue;
    const empty = JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_INDEX,
      manifests: [],
      annotations: { "org.opencontainers.image.description": `${repository}:${tag} is being removed` },
    });
    await writer.pushManifest(repository, tag, Buffer.from(empty), OCI_INDEX);
    const status = await writer.remove(repository, sha256(empty));
    if (status !== 202) throw new WriteRefused(status, `removing the tag ${tag}`);
  }
}
