import { closeSync, constants, openSync } from "node:fs";
import { type RefusalCode, StorageRefusal } from "./refusal";

/** A path that does not exist, also because a component of it is not a folder. */
export const isAbsence = (error: unknown): boolean => {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ENOTDIR";
};

/** The user lacks permission, so the contents are unknown. */
export const isForbidden = (error: unknown): boolean => {
  const { code } = error as NodeJS.ErrnoException;
  return code === "EACCES" || code === "EPERM";
};

const MAY_WRITE: ErrnoAdvice = ["run this again as a user who may read and write the whole store", "read-only"];
const FOREIGN: ErrnoAdvice = ["look at what is there, and move it out of the store", "read-only"];

type ErrnoAdvice = [hint: string, code: RefusalCode];

/** What to do about each error of a disk, errno(3), with the code for programs. */
const BY_ERRNO: Record<string, ErrnoAdvice> = {
  EROFS: ["mount it read-write, and run this again: it goes on where it ended", "read-only"],
  ENOSPC: ["the disk is full: free some space, and run this again: it goes on where it ended", "disk"],
  EDQUOT: ["the quota is used up: raise it, and run this again: it goes on where it ended", "disk"],
  EIO: ["the disk fails: see the kernel log (dmesg) and check the disk before anything else", "disk"],
  EISDIR: FOREIGN,
  ENOTDIR: FOREIGN,
  ELOOP: FOREIGN,
  EEXIST: FOREIGN,
  ENOTEMPTY: FOREIGN,
  ENXIO: FOREIGN,
  EBUSY: ["it is a mount point: unmount it, and run this again", "read-only"],
  EXDEV: ["mount the store as one disk: a removal is one rename, which ends at a mount point", "read-only"],
  EACCES: MAY_WRITE,
  EPERM: MAY_WRITE,
  EMFILE: ["raise the limit of open files (ulimit -n), and run this again", "disk"],
  ENFILE: ["raise the limit of open files (fs.file-max), and run this again", "disk"],
};

/** The disk refused a change. */
export class DiskRefusal extends StorageRefusal {
  constructor(
    /** What was tried, with the error: `rename … failed (EROFS)`. */
    readonly answer: string,
    [hint, code]: ErrnoAdvice,
  ) {
    super(code, `the store cannot be changed: ${answer}`, hint);
  }
}

/** Makes a change on a disk. @throws DiskRefusal with one line for the disk's error */
export const onDisk = <T>(path: string, act: () => T): T => {
  try {
    return act();
  } catch (error) {
    const { code = "", syscall = "access" } = error as NodeJS.ErrnoException;
    const answer = BY_ERRNO[code];
    if (answer === undefined) throw error;
    throw new DiskRefusal(`${syscall} ${path} failed (${code})`, answer);
  }
};

/** What to do about something unreadable, given the disk's current error. One line. */
export const hintForReading = (path: string): string => {
  try {
    closeSync(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (!isForbidden(error) && BY_ERRNO[code] !== undefined) return `${BY_ERRNO[code][0]} (${code})`;
  }
  return "run as a user who may read the whole store";
};
