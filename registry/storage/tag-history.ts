import type { Digest } from "../oci/digest";
import type { StoreReader } from "./reader";

/** Something that a tag was pushed with. */
export interface TagPush {
  digest: Digest;
  /** When it was first pushed so, in milliseconds since the epoch; 0 where that cannot be told. */
  at: number;
}

/** Everything that a tag was ever pushed with, by what it remembers (`tags/<tag>/index`); the last first. */
export const tagHistory = (reader: StoreReader, name: string, tag: string): TagPush[] => {
  const repository = reader.layout.repository(name);
  return [...reader.digests(repository.tagHistory(tag))]
    .map((digest) => ({
      digest,
      at: reader.changedAt(`${repository.tagHistoryEntry(tag, digest)}/link`) ?? 0,
    }))
    .sort((a, b) => b.at - a.at);
};
