import { closeSync, constants, fstatSync, lstatSync, openSync, type Stats, statSync, unlinkSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { onDisk } from "./disk-error";
import { StorageRefusal } from "./refusal";

/** Held as long as this process lives, however it ends. */
export interface Lock {
  /** @throws StorageRefusal `locked` when the lock or its folder was removed while held */
  check(): void;
  release(): Promise<void>;
}

const NAME = "lock";

/**
 * Locks a folder for one process at a time, also across containers that share it; the lock never outlives its holder. It is a
 * listening Unix socket, unix(7): one that refuses connections is a leftover.
 *
 * @param folder must exist, be writable and not be a symbolic link
 * @throws StorageRefusal `locked`, or for an error of the disk
 */
export const lockFolder = async (folder: string): Promise<Lock> => {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  const directory = onDisk(folder, () => openSync(folder, flags));
  // A socket's path is limited to 107 characters, so it is reached through the open folder.
  const path = `/proc/self/fd/${directory}/${NAME}`;
  try {
    refuseForeign(path, folder);
    const server = (await listen(path, folder)) ?? (await takeOver(path, folder)) ?? refuse(folder);
    const held = lstatSync(path, { throwIfNoEntry: false });
    const here = fstatSync(directory);
    return {
      check() {
        if (!isSame(held, lstatSync(path, { throwIfNoEntry: false }))) refuse(folder);
        if (!isSame(here, statSync(folder, { throwIfNoEntry: false }))) refuse(folder);
      },
      async release() {
        await new Promise((resolve) => server.close(resolve));
        closeSync(directory);
      },
    };
  } catch (error) {
    closeSync(directory);
    throw error;
  }
};

const isSame = (one: Stats | undefined, other: Stats | undefined): boolean =>
  one !== undefined && other !== undefined && one.ino === other.ino && one.dev === other.dev;

const refuse = (folder: string): never => {
  throw new StorageRefusal(
    "locked",
    `another warden is running on this store (${folder}/${NAME})`,
    "wait until it has ended and run this again",
  );
};

/** Anything else in the lock's place is neither connected to nor removed. */
const refuseForeign = (path: string, folder: string): void => {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined || found.isSocket()) return;
  throw new StorageRefusal("locked", `${folder}/${NAME} is not a lock of warden`, "look at what it is, and remove it");
};

/** The listening socket; null if there already is one. */
const listen = (path: string, folder: string): Promise<Server | null> =>
  new Promise((resolve, reject) => {
    const server = createServer((connection) => connection.destroy());
    server.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(null);
      else reject(asRefusal(error, `${folder}/${NAME}`));
    });
    server.listen(path, () => {
      // The lock must not keep the process alive.
      server.unref();
      resolve(server);
    });
  });

const asRefusal = (error: Error, path: string): unknown => {
  try {
    return onDisk(path, () => {
      throw error;
    });
  } catch (refusal) {
    return refusal;
  }
};

/** Removes a leftover; returns null if its holder is alive. */
const takeOver = async (path: string, folder: string): Promise<Server | null> => {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (await isHeld(path)) return null;
  // Another process may have taken over in the meantime.
  if (found !== undefined && isSame(found, lstatSync(path, { throwIfNoEntry: false }))) {
    onDisk(`${folder}/${NAME}`, () => unlinkSync(path));
  }
  return listen(path, folder);
};

const isHeld = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const connection = connect(path);
    connection.on("connect", () => {
      connection.destroy();
      resolve(true);
    });
    // It is a leftover only if nothing listens; if that is unknown, it may be held.
    connection.on("error", ({ code }: NodeJS.ErrnoException) => resolve(code !== "ECONNREFUSED" && code !== "ENOENT"));
  });
