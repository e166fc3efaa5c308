import type { Digest } from "../oci/digest";
import { Unreadable } from "./disk";
import { type Inspection, type InspectionOptions, inspectRepository } from "./inspect";
import { StorageLayout } from "./layout";
import { StoreReader } from "./reader";

/** A piece of a look at a store that can be done beside others, in any order. Plain data, so that it can go to a thread. */
export type ScanTask =
  | { kind: "inspect"; root: string; repository: string; options: InspectionOptions }
  /** Hashes the blobs of one folder, `blobs/<algorithm>/<first two>`. */
  | { kind: "hash"; root: string; folder: string };

export interface ScanResult {
  /** Of `inspect`; null where this user may not read the repository. */
  inspection: Inspection | null;
  /** Of `hash`: the blobs that do not hash to their name. */
  corrupt: Digest[];
  /** Folders that could not be listed, and what may not be read. */
  unreadable: string[];
}

/** Does tasks one after the other; what it learned of a blob it knows for the next task. */
export class ScanTaskRunner {
  private readonly readers = new Map<string, StoreReader>();

  run(task: ScanTask): ScanResult {
    const reader = this.readerOf(task.root);
    try {
      return { ...look(reader, task), unreadable: reader.unreadable.splice(0) };
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      // What is not known is no finding.
      return { inspection: null, corrupt: [], unreadable: [...reader.unreadable.splice(0), error.path] };
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

function look(reader: StoreReader, task: ScanTask): Omit<ScanResult, "unreadable"> {
  switch (task.kind) {
    case "inspect": {
      const repository = reader.layout.repository(task.repository);
      return { inspection: inspectRepository(reader, repository, task.options), corrupt: [] };
    }
    case "hash":
      return { inspection: null, corrupt: reader.blobsIn(task.folder).filter((digest) => isCorrupt(reader, digest)) };
  }
}

/** Whether there is data that does not hash to its name. */
export function isCorrupt(reader: StoreReader, digest: Digest): boolean {
  return reader.blobSize(digest) !== null && !reader.isIntact(digest);
}
