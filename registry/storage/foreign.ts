import { type Digest, isDigestOf } from "../oci/digest";
import { isRepository } from "../oci/reference";
import type { Strange } from "./disk";
import type { Finding } from "./finding";
import { ALGORITHMS, OF_A_REPOSITORY, type RepositoryLayout } from "./layout";
import type { StoreReader } from "./reader";

/** An entry that no registry wrote, and its effect. Each was tried on registry 2.8.3. */
export interface ForeignEntry {
  path: string;
  /** The repository that contains it; null if none does. */
  repository: string | null;
  effect: string;
}

const STOPS = "the registry's garbage collection stops at it";
/**
 * 2.8.3 takes such a file for a folder to skip, and then also skips everything after it in the containing folder: the
 * garbage collection never sees those repositories.
 */
export const HIDES = "the registry's garbage collection takes everything after it in this folder for garbage";
const NOT_FOLLOWED = "a symbolic link: the registry follows it, warden does not";

/** The effect of a link, a FIFO, a socket or a device in a store. */
const effectOf = ({ kind, endless }: Strange): string => {
  if (kind === "link") return endless ? `a loop of symbolic links: ${STOPS}` : NOT_FOLLOWED;
  return "neither a file nor a folder: whatever opens it may hang";
};

/** The entries beside and above the repositories, and in each repository's folder. */
export const foreignAmongRepositories = function* (reader: StoreReader): Generator<ForeignEntry> {
  yield* foreignBelow(reader, "");
};

const foreignBelow = function* (reader: StoreReader, parent: string): Generator<ForeignEntry> {
  const folder = parent === "" ? reader.layout.repositories : reader.layout.repository(parent).folder;
  const { folders, others } = reader.list(folder);
  const repository = folders.some((name) => OF_A_REPOSITORY.includes(name)) && parent !== "" ? parent : null;
  for (const [name, kind] of others) {
    const path = `${folder}/${name}`;
    if (kind === "link" || kind === "other") {
      const [strange] = reader.takeStrange(path);
      if (strange !== undefined) yield { path, repository, effect: effectOf(strange) };
    } else if (name.startsWith("_")) {
      yield { path, repository, effect: HIDES };
    }
  }
  for (const name of folders) {
    const path = `${folder}/${name}`;
    const full = parent === "" ? name : `${parent}/${name}`;
    if (name.startsWith("_")) {
      if (parent === "" && OF_A_REPOSITORY.includes(name)) yield { path, repository, effect: STOPS };
    } else if (isRepositoryPath(full)) {
      yield* foreignBelow(reader, full);
    } else if (name !== LOST_AND_FOUND || holdsLayers(reader, path)) {
      yield { path, repository, effect: `no name of a repository: ${STOPS}` };
    }
  }
};

/** The folder at the root of every ext4 file system, if repositories or blobs are on a volume of their own. */
const LOST_AND_FOUND = "lost+found";

/** Whether each part of a path is a valid repository name; a name that is merely too long does no harm. */
const isRepositoryPath = (name: string): boolean => name.split("/").every(isRepository);

const holdsLayers = (reader: StoreReader, folder: string): boolean => {
  const { folders } = reader.list(folder);
  return folders.includes("_layers") || folders.some((name) => holdsLayers(reader, `${folder}/${name}`));
};

/**
 * The entries in the folders of a repository that were read, and among its revisions.
 *
 * @param noRevisions paths of the folders among the revisions whose names are not digests
 */
export const foreignInRepository = (
  reader: StoreReader,
  repository: RepositoryLayout,
  noRevisions: readonly string[],
): ForeignEntry[] => {
  const { name, layers, manifests, uploads } = repository;
  reader.list(manifests);
  const strange = [layers, manifests, uploads].flatMap((folder) => reader.takeStrange(folder));
  return [
    ...strange.map((each) => ({ path: each.path, repository: name, effect: effectOf(each) })),
    ...noRevisions
      .filter((path) => reader.changedAt(`${path}/link`) !== null)
      .map((path) => ({ path, repository: name, effect: `no digest: ${STOPS}` })),
  ];
};

/** A folder of blobs that was listed. */
interface BlobFolder {
  blobs: Digest[];
  foreign: ForeignEntry[];
  /** Paths of the entries that are not folders. */
  strangers: string[];
}

/** The blobs in a folder `blobs/<algorithm>/<first two>`, and the foreign entries among them. */
export const readBlobFolder = (reader: StoreReader, folder: string): BlobFolder => {
  const [algorithm = "", start = ""] = folder.slice(reader.layout.blobs.length + 1).split("/");
  const { folders, others } = reader.list(folder);
  const strangers = [...others.keys()].map((name) => `${folder}/${name}`);
  const blobs: Digest[] = [];
  const foreign = [...strangers];
  for (const encoded of folders) {
    if (isDigestOf(algorithm, encoded) && encoded.startsWith(start)) blobs.push(`${algorithm}:${encoded}`);
    else foreign.push(`${folder}/${encoded}`);
  }
  return { blobs, foreign: foreign.map((path) => amongBlobs(reader, path)), strangers };
};

/** The foreign entries above the blobs: other algorithms, other names. */
export const foreignAboveBlobs = function* (reader: StoreReader): Generator<ForeignEntry> {
  const { blobs } = reader.layout;
  const { folders, others } = reader.list(blobs);
  for (const name of others.keys()) yield amongBlobs(reader, `${blobs}/${name}`);
  for (const algorithm of folders) {
    const folder = `${blobs}/${algorithm}`;
    if (!ALGORITHMS.includes(algorithm)) {
      if (algorithm !== LOST_AND_FOUND) yield amongBlobs(reader, folder);
      continue;
    }
    const below = reader.list(folder);
    for (const name of [...below.folders.filter((each) => !/^[0-9a-f]{2}$/.test(each)), ...below.others.keys()]) {
      yield amongBlobs(reader, `${folder}/${name}`);
    }
  }
};

/** Paths of the entries there that are not folders, and of the folders that are not searched for blobs. */
export const strangersAboveBlobs = (reader: StoreReader): string[] => {
  const { blobs } = reader.layout;
  const { folders, others } = reader.list(blobs);
  const isKnown = (algorithm: string) => ALGORITHMS.includes(algorithm);
  return [
    ...[...others.keys(), ...folders.filter((name) => !isKnown(name))].map((name) => `${blobs}/${name}`),
    ...folders
      .filter(isKnown)
      .map((name) => `${blobs}/${name}`)
      .flatMap((folder) => [...reader.list(folder).others.keys()].map((name) => `${folder}/${name}`)),
  ];
};

const amongBlobs = (reader: StoreReader, path: string): ForeignEntry => {
  const [strange] = reader.takeStrange(path);
  const effect = strange === undefined ? `no blob: ${STOPS}` : effectOf(strange);
  return { path, repository: null, effect };
};

export const foreignFinding = ({ path, repository, effect }: ForeignEntry): Finding => ({
  repository,
  kind: "foreign-entry",
  digest: null,
  parent: null,
  tags: [],
  platform: null,
  blobPresent: false,
  linkPresent: false,
  repairable: false,
  path,
  effect,
});
