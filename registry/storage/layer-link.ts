import { rmSync, writeFileSync } from "node:fs";
import type { Digest } from "../oci/digest";
import type { RepositoryLayout } from "./layout";
import { fileSize, type StoreReader } from "./reader";

/**
 * Removes a layer link whose blob has no data, after looking at both once more. The registry writes the data before the
 * link, so a push that comes in between is seen by looking at the data again afterwards: the link is then put back.
 *
 * @returns whether it was removed
 */
export function removeOrphanLayerLink(reader: StoreReader, repository: RepositoryLayout, digest: Digest): boolean {
  const path = repository.layerLink(digest);
  const link = reader.link(path);
  if (link === "absent" || link === "broken") return false;
  const data = reader.layout.blobData(link);
  if (fileSize(data) !== null) return false;
  // Its folder stays, as after a DELETE: a push may be about to write into it.
  rmSync(path);
  if (fileSize(data) === null) return true;
  writeFileSync(path, link);
  return false;
}
