import type { RegistryClient } from "../oci/client";
import { type Listing, readListing } from "../oci/listing";
import { isFolderAt } from "./disk";
import type { StorageLayout } from "./layout";
import { StoreReader } from "./reader";
import { StorageRefusal } from "./refusal";

/**
 * Ensures that the registry that answers is the one of this store: it serves exactly the repositories and tags on the disk.
 * A mirror and a copy are read-only too, but say nothing about who writes to this store.
 *
 * @throws StorageRefusal `registry-unknown`
 */
export const requireSameRegistry = async (client: RegistryClient, layout: StorageLayout): Promise<void> => {
  const reader = new StoreReader(layout);
  const { host } = client.url;
  await client.ping();
  const served = new Set(
    await namesOf(
      host,
      readListing("repositories", isText, (next) => client.catalog(next)),
    ),
  );
  // The registry follows links that a reader does not.
  const foreign = [...served].find((name) => !isFolderAt(layout.repository(name).folder));
  if (foreign !== undefined) throw other(host, `it serves ${foreign}, which is not in ${layout.root}`);
  for (const repository of reader.repositories()) {
    const tags = reader.tags(repository);
    // The catalog lists repositories with layers; in newer registries, those with tags.
    if (tags.length === 0 || !reader.isFolder(repository.layers)) continue;
    const { name } = repository;
    if (!served.has(name)) throw other(host, `it does not serve ${name}, which is in ${layout.root}`);
    const listed = new Set(
      await namesOf(
        host,
        readListing("tags", isText, (next) => client.tags(name, next)),
      ),
    );
    const missing = tags.find((tag) => !listed.has(tag));
    if (missing !== undefined) throw other(host, `it does not serve ${name}:${missing}, which is in ${layout.root}`);
    const here = new Set([...reader.list(repository.tags).folders, ...reader.list(repository.tags).others.keys()]);
    const more = [...listed].find((tag) => !here.has(tag));
    if (more !== undefined) throw other(host, `it serves ${name}:${more}, which is not in ${layout.root}`);
  }
};

const isText = (entry: unknown): entry is string => typeof entry === "string";

const namesOf = async (host: string, reading: Promise<Listing>): Promise<string[]> => {
  const { names, failure } = await reading;
  if (failure === null) return names;
  throw new StorageRefusal(
    "registry-unknown",
    `whether ${host} is the registry of this store cannot be told: ${failure.detail}`,
    "give an account that may read the catalog and every list of tags, or stop the registry",
  );
};

const other = (host: string, why: string): StorageRefusal => {
  const hint = "give the address of the registry that serves this store";
  return new StorageRefusal("registry-unknown", `${host} is not the registry of this store: ${why}`, hint);
};
