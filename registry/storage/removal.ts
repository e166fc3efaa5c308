import type { Digest } from "../oci/digest";
import { changed, Folder, within } from "./folder";
import type { RepositoryGraph } from "./graph";
import type { Journal } from "./journal";
import type { RepositoryLayout, StorageLayout } from "./layout";
import { StorageRefusal } from "./refusal";
import type { RepositoryPlan } from "./retention";

/** A link folder that is removed. */
export interface RemovedLink {
  path: string;
  /** The link inside it, for which it was chosen, and when that was written, in milliseconds since the epoch. */
  link: string;
  writtenAt: number | null;
}

/**
 * All link folders to remove, referrers before what they refer to: tags, manifests, then configs and layers.
 *
 * @param graphs in the order of the plans
 */
export const removalsOf = (
  layout: StorageLayout,
  graphs: RepositoryGraph[],
  plans: RepositoryPlan[],
): RemovedLink[] => {
  const each = (removals: (plan: RepositoryPlan, at: RepositoryLayout, graph: RepositoryGraph) => RemovedLink[]) =>
    plans.flatMap((plan, at) => removals(plan, layout.repository(plan.name), graphs[at] as RepositoryGraph));
  return [
    ...each(({ removedTags }, repository, { tags }) =>
      removedTags.map(({ tag }) => ({
        path: repository.tag(tag),
        link: "current/link",
        writtenAt: tags.get(tag)?.pushedAt ?? null,
      })),
    ),
    ...each(({ removedHistory }, repository) =>
      removedHistory.map(({ tag, digest }) => unstamped(repository.tagHistoryEntry(tag, digest))),
    ),
    ...each(({ removedManifests }, repository, { manifests }) =>
      removedManifests.map((digest) => ({
        path: repository.revision(digest),
        link: "link",
        writtenAt: manifests.get(digest)?.linkedAt ?? null,
      })),
    ),
    ...each(({ removedLayerLinks }, repository) =>
      removedLayerLinks.map((digest) => unstamped(repository.layer(digest))),
    ),
  ];
};

const unstamped = (path: string): RemovedLink => ({ path, link: "link", writtenAt: null });

/** Removals grouped by their parent folder, in their order. */
const byParent = function* (removals: readonly RemovedLink[]): Generator<[parent: string, removals: RemovedLink[]]> {
  let group: RemovedLink[] = [];
  let parent = "";
  for (const removal of removals) {
    const folder = parentOf(removal.path);
    if (folder !== parent && group.length > 0) {
      yield [parent, group];
      group = [];
    }
    parent = folder;
    group.push(removal);
  }
  if (group.length > 0) yield [parent, group];
};

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf("/"));

/**
 * Ensures, before anything is changed, that each removal can be a single rename: from a folder of the store, reached without
 * a symbolic link, to the journal on the same mount.
 *
 * @throws StorageRefusal
 */
export const refuseOtherMounts = (layout: StorageLayout, removals: readonly RemovedLink[]): void => {
  const here = within(Folder.make(layout, layout.warden), (folder) => folder.mount());
  for (const parent of new Set(removals.map(({ path }) => parentOf(path)))) {
    const folder = Folder.open(layout, parent);
    if (folder === null) continue;
    within(folder, () => {
      if (folder.mount() === here) return;
      throw new StorageRefusal(
        "read-only",
        `${parent} is on another mount than ${layout.warden}, so nothing can be moved from one to the other`,
        "mount the store as one disk, with registry-warden beside docker",
      );
    });
  }
};

/**
 * Moves link folders out of a store, each after a final check: what was written since the plan stays.
 *
 * @throws StorageRefusal when something else is changing the store
 */
export const remove = (layout: StorageLayout, removals: readonly RemovedLink[], journal: Journal): void => {
  for (const [path, group] of byParent(removals)) {
    const parent = Folder.open(layout, path);
    if (parent === null) continue;
    within(parent, () => {
      for (const removal of group) {
        refuseChanged(parent, removal);
        journal.remove(removal.path, parent);
      }
    });
  }
};

const refuseChanged = (parent: Folder, { path, link, writtenAt }: RemovedLink): void => {
  if (writtenAt === null) return;
  let folder = parent.folder(path.slice(parent.path.length + 1));
  for (const name of link.split("/").slice(0, -1)) {
    const below = folder?.folder(name) ?? null;
    folder?.close();
    folder = below;
  }
  // Already gone, so there is nothing to remove.
  if (folder === null) return;
  const found = within(folder, () => folder?.stat("link") ?? null);
  if (found !== null && found.mtimeMs !== writtenAt) throw changed(path);
};

/** The blobs that only removed links lead to. @param graphs in the order of the plans */
export const garbageOf = (
  graphs: RepositoryGraph[],
  plans: RepositoryPlan[],
  hasData: (digest: Digest) => boolean,
): Digest[] => {
  const needed = new Set(plans.flatMap(({ keptBlobs }) => keptBlobs));
  const gone = plans.flatMap(({ removedManifests, removedLayerLinks }, at) => [
    ...removedManifests,
    ...removedLayerLinks.map((digest) => graphs[at]?.layerLinks.get(digest) ?? digest),
  ]);
  return [...new Set(gone)].filter((digest) => !needed.has(digest) && hasData(digest));
};
