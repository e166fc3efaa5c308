import {
  closeSync,
  constants,
  type Dirent,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  type Stats,
  statSync,
} from "node:fs";
import { fileName, REPLACED } from "../../text/file-name";
import { isAbsence, isForbidden } from "./disk-error";
import type { StorageLayout } from "./layout";
import { StorageRefusal } from "./refusal";

/** The type of a folder's entry; `other` is a FIFO, a socket or a device. */
export type EntryKind = "file" | "folder" | "link" | "other";

/** A symbolic link, a FIFO, a socket or a device below `repositories` or `blobs`. */
export interface Strange {
  path: string;
  kind: Exclude<EntryKind, "file" | "folder">;
  /** Whether following it would never end: it leads to itself, or to a folder that contains it. */
  endless: boolean;
}

export interface FolderListing {
  /** Names of the folders, in no particular order. */
  folders: string[];
  /** Everything else, by name. */
  others: ReadonlyMap<string, EntryKind>;
}

/** The user lacks permission, so the contents are unknown. Any other error would hit the registry too. */
export class Unreadable extends StorageRefusal {
  constructor(
    readonly path: string,
    code = "EACCES",
  ) {
    super("unreadable", `${path} cannot be read (${code})`, "run as a user who may read the whole store");
  }
}

/** Without O_NONBLOCK, opening a FIFO waits for a writer; with O_NOFOLLOW, a symbolic link is not opened. */
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** No path starts with this. */
const NOWHERE = "\0";

const EMPTY: FolderListing = { folders: [], others: new Map() };

/**
 * All read access to a store: every file and folder is read through here. It opens only regular files and folders, and
 * follows no symbolic link below `repositories` and `blobs`. These two, and the folders above them, may be links: they are
 * the operator's layout, such as blobs on another volume. A link anywhere else appears absent to every reader, and is a
 * finding of the scan.
 *
 * Synchronous, because a scan makes a million small system calls. What it knows about a folder it does not read again, so
 * use a new Disk for each pass. Changes go through Folder, which does not rely on anything seen before.
 */
export class Disk {
  /** Folders that could not be listed, so their contents are unknown and the pass is incomplete. */
  readonly unreadable: string[] = [];

  /** The entries of each listed folder that are not folders. */
  readonly #known = new Map<string, FolderListing["others"]>();
  readonly #anchors: ReadonlySet<string>;
  /** The folder of the blobs, with a trailing slash. */
  readonly #blobs: string;
  /** The entries among the blobs that are not folders, if the blobs need not be listed. */
  #strangers: ReadonlySet<string> | undefined;
  #strange: Strange[] = [];
  /** A listed folder that contains only folders, with a trailing slash: the one above the folder of the last file. */
  #plain = NOWHERE;

  constructor({ root, registry, repositories, blobs }: StorageLayout) {
    this.#anchors = new Set([root, registry, repositories, blobs]);
    this.#blobs = `${blobs}/`;
  }

  /**
   * Passes on what was seen when the blobs were listed, so that this Disk does not list them again.
   *
   * @param strangers paths of all entries that are not folders, down to the folders of single blobs
   */
  knowBlobs(strangers: readonly string[]): void {
    this.#strangers ??= new Set(strangers);
  }

  /** The contents of a folder; empty for an absent one. If it cannot be listed, it is added to `unreadable`. */
  list(folder: string): FolderListing {
    if (!this.isFolder(folder)) {
      if (isLost(folder)) this.unreadable.push(folder);
      return EMPTY;
    }
    let entries: Dirent[];
    try {
      entries = entriesOf(folder);
    } catch (error) {
      if (!isAbsence(error)) this.unreadable.push(folder);
      return EMPTY;
    }
    const folders: string[] = [];
    let others: Map<string, EntryKind> | undefined;
    for (const entry of entries) {
      if (entry.isDirectory()) {
        folders.push(entry.name);
      } else {
        others ??= new Map();
        const kind = kindOf(entry);
        others.set(entry.name, kind);
        if (kind === "link" || kind === "other") this.#meet(`${folder}/${entry.name}`, kind);
      }
    }
    const listing = { folders, others: others ?? EMPTY.others };
    this.#plain = NOWHERE;
    this.#known.set(folder, listing.others);
    return listing;
  }

  #meet(path: string, kind: Strange["kind"]): void {
    if (this.#strange.some((each) => each.path === path)) return;
    this.#strange.push({ path, kind, endless: kind === "link" && isEndless(path) });
  }

  /** The strange entries met at or below a path since the last call. */
  takeStrange(path: string): Strange[] {
    const isHere = (each: Strange) => each.path === path || each.path.startsWith(`${path}/`);
    const here = this.#strange.filter(isHere);
    if (here.length > 0) this.#strange = this.#strange.filter((each) => !isHere(each));
    return here;
  }

  /** Whether the folder exists and is reached without a symbolic link. @throws Unreadable */
  isFolder(folder: string): boolean {
    if (this.#anchors.has(folder)) return isFolderAt(folder);
    return this.#isReal(parentOf(folder)) && lookAt(folder)?.isDirectory() === true;
  }

  /** The current state of an entry; null if there is none. @throws Unreadable */
  stat(path: string): Stats | null {
    return this.#isInReal(path) ? lookAt(path) : null;
  }

  /** Size of a regular file in bytes; null if there is none. @throws Unreadable */
  size(path: string): number | null {
    return sizeOf(this.stat(path));
  }

  /**
   * Like `size`, for a file `folder/<one of many>/<file>` when most of the many will be requested: they are listed once,
   * which is cheaper than a stat of each.
   */
  sizeAmongMany(path: string): number | null {
    if (this.#strangers === undefined) {
      const many = parentOf(parentOf(path));
      if (!this.#known.has(many)) this.list(many);
    }
    return this.size(path);
  }

  /**
   * Opens a regular file for reading.
   *
   * @returns null if nothing is there, or it lies behind a symbolic link; "special" if it is not a regular file; otherwise
   *   what `read` returns
   * @throws Unreadable, and errors of the disk
   */
  open<T>(path: string, read: (file: number, stats: Stats) => T): T | null | "special" {
    return this.#isInReal(path) ? openRegular(path, read) : null;
  }

  /**
   * Reads the beginning of a file whose content shows what it is, such as a link: nothing read from a FIFO or a device could
   * pass for one. Saves one system call for each of a million files.
   *
   * @param isListed whether its folder was just listed as one, so that nothing has to be looked up
   * @returns the number of bytes read; as `open` if there is no file
   */
  readBeginning(path: string, buffer: Uint8Array, length: number, isListed: boolean): number | null | "special" {
    const file = isListed || this.#isInReal(path) ? openFile(path) : null;
    if (typeof file !== "number") return file;
    try {
      return readSync(file, buffer, 0, length, 0);
    } finally {
      closeSync(file);
    }
  }

  /** Where a path finally leads; null if nowhere. Nothing is read there. */
  targetOf(path: string): string | null {
    try {
      return realpathSync(path);
    } catch {
      return null;
    }
  }

  /** The bytes of a regular file, piece by piece, each valid until the next is requested; none if there is no file. */
  *pieces(path: string, length: number): Generator<Uint8Array> {
    const file = this.#isInReal(path) ? openFile(path) : null;
    if (typeof file !== "number") return;
    try {
      const buffer = Buffer.allocUnsafe(length);
      if (!fstatSync(file).isFile()) return;
      for (let read = readSync(file, buffer); read > 0; read = readSync(file, buffer)) yield buffer.subarray(0, read);
    } finally {
      closeSync(file);
    }
  }

  /** Whether a folder to be read is a real one, as far as known without another stat of what was listed. */
  #isReal(folder: string): boolean {
    const parent = parentOf(folder);
    const others = this.#known.get(parent);
    if (others?.size === 0) {
      this.#plain = `${parent}/`;
      return true;
    }
    if (this.#anchors.has(folder)) return true;
    if (others !== undefined) return !others.has(folder.slice(parent.length + 1));
    if (this.#strangers !== undefined && folder.startsWith(this.#blobs)) return !this.#isStranger(folder);
    return this.#isReal(parent) && lookAt(folder)?.isDirectory() === true;
  }

  /** Like isReal, for the folder that contains an entry. Nearly every link is in the same folder as the last one. */
  #isInReal(path: string): boolean {
    if (this.#strangers?.size === 0 && path.startsWith(this.#blobs)) return true;
    if (path.startsWith(this.#plain) && path.indexOf("/", this.#plain.length) === path.lastIndexOf("/")) return true;
    return this.#isReal(parentOf(path));
  }

  /** Whether a blob folder, or one above it, is known not to be a folder. */
  #isStranger(folder: string): boolean {
    return folder.length > this.#blobs.length && (this.#strangers?.has(folder) || this.#isStranger(parentOf(folder)));
  }
}

const parentOf = (path: string): string => {
  const slash = path.lastIndexOf("/");
  if (slash < 0) throw new Error(`${JSON.stringify(path)} is not a path of a store`);
  return path.slice(0, slash);
};

const sizeOf = (found: Stats | null): number | null => (found?.isFile() ? found.size : null);

const entriesOf = (folder: string): Dirent[] => {
  const entries = readdirSync(folder, { withFileTypes: true });
  if (!entries.some(({ name }) => name.includes(REPLACED))) return entries;
  return readdirSync(folder, { withFileTypes: true, encoding: "buffer" }).map((entry) =>
    Object.assign(entry as unknown as Dirent, { name: fileName(entry.name) }),
  );
};

const kindOf = (entry: Dirent | Stats): EntryKind => {
  if (entry.isDirectory()) return "folder";
  if (entry.isFile()) return "file";
  return entry.isSymbolicLink() ? "link" : "other";
};

/** Opens what is currently a regular file. @returns as Disk.open */
export const openRegular = <T>(path: string, read: (file: number, stats: Stats) => T): T | null | "special" => {
  const file = openFile(path);
  if (typeof file !== "number") return file;
  try {
    const stats = fstatSync(file);
    return stats.isFile() ? read(file, stats) : "special";
  } finally {
    closeSync(file);
  }
};

/** A descriptor, possibly of a FIFO or a folder: the caller must check its type. */
const openFile = (path: string): number | null | "special" => {
  try {
    return openSync(path, READ);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A symbolic link, a socket, a device without a driver: open(2).
    if (code === "ELOOP" || code === "ENXIO" || code === "ENODEV") return "special";
    if (isForbidden(error)) throw new Unreadable(path, code);
    if (isAbsence(error)) return null;
    throw error;
  }
};

/** Reads a file from its start into the buffer, until the buffer is full; returns the part that was filled. */
export const readInto = (file: number, buffer: Uint8Array): Uint8Array => {
  let filled = 0;
  while (filled < buffer.length) {
    const read = readSync(file, buffer, filled, buffer.length - filled, filled);
    if (read === 0) break;
    filled += read;
  }
  return buffer.subarray(0, filled);
};

/** @throws Unreadable */
const lookAt = (path: string): Stats | null => {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) ?? null;
  } catch (error) {
    if (isForbidden(error)) throw new Unreadable(path, (error as NodeJS.ErrnoException).code);
    return null;
  }
};

/** Whether a symbolic link leads to itself, or to a folder that contains it: following it would never end. */
const isEndless = (path: string): boolean => {
  try {
    return `${realpathSync(parentOf(path))}/`.startsWith(`${realpathSync(path)}/`);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ELOOP";
  }
};

/** Whether it is a symbolic link to itself, so that the original content is unknown. */
const isLost = (path: string): boolean => {
  try {
    statSync(path, { throwIfNoEntry: false });
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ELOOP";
  }
};

/** Whether the folder exists, possibly behind a symbolic link; for paths given or laid out by the operator. @throws Unreadable */
export const isFolderAt = (path: string): boolean => {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch (error) {
    if (isForbidden(error)) throw new Unreadable(path, (error as NodeJS.ErrnoException).code);
    return false;
  }
};
