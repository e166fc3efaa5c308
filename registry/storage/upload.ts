import type { RepositoryLayout } from "./layout";
import type { StoreReader } from "./reader";

export interface Upload {
  id: string;
  /** Started so long ago that it will never be finished. */
  stale: boolean;
}

const HOUR = 3_600_000;

/** No upload takes a day; the registry itself waits a week before it purges (`storage.maintenance.uploadpurging.age`). */
const STALE_AFTER_HOURS = 24;

/** The uploads of a repository, a folder each; the registry removes finished ones. */
export const readUploads = (reader: StoreReader, repository: RepositoryLayout, now: number): Upload[] =>
  reader.uploads(repository).map((id) => {
    const began = startedAt(reader, repository, id);
    return { id, stale: began !== null && began < now - STALE_AFTER_HOURS * HOUR };
  });

/** A client that has been silent for this long has given up its push. */
const GIVEN_UP_AFTER_HOURS = 1;

/**
 * Whether a repository without tags may be receiving its first push: an upload is open, or the last blob or manifest arrived
 * recently.
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
 * Whether a repository without a tags folder never had one. A push creates `revisions` in `_manifests`, and `tags` after it;
 * removing an entry later changed the time of its parent folder after the first manifest arrived. If `_manifests` is missing,
 * the same applies to the repository's folder, unless its last change was the creation of an entry.
 */
export const wasNeverTagged = (reader: StoreReader, repository: RepositoryLayout): boolean => {
  const manifests = reader.changedAt(repository.manifests);
  if (manifests !== null) return manifests <= earliest(reader, linksOf(reader, repository.revisions));
  const changed = reader.changedAt(repository.folder) ?? 0;
  if (changed <= earliest(reader, linksOf(reader, repository.layers))) return true;
  const born = subfolders(reader, repository.folder).map((folder) => reader.bornAt(folder));
  return born.some((time) => Math.abs(time - changed) < SAME_MOMENT);
};

/** Milliseconds; timestamps of file systems have a limited resolution. */
const SAME_MOMENT = 20;

/** A link folder and everything below it, down to the folder of each link. */
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

/** When the upload began according to its own file, else when its folder last changed; null if it has just disappeared. */
const startedAt = (reader: StoreReader, repository: RepositoryLayout, id: string): number | null => {
  const said = Date.parse(reader.text(repository.uploadStarted(id)));
  if (!Number.isNaN(said)) return said;
  return reader.changedAt(repository.upload(id));
};
