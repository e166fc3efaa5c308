import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import * as z from "zod";
import { type Digest, hasherFor, isDigest } from "../oci/digest";
import { readBlobFolder } from "./foreign";
import { lockFolder } from "./lock";
import { StoreReader } from "./reader";
import { StorageRefusal } from "./refusal";
import type { Store } from "./store";

export interface ScrubOptions {
  /** Maximum average read rate in bytes a second. */
  rate: number;
  /** A folder in which it records its progress, to continue from there. @default it starts from the beginning */
  state?: string;
  /** Ends it early; the next run continues. */
  signal?: AbortSignal;
  onProgress?: (report: ScrubReport) => void;
}

/** The progress of a scrub, and the corrupt blobs found so far. */
export interface ScrubReport {
  root: string;
  /** Whether every blob was read. */
  complete: boolean;
  /** Fraction of the bytes to read, from 0 to 1. */
  progress: number;
  counts: { blobs: number; bytes: number; ofBlobs: number; ofBytes: number };
  /** Blobs that do not hash to their name, or that the disk cannot read, in ascending order. */
  corrupt: Digest[];
}

/** Bytes read at once, small so that the rate is even and a stop takes effect soon. */
const PIECE = 1024 * 1024;

const FILE = "scrub.json";

/** The state of an interrupted scrub; version 1. */
const remembered = z.object({
  version: z.literal(1),
  /** The last blob folder that was read, as `<algorithm>/<first two>`. */
  after: z.string(),
  blobs: z.number(),
  bytes: z.number(),
  corrupt: z.array(z.custom<Digest>(isDigest)),
});

type Remembered = z.output<typeof remembered>;

const BEGINNING: Remembered = { version: 1, after: "", blobs: 0, bytes: 0, corrupt: [] };

/**
 * Reads every blob of a store and verifies its digest: data that is never requested can rot unnoticed. Only the store's disk is
 * read, and nothing in it is changed; the registry may be running.
 *
 * @throws StorageRefusal `locked` if another scrub is running with the same state
 */
export const scrub = async ({ layout }: Store, options: ScrubOptions): Promise<ScrubReport> => {
  const { state } = options;
  if (state === undefined) return read(new StoreReader(layout), BEGINNING, options);
  const lock = await lockFolder(state);
  try {
    return await read(new StoreReader(layout), recall(state), options);
  } finally {
    await lock.release();
  }
};

const read = async (reader: StoreReader, from: Remembered, options: ScrubOptions): Promise<ScrubReport> => {
  const { state, signal, onProgress } = options;
  const { blobs: root } = reader.layout;
  const folders = [...reader.blobFolders()].map((path) => path.slice(root.length + 1)).sort();
  const sizes = folders.flatMap((folder) =>
    readBlobFolder(reader, `${root}/${folder}`).blobs.map((blob) => reader.blobSize(blob) ?? 0),
  );
  const whole = { ofBlobs: sizes.length, ofBytes: sizes.reduce((sum, size) => sum + size, 0) };
  const pace = new Pace(options.rate, signal);
  // Earlier findings count until the blob is repaired or gone, which is checked first.
  let at = {
    ...from,
    corrupt: from.corrupt.filter((digest) => reader.sizeNow(digest) !== null && !reader.isIntact(digest)),
  };
  const report = (complete: boolean): ScrubReport => ({
    root: reader.layout.root,
    complete,
    progress: complete || whole.ofBytes === 0 ? 1 : Math.min(at.bytes / whole.ofBytes, 1),
    counts: { blobs: at.blobs, bytes: at.bytes, ...whole },
    corrupt: [...at.corrupt].sort(),
  });
  for (const folder of folders.filter((each) => each > from.after)) {
    const next = { ...at, after: folder, corrupt: at.corrupt.filter((digest) => shelfOf(digest) !== folder) };
    for (const digest of readBlobFolder(reader, `${root}/${folder}`).blobs) {
      const size = await readBlob(reader, digest, pace, signal);
      if (signal?.aborted) return report(false);
      next.blobs++;
      next.bytes += size.bytes;
      if (!size.intact) next.corrupt.push(digest);
    }
    at = next;
    onProgress?.(report(false));
    if (state !== undefined) remember(state, at, report(false));
  }
  // The next run starts from the beginning.
  if (state !== undefined) remember(state, { ...BEGINNING, corrupt: at.corrupt }, report(true));
  if (reader.unreadable[0] !== undefined) {
    throw new StorageRefusal(
      "unreadable",
      `${reader.unreadable[0]} cannot be listed`,
      "run as a user who may read the whole store",
    );
  }
  return report(true);
};

/** The blob folder of a digest, as in blobFolders. */
const shelfOf = (digest: Digest): string => {
  const [algorithm = "", encoded = ""] = digest.split(":");
  return `${algorithm}/${encoded.slice(0, 2)}`;
};

/** Reads one blob; one that was removed in the meantime counts as intact. */
const readBlob = async (reader: StoreReader, digest: Digest, pace: Pace, signal: AbortSignal | undefined) => {
  const hash = hasherFor(digest);
  let bytes = 0;
  try {
    for (const piece of reader.pieces(digest, PIECE)) {
      if (signal?.aborted) return { bytes, intact: true };
      hash?.update(piece);
      bytes += piece.length;
      await pace.spend(piece.length);
    }
  } catch (error) {
    if (error instanceof StorageRefusal) throw error;
    // The disk cannot read it: EIO.
    return { bytes, intact: false };
  }
  const isGone = bytes === 0 && reader.sizeNow(digest) === null;
  // Checked again, because a blob may have been replaced while it was read.
  return { bytes, intact: isGone || hash === null || hash.digest() === digest || reader.isIntact(digest) };
};

/** Limits the read rate. */
class Pace {
  readonly #rate: number;
  readonly #signal: AbortSignal | undefined;
  readonly #began = performance.now();
  #spent = 0;

  constructor(rate: number, signal: AbortSignal | undefined) {
    this.#rate = rate;
    this.#signal = signal;
  }

  async spend(bytes: number): Promise<void> {
    this.#spent += bytes;
    const ahead = (this.#spent / this.#rate) * 1000 - (performance.now() - this.#began);
    // Shorter pauses cost more than they save.
    if (ahead > 10) await pause(ahead, undefined, { signal: this.#signal }).catch(() => {});
  }
}

const recall = (state: string): Remembered => {
  try {
    return remembered.parse(JSON.parse(readFileSync(join(state, FILE), "utf8")));
  } catch {
    return BEGINNING;
  }
};

/** Atomic, even if the process is killed. The report is for anyone who looks at it in the meantime. */
const remember = (state: string, at: Remembered, { progress, corrupt }: ScrubReport): void => {
  const path = join(state, FILE);
  writeFileSync(`${path}.new`, `${JSON.stringify({ ...at, progress, corruptBlobs: corrupt.length }, null, 2)}\n`);
  renameSync(`${path}.new`, path);
};
