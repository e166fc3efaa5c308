import type { Digest } from "../oci/digest";
import { type Inspection, type InspectionOptions, inspectRepository } from "./inspect";
import { StorageLayout } from "./layout";
import { StoreReader } from "./reader";

/** A piece of a look at a store that can be done beside others, in any order. Plain data, so that it can go to a thread. */
export type ScanTask =
  | { kind: "inspect"; root: string; repository: string; options: InspectionOptions }
  /** Hashes the blobs of one folder, `blobs/<algorithm>/<first two>`. */
  | { kind: "hash"; root: string; folder: string };

export interface ScanResult {
  /** Of `inspect`. */
  inspection: Inspection | null;
  /** Of `hash`: the blobs that do not hash to their name. */
  corrupt: Digest[];
  /** Folders that could not be listed. */
  unreadable: string[];
}

/** Does tasks one after the other; what it learned of a blob it knows for the next task. */
export class ScanTaskRunner {
  private readonly readers = new Map<string, StoreReader>();

  run(task: ScanTask): ScanResult {
    const reader = this.readerOf(task.root);
    switch (task.kind) {
      case "inspect": {
        const repository = reader.layout.repository(task.repository);
        const inspection = inspectRepository(reader, repository, task.options);
        return { inspection, corrupt: [], unreadable: reader.unreadable.splice(0) };
      }
      case "hash": {
        const corrupt = reader.blobsIn(task.folder).filter((digest) => isCorrupt(reader, digest));
        return { inspection: null, corrupt, unreadable: reader.unreadable.splice(0) };
      }
    }
  }

  private readerOf(root: string): StoreReader {
    const known = this.readers.get(root);
    if (known !== undefined) return known;
    const reader = new StoreReader(new StorageLayout(root));
    this.readers.set(root, reader);
    return reader;
  }
}

/** Whether there is data that does not hash to its name. */
export function isCorrupt(reader: StoreReader, digest: Digest): boolean {
  return reader.blobSize(digest) !== null && !reader.isIntact(digest);
}
