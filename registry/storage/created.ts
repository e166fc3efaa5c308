import type { Digest } from "../oci/digest";
import { type Manifest, platformName } from "../oci/manifest";
import type { StoreReader } from "./reader";

/** Indexes nested deeper than this are not searched for a date. */
const DEEPEST = 3;

/** Configs are small. Bytes. */
const CONFIG_LIMIT = 1024 * 1024;

/**
 * When images were created, according to themselves: the annotation `org.opencontainers.image.created`, the config's
 * `created`, or that of the first platform. Milliseconds since the epoch; null if they do not say.
 */
export const createdDates = (reader: StoreReader): ((digest: Digest) => number | null) => {
  const known = new Map<Digest, number | null>();
  const dateOf = (digest: Digest, depth: number): number | null => {
    const before = known.get(digest);
    if (before !== undefined) return before;
    const stored = reader.manifest(digest);
    const date = stored.state === "whole" ? dateIn(stored.manifest, depth) : null;
    known.set(digest, date);
    return date;
  };
  const dateIn = (manifest: Manifest, depth: number): number | null => {
    const annotated = parseDate(manifest.annotations?.["org.opencontainers.image.created"]);
    if (annotated !== null || manifest.kind === "schema1") return annotated;
    if (manifest.kind === "image") return manifest.config === null ? null : dateInConfig(manifest.config.digest);
    if (depth >= DEEPEST) return null;
    for (const child of manifest.manifests.filter((each) => platformName(each) !== null)) {
      const date = dateOf(child.digest, depth + 1);
      if (date !== null) return date;
    }
    return null;
  };
  const dateInConfig = (digest: Digest): number | null => {
    try {
      const config: unknown = JSON.parse(reader.text(reader.layout.blobData(digest), CONFIG_LIMIT));
      return parseDate((config as { created?: unknown } | null)?.created);
    } catch {
      return null;
    }
  };
  return (digest) => dateOf(digest, 0);
};

const parseDate = (value: unknown): number | null => {
  const date = typeof value === "string" ? Date.parse(value) : Number.NaN;
  return Number.isNaN(date) ? null : date;
};
