import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  type Stats,
  unlinkSync,
  writeSync,
} from "node:fs";
import { openRegular, readInto } from "./disk";
import { isAbsence, onDisk } from "./disk-error";
import type { StorageLayout } from "./layout";
import { StorageRefusal } from "./refusal";

const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NONBLOCK;
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/**
 * All write access to a store: a folder of it that is held open. Changes are made to the folder that was opened, even if
 * another one has its name by then, and no symbolic link is followed: a path is walked one descriptor at a time, as
 * openat(2) with O_NOFOLLOW does, through /proc/self/fd (proc(5)). Names are those of entries, never paths.
 *
 * Every method throws StorageRefusal for errors of the disk (disk-error.ts).
 */
export class Folder {
  readonly #descriptor: number;
  // biome-ignore lint/style/useConsistentMemberAccessibility: a constructor has no name for #
  private constructor(
    readonly path: string,
    descriptor: number,
  ) {
    this.#descriptor = descriptor;
  }

  /**
   * Opens a folder at or below a store's root. `docker/registry/v2`, its `repositories` and `blobs` may be symbolic links.
   *
   * @returns null if it does not exist
   * @throws StorageRefusal if a symbolic link, or something else that is not a folder, is on the path
   */
  static open(layout: StorageLayout, path: string): Folder | null {
    let folder = Folder.root(layout);
    for (const name of namesBelow(layout.root, path)) {
      const child = folder.folder(name, isOperators(layout, `${folder.path}/${name}`));
      folder.close();
      if (child === null) return null;
      folder = child;
    }
    return folder;
  }

  /** Like open, but creates missing folders. */
  static make(layout: StorageLayout, path: string): Folder {
    let folder = Folder.root(layout);
    for (const name of namesBelow(layout.root, path)) {
      folder.makeFolder(name);
      const child = folder.folder(name, isOperators(layout, `${folder.path}/${name}`));
      folder.close();
      if (child === null) throw changed(path);
      folder = child;
    }
    return folder;
  }

  /** The root itself. */
  static root({ root }: StorageLayout): Folder {
    if (process.platform !== "linux") {
      throw new StorageRefusal("read-only", "a store can only be changed on linux", "run this on the registry's host");
    }
    return new Folder(
      root,
      onDisk(root, () => openSync(root, FOLDER)),
    );
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  /** A folder in it; null if there is none. @param follow whether it may be a symbolic link. @default false */
  folder(name: string, follow = false): Folder | null {
    const path = `${this.path}/${name}`;
    return onDisk(path, () => {
      try {
        return new Folder(path, openSync(this.at(name), follow ? FOLDER : FOLDER | constants.O_NOFOLLOW));
      } catch (error) {
        // ENOTDIR: it exists, but is a link or a file.
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
        throw error;
      }
    });
  }

  /** The names of its entries. */
  names(): string[] {
    return onDisk(this.path, () => readdirSync(`/proc/self/fd/${this.#descriptor}`));
  }

  /** The state of an entry; symbolic links are not followed. Null if there is none. */
  stat(name: string): Stats | null {
    return onDisk(`${this.path}/${name}`, () => lstatSync(this.at(name), { throwIfNoEntry: false }) ?? null);
  }

  /** The state of the folder itself. */
  stats(): Stats {
    return fstatSync(this.#descriptor);
  }

  /** The beginning of a regular file; null if there is none. @param most bytes */
  read(name: string, most: number): Buffer | null {
    return onDisk(`${this.path}/${name}`, () => {
      const read = openRegular(this.at(name), (file, { size }) => readInto(file, Buffer.alloc(Math.min(size, most))));
      return read === null || read === "special" ? null : Buffer.from(read);
    });
  }

  /** Identifies the mount, also for two mounts of one file system: a rename between them fails (rename(2), EXDEV). */
  mount(): string {
    return /^mnt_id:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${this.#descriptor}`, "latin1"))?.[1] ?? "";
  }

  makeFolder(name: string): void {
    onDisk(`${this.path}/${name}`, () => {
      try {
        mkdirSync(this.at(name));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
    });
  }

  /** Writes a new file. @param like the file whose mode and owner it gets. @default this user's */
  writeNew(name: string, pieces: Iterable<string | Uint8Array>, like?: Pick<Stats, "mode" | "uid" | "gid">): void {
    onDisk(`${this.path}/${name}`, () => {
      const file = openSync(this.at(name), NEW_FILE, 0o644);
      try {
        for (const piece of pieces) writeWhole(file, Buffer.from(piece as Uint8Array));
        if (like !== undefined) {
          fchmodSync(file, like.mode & 0o7777);
          fchownSync(file, like.uid, like.gid);
          // It is about to replace an existing file.
          fsyncSync(file);
        }
      } finally {
        closeSync(file);
      }
    });
  }

  /** Moves an entry, replacing a file of that name. @returns false if it does not exist any more */
  move(name: string, to: Folder, as: string = name): boolean {
    return onDisk(`${this.path}/${name}`, () => {
      try {
        renameSync(this.at(name), to.at(as));
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
        throw error;
      }
    });
  }

  /** Removes an entry that is not a folder, or does nothing if it is already gone. */
  removeFile(name: string): void {
    onDisk(`${this.path}/${name}`, () => {
      try {
        unlinkSync(this.at(name));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      }
    });
  }

  /** Removes a folder if it is empty. @returns whether it is gone */
  removeEmpty(name: string): boolean {
    return onDisk(`${this.path}/${name}`, () => {
      try {
        rmdirSync(this.at(name));
        return true;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === "ENOTEMPTY" || code === "EEXIST") return false;
        if (isAbsence(error)) return code === "ENOENT";
        throw error;
      }
    });
  }

  /** Removes an entry and everything in it; a symbolic link is removed, not followed. */
  removeAll(name: string): void {
    if (this.stat(name)?.isDirectory()) {
      const folder = this.folder(name);
      try {
        for (const each of folder?.names() ?? []) folder?.removeAll(each);
      } finally {
        folder?.close();
      }
      this.removeEmpty(name);
    } else {
      this.removeFile(name);
    }
  }

  /** The path of an entry for a system call, through the open descriptor. */
  at(name: string): string {
    if (name === "" || name === "." || name === ".." || name.includes("/")) {
      throw new Error(`${JSON.stringify(name)} is no entry of a folder`);
    }
    return `/proc/self/fd/${this.#descriptor}/${name}`;
  }
}

/** Something else is changing the store. */
export const changed = (path: string): StorageRefusal => {
  const hint = "make sure that nothing writes to this store, and run this again";
  return new StorageRefusal("registry-running", `${path} was changed meanwhile`, hint);
};

/** Whether both refer to the same file or folder. */
export const isSame = (one: Stats, other: Stats): boolean => one.ino === other.ino && one.dev === other.dev;

/** Keeps a folder open while it is used. */
export const within = <T>(folder: Folder, use: (folder: Folder) => T): T => {
  try {
    return use(folder);
  } finally {
    folder.close();
  }
};

/**
 * Whether those of the paths that exist are folders on one mount, so that a rename works between any two. Also true if the
 * store cannot be changed anyway.
 */
export const onSameMount = (layout: StorageLayout, paths: string[]): boolean => {
  if (process.platform !== "linux") return true;
  try {
    const mounts = paths.flatMap((path) => {
      const folder = Folder.open(layout, path);
      return folder === null ? [] : [within(folder, () => folder.mount())];
    });
    return new Set(mounts).size <= 1;
  } catch (error) {
    if (error instanceof StorageRefusal) return false;
    throw error;
  }
};

const namesBelow = (root: string, path: string): string[] => {
  if (path === root) return [];
  if (!path.startsWith(`${root}/`)) throw new Error(`${path} is not below ${root}`);
  return path.slice(root.length + 1).split("/");
};

/** The folders that the operator may replace with symbolic links: `docker` to `v2`, `repositories` and `blobs`. */
const isOperators = ({ registry, repositories, blobs }: StorageLayout, path: string): boolean =>
  registry.startsWith(`${path}/`) || [registry, repositories, blobs].includes(path);

const writeWhole = (file: number, bytes: Uint8Array): void => {
  for (let written = 0; written < bytes.length; ) {
    written += writeSync(file, bytes, written);
  }
};
