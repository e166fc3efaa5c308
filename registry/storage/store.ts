import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Role } from "../oci/repository";
import { isFolderAt } from "./disk";
import { hintForReading } from "./disk-error";
import { StorageLayout } from "./layout";
import { StoreReader } from "./reader";
import { StorageRefusal } from "./refusal";

/** One registry's data. */
export interface Store {
  /** Its folder's name in the given folder of stores; null if the store itself was given. */
  readonly name: string | null;
  readonly layout: StorageLayout;
}

/**
 * The stores at a path: the folder that a registry mounts at /var/lib/registry, or a folder of such folders.
 *
 * @throws StorageRefusal when there is none, or the layout is not distribution's
 */
export const findStores = (path: string): Store[] => {
  // An empty string, as from an unset variable, would mean the working directory.
  if (path === "") throw new StorageRefusal("not-found", "the storage root is empty", `give ${WANTED}`);
  const root = resolve(path);
  if (!isFolderAt(root)) {
    throw new StorageRefusal("not-found", `${path} is not a folder`, `give ${WANTED}`);
  }
  const stores = isStore(root) ? [{ name: null, layout: new StorageLayout(root) }] : storesIn(root);
  if (stores.length === 0) {
    throw new StorageRefusal("unknown-layout", `${path} holds no docker/registry/v2`, `give ${WANTED}`);
  }
  for (const { layout } of stores) refuseForeign(layout);
  return stores;
};

/** The only store at a path. @throws StorageRefusal when there is none, or a folder of several */
export const oneStore = (path: string): Store => {
  const [store, other] = findStores(path);
  if (store !== undefined && other === undefined && store.name === null) return store;
  throw new StorageRefusal(
    "unknown-layout",
    `${path} is a folder of stores`,
    `give one of them, for example ${store?.layout.root}`,
  );
};

/** The role according to its files: only a pull-through cache has a schedule of expiry times. */
export const roleOf = ({ layout }: Store): Role =>
  new StoreReader(layout).changedAt(layout.schedulerState) === null ? "private" : "proxy";

const WANTED = "the folder that holds docker/registry/v2, or a folder of such folders";

const isStore = (root: string): boolean => isFolderAt(new StorageLayout(root).registry);

const storesIn = (root: string): Store[] => {
  let names: string[];
  try {
    names = readdirSync(root).sort();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new StorageRefusal("unreadable", `${root} cannot be listed (${code})`, hintForReading(root));
  }
  return names
    .filter((name) => isStore(join(root, name)))
    .map((name) => ({ name, layout: new StorageLayout(join(root, name)) }));
};

/** Without repositories, all blobs would look like garbage. */
const refuseForeign = ({ registry, repositories, blobs }: StorageLayout): void => {
  if (isFolderAt(blobs) && !isFolderAt(repositories)) {
    throw new StorageRefusal(
      "unknown-layout",
      `${registry} holds blobs and no repositories`,
      "put the folder repositories back from a backup before anything else",
    );
  }
};
