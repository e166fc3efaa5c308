import { readdirSync, readFileSync, statSync } from "node:fs";
import type { RepositoryLayout } from "./layout";
import { isFolder, type StoreReader } from "./reader";

export interface Upload {
  id: string;
  /** Begun so long ago that nobody will end it. */
  stale: boolean;
}

const HOUR = 3_600_000;

/** No upload takes a day; the registry itself waits a week before it purges (`storage.maintenance.uploadpurging.age`). */
const STALE_AFTER_HOURS = 24;

/** The uploads a repository holds, each a folder; the registry removes ended ones. */
export function readUploads(reader: StoreReader, repository: RepositoryLayout, now: number): Upload[] {
  return reader
    .uploads(repository)
    .filter((id) => isFolder(repository.upload(id)))
    .map((id) => {
      const began = startedAt(repository, id);
      return { id, stale: began !== null && began < now - STALE_AFTER_HOURS * HOUR };
    });
}

/** A client that is silent for so long has given up its push. */
const GIVEN_UP_AFTER_HOURS = 1;

/**
 * Whether a repository that has no tags may be one whose first push goes on: an upload is open, or the last blob or
 * manifest came lately. Who takes its tags away changes the folder that held them after that; a push does not.
 */
export function isFirstPush(repository: RepositoryLayout, uploads: Upload[], now: number): boolean {
  if (uploads.some(({ stale }) => !stale)) return true;
  const lost = changedAt(repository.manifests) ?? changedAt(repository.folder) ?? 0;
  const folders = [repository.uploads, ...subfolders(repository.layers), ...subfolders(repository.revisions)];
  const lastWrite = Math.max(...folders.map((folder) => changedAt(folder) ?? 0));
  return lastWrite > now - GIVEN_UP_AFTER_HOURS * HOUR && lastWrite >= lost;
}

function subfolders(folder: string): string[] {
  try {
    return readdirSync(folder).map((name) => `${folder}/${name}`);
  } catch {
    return [];
  }
}

/** When a folder got or lost an entry, in milliseconds since the epoch; null without it. */
function changedAt(folder: string): number | null {
  return statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? null;
}

/** What the upload says of itself, else when its folder last changed; null when it is gone meanwhile. */
function startedAt(repository: RepositoryLayout, id: string): number | null {
  const said = Date.parse(textOf(repository.uploadStarted(id)));
  if (!Number.isNaN(said)) return said;
  return changedAt(repository.upload(id));
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
