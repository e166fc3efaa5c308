import { closeSync, openSync, rmSync, statSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { StorageRefusal } from "./refusal";

/** Held as long as this process lives, however it ends. */
export interface Lock {
  /** @throws StorageRefusal `locked` when somebody removed it under us */
  check(): void;
  release(): Promise<void>;
}

const NAME = "lock";

/**
 * Locks a folder: one process at a time, also over containers that share it, and never a lock that outlives its holder.
 * That is what a listening Unix socket is, unix(7): who finds it and cannot connect finds a leftover.
 *
 * @param folder must exist and be writable
 * @throws StorageRefusal `locked`
 */
export async function lockFolder(folder: string): Promise<Lock> {
  const directory = openSync(folder, "r");
  // A socket's path is at most 107 characters long, so it is reached through the open folder.
  const path = `/proc/self/fd/${directory}/${NAME}`;
  try {
    const server = (await listen(path)) ?? (await takeOver(path)) ?? refuse(folder);
    const { ino } = statSync(path);
    return {
      check() {
        if (statSync(path, { throwIfNoEntry: false })?.ino !== ino) refuse(folder);
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
}

function refuse(folder: string): never {
  throw new StorageRefusal(
    "locked",
    `another warden is at work on this store (${folder}/${NAME})`,
    "wait until it has ended and run this again",
  );
}

/** The listening socket, or null where there already is one. */
function listen(path: string): Promise<Server | null> {
  return new Promise((resolve, reject) => {
    const server = createServer((connection) => connection.destroy());
    server.on("error", (error: NodeJS.ErrnoException) => (error.code === "EADDRINUSE" ? resolve(null) : reject(error)));
    server.listen(path, () => {
      // The lock does not keep the program from ending.
      server.unref();
      resolve(server);
    });
  });
}

/** Removes a leftover; null where its holder is alive. */
async function takeOver(path: string): Promise<Server | null> {
  if (await isHeld(path)) return null;
  rmSync(path, { force: true });
  return listen(path);
}

function isHeld(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(path);
    connection.on("connect", () => {
      connection.destroy();
      resolve(true);
    });
    connection.on("error", () => resolve(false));
  });
}
