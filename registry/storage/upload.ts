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
export const readUploads = (reader: StoreReader, repository: RepositoryLayout, now: number): Upload[] =>
  reader.uploads(repository).map((id) => {
    const began = startedAt(reader, repository, id);
    return { id, stale: began !== null && began < now - STALE_AFTER_HOURS * HOUR };
  });

/** A client that is silent for so long has given up its push. */
const GIVEN_UP_AFTER_HOURS = 1;

/**
 * Whether a repository that has no tags may be one whose first push goes on: an upload is open, or the last blob or
 * manifest came lately.
 */
export const isFirstPush = (
  reader: StoreReader,
  repository: RepositoryLayout,
  uploads: Upload[],
  now: number,
): boolean => {
  if (uploads.some(({ stale }) => !stale)) return true;
  const folders = [
    repository.uploads,
    ...subfolders(reader, repository.layers),
    ...subfolders(reader, repository.revisions),
  ];
  return latest(reader, folders) > now - GIVEN_UP_AFTER_HOURS * HOUR;
};

/**
 * Whether a repository without a folder of tags never had one. A push makes `revisions` in `_manifests`, and `tags` after
 * it; what was there and is gone has changed the folder that held it after the first manifest came. Where `_manifests` is
 * missing, the same goes for the repository's folder, unless its last change was that something in it was made.
 */
export const wasNeverTagged = (reader: StoreReader, repository: RepositoryLayout): boolean => {
  const manifests = reader.changedAt(repository.manifests);
  if (manifests !== null) return manifests <= earliest(reader, linksOf(reader, repository.revisions));
  const changed = reader.changedAt(repository.folder) ?? 0;
  if (changed <= earliest(reader, linksOf(reader, repository.layers))) return true;
  const born = subfolders(reader, repository.folder).map((folder) => reader.bornAt(folder));
  return born.some((time) => Math.abs(time - changed) < SAME_MOMENT);
};

/** Milliseconds; the clock of a file system goes in steps. */
const SAME_MOMENT = 20;

/** A folder of links with everything below it, down to the folder of each link. */
const linksOf = (reader: StoreReader, folder: string): string[] => {
  const algorithms = subfolders(reader, folder);
  return [folder, ...algorithms, ...algorithms.flatMap((each) => subfolders(reader, each))];
};

const earliest = (reader: StoreReader, folders: string[]): number =>
  folders.reduce((time, folder) => Math.min(time, reader.changedAt(folder) ?? 0), Number.POSITIVE_INFINITY);

const latest = (reader: StoreReader, folders: string[]): number =>
  folders.reduce((time, folder) => Math.max(time, reader.changedAt(folder) ?? 0), 0);

const subfolders = (reader: StoreReader, folder: string): string[] =>
  reader.list(folder).folders.map((name) => `${folder}/${name}`);

/** What the upload says of itself, else when its folder last changed; null when it is gone meanwhile. */
const startedAt = (reader: StoreReader, repository: RepositoryLayout, id: string): number | null => {
  const said = Date.parse(reader.text(repository.uploadStarted(id)));
  if (!Number.isNaN(said)) return said;
  return reader.changedAt(repository.upload(id));
};
