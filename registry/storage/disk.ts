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

/** What an entry of a folder is; `other` is a FIFO, a socket or a device. */
export type EntryKind = "file" | "folder" | "link" | "other";

/** A symbolic link, a FIFO, a socket or a device that was met below `repositories` or `blobs`. */
export interface Strange {
  path: string;
  kind: Exclude<EntryKind, "file" | "folder">;
  /** Whether following it would never end: it leads to itself, or to a folder that it lies in. */
  endless: boolean;
}

export interface FolderListing {
  /** Names of the folders, in no order. */
  folders: string[];
  /** Everything else, by name. */
  others: ReadonlyMap<string, EntryKind>;
}

/** This user may not look: nobody can tell what is there. What fails otherwise fails for the registry too. */
export class Unreadable extends StorageRefusal {
  constructor(
    readonly path: string,
    code = "EACCES",
  ) {
    super("unreadable", `${path} cannot be read (${code})`, "run as a user who may read the whole store");
  }
}

/** Without O_NONBLOCK the opening of a FIFO waits for a writer; with O_NOFOLLOW a symbolic link is not opened. */
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** No path begins so. */
const NOWHERE = "\0";

const EMPTY: FolderListing = { folders: [], others: new Map() };

/**
 * The reading door to a store: every file and folder of it is read through here. It opens regular files and folders only,
 * and follows no symbolic link below `repositories` and `blobs`. These two, and the folders above them, may be links: they
 * are the operator's layout, such as blobs on another volume. A link anywhere else is absent to every reader, and a
 * finding of the scan.
 *
 * Synchronous, because a scan is a million small system calls. What it knows of a folder it does not ask again: one Disk
 * is for one look. What is changed goes through Folder, which relies on nothing that was seen before.
 */
export class Disk {
  /** Folders that could not be listed, so that what is below them is unknown: a look with any is not complete. */
  readonly unreadable: string[] = [];

  /** Of each folder that was listed, what is not a folder in it. */
  readonly #known = new Map<string, FolderListing["others"]>();
  readonly #anchors: ReadonlySet<string>;
  /** The folder of the blobs, with a slash. */
  readonly #blobs: string;
  /** What is no folder among the blobs, where they need not be listed. */
  #strangers: ReadonlySet<string> | undefined;
  #strange: Strange[] = [];
  /** A folder that holds folders alone, with a slash: that of the last file. */
  #plain = NOWHERE;

  constructor({ root, registry, repositories, blobs }: StorageLayout) {
    this.#anchors = new Set([root, registry, repositories, blobs]);
    this.#blobs = `${blobs}/`;
  }

  /**
   * Tells what was seen where the blobs were listed, so that this Disk does not list them again.
   *
   * @param strangers paths of everything that is no folder, down to the folders of single blobs
   */
  knowBlobs(strangers: readonly string[]): void {
    this.#strangers ??= new Set(strangers);
  }

  /** What a folder holds; nothing of one that is absent. Where it cannot be listed, it is added to `unreadable`. */
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

  /** What strange things were met at or below a path since they were last asked for. */
  takeStrange(path: string): Strange[] {
    const isHere = (each: Strange) => each.path === path || each.path.startsWith(`${path}/`);
    const here = this.#strange.filter(isHere);
    if (here.length > 0) this.#strange = this.#strange.filter((each) => !isHere(each));
    return here;
  }

  /** Whether there is a folder, reached through no symbolic link. @throws Unreadable */
  isFolder(folder: string): boolean {
    if (this.#anchors.has(folder)) return isFolderAt(folder);
    return this.#isReal(parentOf(folder)) && lookAt(folder)?.isDirectory() === true;
  }

  /** What an entry is, looked at now; null where there is none. @throws Unreadable */
  stat(path: string): Stats | null {
    return this.#isInReal(path) ? lookAt(path) : null;
  }

  /** Bytes of a regular file; null without one. @throws Unreadable */
  size(path: string): number | null {
    return sizeOf(this.stat(path));
  }

  /**
   * As `size`, of a file `folder/<one of many>/<file>` where most of the many are going to be asked for: they are listed
   * once, which costs less than a look at each.
   */
  sizeAmongMany(path: string): number | null {
    if (this.#strangers === undefined) {
      const many = parentOf(parentOf(path));
      if (!this.#known.has(many)) this.list(many);
    }
    return this.size(path);
  }

  /**
   * Lets a regular file be read.
   *
   * @returns null where there is nothing, or it lies behind a symbolic link; "special" for what is there and is no regular
   *   file; what `read` returns otherwise
   * @throws Unreadable, and what the disk answers
   */
  open<T>(path: string, read: (file: number, stats: Stats) => T): T | null | "special" {
    return this.#isInReal(path) ? openRegular(path, read) : null;
  }

  /**
   * Reads the beginning of a file that says what it is by what it holds, as a link does: of a FIFO or a device nothing that
   * passes for it is read. Saves a call of the system for each of a million.
   *
   * @returns the bytes read; as `open` where there is no file
   */
  readBeginning(path: string, buffer: Uint8Array, length: number): number | null | "special" {
    const file = this.#isInReal(path) ? openFile(path) : null;
    if (typeof file !== "number") return file;
    try {
      return readSync(file, buffer, 0, length, 0);
    } finally {
      closeSync(file);
    }
  }

  /** Where a path leads in the end; null where it leads nowhere. Nothing there is read. */
  targetOf(path: string): string | null {
    try {
      return realpathSync(path);
    } catch {
      return null;
    }
  }

  /** The bytes of a regular file, piece by piece, each valid until the next is asked for; nothing without one. */
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

  /** Whether a folder that is going to be read below is one, as far as can be told without a look at what was listed. */
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

  /** As isReal, of the folder that an entry lies in. Nearly every link is answered by where the last one was. */
  #isInReal(path: string): boolean {
    if (this.#strangers?.size === 0 && path.startsWith(this.#blobs)) return true;
    if (path.startsWith(this.#plain) && path.indexOf("/", this.#plain.length) === path.lastIndexOf("/")) return true;
    return this.#isReal(parentOf(path));
  }

  /** Whether a folder of blobs, or one above it, is known to be none. */
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

/** Opens what is a regular file at this moment. @returns as Disk.open */
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

/** A descriptor, also of a FIFO or a folder: what it is of has to be asked. */
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

/** Reads a file from its beginning into the buffer, until that is full; returns the bytes that were read. */
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

/** Whether a symbolic link leads to itself, or to a folder that it lies in: following that would never end. */
const isEndless = (path: string): boolean => {
  try {
    return `${realpathSync(parentOf(path))}/`.startsWith(`${realpathSync(path)}/`);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ELOOP";
  }
};

/** Whether it is a symbolic link to itself: nobody can tell what was there. */
const isLost = (path: string): boolean => {
  try {
    statSync(path, { throwIfNoEntry: false });
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ELOOP";
  }
};

/** Whether there is a folder, also behind a symbolic link: of what the operator gives or lays out. @throws Unreadable */
export const isFolderAt = (path: string): boolean => {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch (error) {
    if (isForbidden(error)) throw new Unreadable(path, (error as NodeJS.ErrnoException).code);
    return false;
  }
};
