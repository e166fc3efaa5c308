import type { RegistryClient } from "../oci/client";
import { type Digest, isDigest, sha256 } from "../oci/digest";
import type { Failure } from "../oci/failure";
import { readListing } from "../oci/listing";
import { OCI_INDEX } from "../oci/manifest";
import { type ImageTarget, isTag } from "../oci/reference";
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
 * @returns null when the image is whole
 * @throws StorageRefusal when others need the image
 */
export async function planDiscard(
  image: ImageTarget,
  failures: Failure[],
  client: RegistryClient,
  storage: StoreReader | null,
): Promise<Discard | null> {
  const { repository } = image;
  const inRepository = failures.filter((failure) => failure.repository === repository);
  const tag = image.digest === null ? (image.tag ?? "latest") : null;
  const digest = image.digest ?? (await digestOf(client, storage, repository, tag ?? ""));
  const broken = inRepository.filter(
    ({ object, tags, path }) =>
      (object === "tag" && tag !== null && tags.includes(tag)) || (digest !== null && path.includes(digest)),
  );
  if (broken.length === 0) return null;
  if (tag === null && digest !== null) refusePart(repository, digest, broken);
  const sharing = digest === null ? [] : await tagsPointingAt(client, storage, repository, digest);
  return { repository, digest, tags: [...new Set([...(tag === null ? [] : [tag]), ...sharing])].sort() };
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
 * tag is first pointed at an empty index of its own, which is then removed with it.
 *
 * @throws WriteRefused when the registry refuses
 */
export async function applyDiscard(
  { repository, digest, tags }: Discard,
  client: RegistryClient,
  writer: RegistryWriter,
): Promise<void> {
  if (digest !== null) {
    const status = await writer.remove(repository, digest);
    // 404 and 500: the registry cannot even look at it; its tags can go all the same.
    if (![202, 404, 500].includes(status)) throw new WriteRefused(status, `removing ${digest}`);
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
