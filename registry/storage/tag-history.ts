import type { Digest } from "../oci/digest";
import type { StoreReader } from "./reader";

/** A digest that a tag was pushed with. */
export interface TagPush {
  digest: Digest;
  /** When the tag was first pushed with it, in milliseconds since the epoch; 0 if unknown. */
  at: number;
}

/** Everything that a tag was ever pushed with, from its index (`tags/<tag>/index`); most recent first. */
export const tagHistory = (reader: StoreReader, name: string, tag: string): TagPush[] => {
  const repository = reader.layout.repository(name);
  return [...reader.digests(repository.tagHistory(tag))]
    .map((digest) => ({
      digest,
      at: reader.changedAt(`${repository.tagHistoryEntry(tag, digest)}/link`) ?? 0,
    }))
    .sort((a, b) => b.at - a.at);
};
