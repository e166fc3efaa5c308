import { ExchangeError } from "../oci/http";
import type { RegistryWriter } from "../oci/push";
import { Folder, within } from "./folder";
import type { StorageLayout } from "./layout";
import { StorageRefusal } from "./refusal";

/**
 * Ensures that a registry does not write: either nothing listens at its address, or it answers an upload with 405, as in
 * read-only mode. After any other answer it may be writing.
 *
 * @param repository an existing one. A registry that cancels an upload leaves its folder behind, which is removed from the disk
 * @returns which of the two it is
 * @throws StorageRefusal `registry-running`, or `registry-unknown` when its state cannot be determined
 */
export const requireNoWrites = async (
  writer: RegistryWriter,
  layout: StorageLayout,
  repository: string,
): Promise<"down" | "read-only"> => {
  const { host } = writer.url;
  const { status, id } = await writer.tryUpload(repository).catch((error: unknown) => {
    if (!(error instanceof ExchangeError)) throw error;
    if (error.code === "unreachable" && error.message.includes("ECONNREFUSED")) return { status: DOWN, id: null };
    throw new StorageRefusal(
      "registry-unknown",
      `whether ${host} is down cannot be told: ${error.message}`,
      "give the registry's own address, where a stopped registry refuses connections",
    );
  });
  if (id !== null) removeEnded(layout, repository, id);
  if (status === DOWN) return "down";
  if (status === 405) return "read-only";
  if (status === 401 || status === 403) {
    throw new StorageRefusal(
      "registry-unknown",
      `${host} answers ${status}, so whether it is read-only cannot be told`,
      "set REG_USER and REG_PASS to an account that may push",
    );
  }
  if (status === 202) {
    throw new StorageRefusal(
      "registry-running",
      `${host} runs and takes uploads`,
      "stop it, or restart it read-only (storage.maintenance.readonly.enabled), and run this again",
    );
  }
  throw new StorageRefusal(
    "registry-unknown",
    `${host} answers an upload with ${status}, which is neither refused (405) nor down`,
    "give the registry's own address, not that of a proxy in front of it",
  );
};

const removeEnded = (layout: StorageLayout, repository: string, id: string): void => {
  try {
    const uploads = Folder.open(layout, layout.repository(repository).uploads);
    if (uploads !== null) within(uploads, () => uploads.removeAll(id));
  } catch {
    // What has to be reported is that the registry is running.
  }
};

/** Stands for a status when nothing listens. */
const DOWN = 0;
