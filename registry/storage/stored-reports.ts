import { type FoundReport, MISSING, MOST_UNNAMED } from "../in-use/protection";
import { IN_USE_REPOSITORY, layerOfReport, MalformedReport, MOST_BYTES, parseReport } from "../in-use/report";
import { type Digest, isDigest, matches } from "../oci/digest";
import type { StoreReader } from "./reader";

/**
 * Each cluster's report of what is in use, from the store: for the named clusters, and for others with a tag.
 *
 * @param named the clusters that are expected
 * @param now milliseconds since the epoch
 */
export const storedReports = (reader: StoreReader, named: readonly string[], now: number): FoundReport[] => {
  const tags = reader.tags(reader.layout.repository(IN_USE_REPOSITORY)).sort();
  const others = tags.filter((tag) => !named.includes(tag)).slice(0, MOST_UNNAMED);
  return [...named, ...others].map((cluster) => storedReport(reader, cluster, now));
};

const storedReport = (reader: StoreReader, cluster: string, now: number): FoundReport => {
  const digest = reader.link(reader.layout.repository(IN_USE_REPOSITORY).tagLink(cluster));
  if (digest === "absent") return { cluster, report: null, problem: MISSING };
  try {
    if (!isDigest(digest)) throw new MalformedReport("cannot be read: its tag is broken");
    const stored = reader.manifest(digest);
    if (stored.state !== "whole") throw new MalformedReport(`cannot be read: its manifest is ${stored.state}`);
    const layer = layerOfReport(stored.manifest);
    const report = parseReport(bytesOf(reader, layer.digest, layer.size), cluster, now);
    return { cluster, report, problem: null };
  } catch (error) {
    if (!(error instanceof MalformedReport)) throw error;
    return { cluster, report: null, problem: error.message };
  }
};

const bytesOf = (reader: StoreReader, digest: Digest, size: number): Uint8Array => {
  if (reader.sizeNow(digest) !== size || size > MOST_BYTES)
    throw new MalformedReport("cannot be read: its layer is missing, or of another size");
  const bytes = Buffer.concat(Array.from(reader.pieces(digest), (piece) => Buffer.from(piece)));
  if (!matches(bytes, digest)) throw new MalformedReport("cannot be read: its layer does not hash to its name");
  return bytes;
};
