import type { Digest } from "../oci/digest";
import { Folder, within } from "./folder";
import type { RepositoryLayout } from "./layout";
import type { StoreReader } from "./reader";

/**
 * Removes a layer link whose blob has no data, after checking both again. The registry writes the data before the link, so a
 * concurrent push is detected by checking the data once more afterwards: the link is then restored.
 *
 * @returns whether it was removed
 * @throws StorageRefusal if the disk refuses
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
    // Unless a push has written it in the meantime.
    if (folder.stat("link") === null) folder.writeNew("link", [link], before);
    return false;
  });
};
