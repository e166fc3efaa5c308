import type { Digest } from "../oci/digest";
import { Unreadable } from "./disk";
import { type ForeignEntry, readBlobFolder } from "./foreign";
import { type Inspection, type InspectionOptions, inspectRepository } from "./inspect";
import { StorageLayout } from "./layout";
import { StoreReader } from "./reader";

/** A part of a scan that can run in parallel with others, in any order. Plain data, so that it can be sent to a thread. */
export type ScanTask =
  | { kind: "inspect"; root: string; repository: string; options: InspectionOptions; strangers: readonly string[] }
  /** Lists the blobs of one folder, `blobs/<algorithm>/<first two>`. */
  | { kind: "blobs"; root: string; folder: string; hash: boolean };

export interface ScanResult {
  /** The result of `inspect`; null if this user may not read the repository. */
  inspection: Inspection | null;
  /** The result of `blobs`; null for `inspect`. */
  blobs: ListedBlobs | null;
  /** Folders that could not be listed, and what may not be read. */
  unreadable: string[];
}

/** The contents of a blob folder. */
export interface ListedBlobs {
  count: number;
  foreign: ForeignEntry[];
  /** Paths of the entries that are not folders: `inspect` receives all of them, so that the blobs are listed only once. */
  strangers: string[];
  /** If they were hashed: the blobs that do not hash to their name. */
  corrupt: Digest[];
}

/** Runs tasks one after the other; what it learns about a blob is reused in later tasks. */
export class ScanTaskRunner {
  readonly #readers = new Map<string, StoreReader>();

  run(task: ScanTask): ScanResult {
    const reader = this.#readerOf(task);
    try {
      const result = { inspection: null, blobs: null, ...look(reader, task) };
      return { ...result, unreadable: reader.unreadable.splice(0) };
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      // Something unknown is not a finding.
      return { inspection: null, blobs: null, unreadable: [...reader.unreadable.splice(0), error.path] };
    }
  }

  #readerOf(task: ScanTask): StoreReader {
    let reader = this.#readers.get(task.root);
    if (reader === undefined) {
      reader = new StoreReader(new StorageLayout(task.root));
      this.#readers.set(task.root, reader);
    }
    if (task.kind === "inspect") reader.knowBlobs(task.strangers);
    return reader;
  }
}

const look = (reader: StoreReader, task: ScanTask): Partial<ScanResult> => {
  switch (task.kind) {
    case "inspect":
      return { inspection: inspectRepository(reader, reader.layout.repository(task.repository), task.options) };
    case "blobs": {
      const { blobs, foreign, strangers } = readBlobFolder(reader, task.folder);
      const corrupt = task.hash ? blobs.filter((digest) => isCorrupt(reader, digest)) : [];
      return { blobs: { count: blobs.length, foreign, strangers, corrupt } };
    }
  }
};

/** Whether there is data that does not hash to its name. */
export const isCorrupt = (reader: StoreReader, digest: Digest): boolean =>
  reader.blobSize(digest) !== null && !reader.isIntact(digest);
