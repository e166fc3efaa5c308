import type { RegistryClient } from "../oci/client";
import { isDigest } from "../oci/digest";
import { type Listing, readListing } from "../oci/listing";
import { isFolderAt } from "./disk";
import type { StorageLayout } from "./layout";
import { StoreReader } from "./reader";
import { StorageRefusal } from "./refusal";

/** Something that only one of a registry and a store has. */
export interface Difference {
  repository: string;
  /** Null for the repository itself. */
  tag: string | null;
  /** In words, of the registry. */
  why: string;
}

/**
 * Makes sure that what answers is the registry of a store: it serves the repositories and the tags that are on the disk,
 * and no others. A mirror and a copy are read-only too, and say nothing of who writes to this store.
 *
 * @throws StorageRefusal `registry-unknown`
 */
export async function requireSameRegistry(client: RegistryClient, layout: StorageLayout): Promise<void> {
  const difference = await firstDifference(client, layout, false);
  if (difference !== null) throw other(client.url.host, difference.why);
}

/**
 * As requireSameRegistry, of a store that may be broken and of a registry that may be written to: what it may not serve
 * because of that is no difference, and what is one has to be so twice.
 *
 * @throws StorageRefusal `registry-unknown` where a listing cannot be read
 */
export async function differenceOf(client: RegistryClient, layout: StorageLayout): Promise<Difference | null> {
  return (await firstDifference(client, layout, true)) && firstDifference(client, layout, true);
}

/** As requireSameRegistry, of a registry that a store is repaired through. @throws StorageRefusal `registry-unknown` */
export async function requireRegistryOf(client: RegistryClient, layout: StorageLayout): Promise<void> {
  const difference = await differenceOf(client, layout);
  if (difference !== null) throw other(client.url.host, difference.why);
}

async function firstDifference(
  client: RegistryClient,
  layout: StorageLayout,
  mayBeBroken: boolean,
): Promise<Difference | null> {
  const reader = new StoreReader(layout);
  const { host } = client.url;
  await client.greet();
  const served = new Set(
    await namesOf(
      host,
      readListing("repositories", isText, (next) => client.catalog(next)),
    ),
  );
  // It follows links that a reader does not.
  const foreign = [...served].find((name) => !isFolderAt(layout.repository(name).folder));
  if (foreign !== undefined) {
    return { repository: foreign, tag: null, why: `it serves ${foreign}, which is not in ${layout.root}` };
  }
  for (const repository of reader.repositories()) {
    const tags = reader.tags(repository);
    // The catalog lists what has layers; newer registries what has tags.
    if (tags.length === 0 || !reader.isFolder(repository.layers)) continue;
    const { name } = repository;
    if (!served.has(name)) {
      if (mayBeBroken) continue;
      return { repository: name, tag: null, why: `it does not serve ${name}, which is in ${layout.root}` };
    }
    const listed = new Set(
      await namesOf(
        host,
        readListing("tags", isText, (next) => client.tags(name, next)),
      ),
    );
    const isWhole = (tag: string) => isDigest(reader.link(repository.tagLink(tag)));
    const missing = tags.find((tag) => !listed.has(tag) && (!mayBeBroken || isWhole(tag)));
    if (missing !== undefined) {
      return {
        repository: name,
        tag: missing,
        why: `it does not serve ${name}:${missing}, which is in ${layout.root}`,
      };
    }
    const here = new Set([...reader.list(repository.tags).folders, ...reader.list(repository.tags).others.keys()]);
    const more = [...listed].find((tag) => !here.has(tag));
    if (more !== undefined) {
      return { repository: name, tag: more, why: `it serves ${name}:${more}, which is not in ${layout.root}` };
    }
  }
  return null;
}

const isText = (entry: unknown): entry is string => typeof entry === "string";

async function namesOf(host: string, reading: Promise<Listing>): Promise<string[]> {
  const { names, fault } = await reading;
  if (fault === null) return names;
  throw new StorageRefusal(
    "registry-unknown",
    `whether ${host} is the registry of this store cannot be told: ${fault.detail}`,
    "give an account that may read the catalog and every list of tags, or stop the registry",
  );
}

function other(host: string, why: string): StorageRefusal {
  const hint = "give the address of the registry that serves this store";
  return new StorageRefusal("registry-unknown", `${host} is not the registry of this store: ${why}`, hint);
}
