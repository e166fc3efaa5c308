import type { RepositoryLayout } from "./layout";
import type { StoreReader } from "./reader";

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
  return reader.uploads(repository).map((id) => {
    const began = startedAt(reader, repository, id);
    return { id, stale: began !== null && began < now - STALE_AFTER_HOURS * HOUR };
  });
}

/** A client that is silent for so long has given up its push. */
const GIVEN_UP_AFTER_HOURS = 1;

/**
 * Whether a repository that has no tags may be one whose first push goes on: an upload is open, or the last blob or
 * manifest came lately. Who takes its tags away changes the folder that held them after that; a push does not.
 */
export function isFirstPush(
  reader: StoreReader,
  repository: RepositoryLayout,
  uploads: Upload[],
  now: number,
): boolean {
  if (uploads.some(({ stale }) => !stale)) return true;
  const lost = reader.changedAt(repository.manifests) ?? reader.changedAt(repository.folder) ?? 0;
  const folders = [
    repository.uploads,
    ...subfolders(reader, repository.layers),
    ...subfolders(reader, repository.revisions),
  ];
  const lastWrite = Math.max(...folders.map((folder) => reader.changedAt(folder) ?? 0));
  return lastWrite > now - GIVEN_UP_AFTER_HOURS * HOUR && lastWrite >= lost;
}

function subfolders(reader: StoreReader, folder: string): string[] {
  return reader.list(folder).folders.map((name) => `${folder}/${name}`);
}

/** What the upload says of itself, else when its folder last changed; null when it is gone meanwhile. */
function startedAt(reader: StoreReader, repository: RepositoryLayout, id: string): number | null {
  const said = Date.parse(reader.text(repository.uploadStarted(id)));
  if (!Number.isNaN(said)) return said;
  return reader.changedAt(repository.upload(id));
}
