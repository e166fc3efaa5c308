import type { Digest } from "../oci/digest";
import { Folder, within } from "./folder";
import type { RepositoryLayout } from "./layout";
import type { StoreReader } from "./reader";

/**
 * Removes a layer link whose blob has no data, after looking at both once more. The registry writes the data before the
 * link, so a push that comes in between is seen by looking at the data again afterwards: the link is then put back.
 *
 * @returns whether it was removed
 * @throws StorageRefusal where the disk does not let it
 */
export const removeOrphanLayerLink = (reader: StoreReader, repository: RepositoryLayout, digest: Digest): boolean => {
  const link = reader.link(repository.layerLink(digest));
  if (link === "absent" || link === "broken" || reader.sizeNow(link) !== null) return false;
  const folder = Folder.open(reader.layout, repository.layer(digest));
  if (folder === null) return false;
  return within(folder, () => {
    // Its folder stays, as after a DELETE: a push may be about to write into it.
    const before = folder.stat("link");
    if (before === null || folder.read("link", link.length + 1)?.toString("latin1") !== link) return false;
    folder.removeFile("link");
    if (reader.sizeNow(link) === null) return true;
    // Unless the push has written it by now.
    if (folder.stat("link") === null) folder.writeNew("link", [link], before);
    return false;
  });
};
