import { lchownSync } from "node:fs";
import { type Digest, isDigest } from "../oci/digest";
import type { Discard } from "./discard";
import type { Finding } from "./finding";
import { Folder, within } from "./folder";
import type { Journal } from "./journal";
import type { RepositoryLayout, StorageLayout } from "./layout";
import type { StoreReader } from "./reader";

/**
 * Moves the links of a discarded image into a journal, in the order of references: its tags, then the image itself, then its
 * broken parts that nothing else needs, which the registry's own DELETE leaves behind and its garbage collection trips
 * over. Everything is checked again immediately before.
 *
 * @param all everything that is discarded
 */
export const discardOnDisk = (
  { repository: name, digest, tags }: Discard,
  all: readonly Discard[],
  findings: readonly Finding[],
  storage: StoreReader,
  journal: Journal,
): void => {
  const repository = storage.layout.repository(name);
  if (digest === null && tags.length === 0) {
    makeVisible(storage.layout, repository);
    return;
  }
  for (const tag of tags) {
    const link = storage.link(repository.tagLink(tag));
    // Pushed again in the meantime: it is another image now.
    if (isDigest(link) && link !== digest) continue;
    journal.remove(repository.tag(tag));
  }
  const isNeeded = storage.tags(repository).some((tag) => storage.link(repository.tagLink(tag)) === digest);
  if (digest !== null && !isNeeded) journal.remove(repository.revision(digest));
  const gone = new Set(all.flatMap((each) => (each.repository === name ? each.tags : [])));
  for (const finding of findings) {
    if (finding.repository !== name || finding.digest === null) continue;
    const needed = finding.tags.length === 0 ? finding.digest !== digest : finding.tags.some((tag) => !gone.has(tag));
    if (!needed) removeBrokenLinks(finding.digest, repository, storage, journal);
  }
};

/** Removes the links whose data does not match their digest; keeps those that are intact by now. */
const removeBrokenLinks = (
  digest: Digest,
  repository: RepositoryLayout,
  storage: StoreReader,
  journal: Journal,
): void => {
  const revision = storage.linkTo(repository.revisionLink(digest), digest);
  if (revision !== "absent" && !(isDigest(revision) && storage.manifest(digest, revision).state === "whole")) {
    journal.remove(repository.revision(digest));
  }
  const layer = storage.linkTo(repository.layerLink(digest), digest);
  if (layer !== "absent" && !(isDigest(layer) && storage.isIntact(layer))) journal.remove(repository.layer(digest));
  // A registry never overwrites the data of a digest: as long as this file exists, no push can replace it.
  if (storage.sizeNow(digest) !== null && !storage.isIntact(digest)) journal.remove(storage.layout.blob(digest));
};

/** Turns a repository that lost its folders into one without tags: its contents are then removed according to the policy. */
const makeVisible = (layout: StorageLayout, { folder, manifests }: RepositoryLayout): void => {
  for (const [parent, name] of [
    [folder, "_layers"],
    [folder, "_manifests"],
    [manifests, "tags"],
  ] as const) {
    const held = Folder.open(layout, parent);
    if (held === null) continue;
    within(held, () => {
      if (held.stat(name) !== null) return;
      held.makeFolder(name);
      const { uid, gid } = held.stats();
      // A registry that does not run as root must be able to write to it.
      lchownSync(held.at(name), uid, gid);
    });
  }
};
