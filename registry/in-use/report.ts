import { type Digest, isDigest, sha256 } from "../oci/digest";
import { type Descriptor, type Manifest, OCI_MANIFEST } from "../oci/manifest";

/** Where each cluster reports what is in use: one tag for each cluster. */
export const IN_USE_REPOSITORY = "registry-warden/in-use";

/** Type of the artifact and of its one layer. */
export const IN_USE_TYPE = "application/vnd.registry-warden.in-use.v1+json";

/** https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md#guidance-for-an-empty-descriptor */
const EMPTY_TYPE = "application/vnd.oci.empty.v1+json";
const EMPTY = Buffer.from("{}");

/** No cluster uses more images from one registry; a report that says so is forged, or a bug of ours. */
export const MOST_DIGESTS = 20_000;
/** Enough for that many digests of the longest kind. Bytes. */
export const MOST_BYTES = 4 * 1024 * 1024;

/** A cluster's clock may be ahead of ours by this much. Milliseconds. */
const SKEW = 15 * 60 * 1000;

/** The images from one registry that are in use in a cluster. */
export interface InUseReport {
  cluster: string;
  /** When the cluster was queried, in milliseconds since the epoch. */
  time: number;
  /** Digests of manifests or, if a node reports only those, of configs. Sorted. */
  digests: readonly Digest[];
}

/** What to push: the blobs, then the manifest under the cluster's tag. */
export interface InUseArtifact {
  blobs: readonly { digest: Digest; bytes: Buffer }[];
  manifest: Buffer;
  mediaType: string;
}

/** A report in the form stored in a registry. The same report always results in the same bytes. */
export const inUseArtifact = ({ cluster, time, digests }: InUseReport): InUseArtifact => {
  const document = { version: 1, cluster, time: new Date(time).toISOString(), digests };
  const layer = Buffer.from(`${JSON.stringify(document)}\n`);
  const descriptor = (mediaType: string, bytes: Buffer) => ({ mediaType, digest: sha256(bytes), size: bytes.length });
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType: IN_USE_TYPE,
    config: descriptor(EMPTY_TYPE, EMPTY),
    layers: [descriptor(IN_USE_TYPE, layer)],
  };
  return {
    blobs: [EMPTY, layer].map((bytes) => ({ digest: sha256(bytes), bytes })),
    manifest: Buffer.from(JSON.stringify(manifest)),
    mediaType: OCI_MANIFEST,
  };
};

/** The cluster's tag does not lead to a valid report; the message completes "the report …". */
export class MalformedReport extends Error {
  override readonly name = "MalformedReport";
}

/** The layer with the report. @throws MalformedReport if the manifest is not that of a report */
export const layerOfReport = (manifest: Manifest): Descriptor => {
  if (manifest.kind !== "image" || manifest.artifactType !== IN_USE_TYPE)
    throw new MalformedReport(`is not of the artifact type ${IN_USE_TYPE}`);
  const [layer, ...others] = manifest.layers;
  if (layer === undefined || others.length > 0 || layer.mediaType !== IN_USE_TYPE)
    throw new MalformedReport("does not have the one layer of its type");
  if (layer.size > MOST_BYTES) throw new MalformedReport(`has ${layer.size} bytes, more than ${MOST_BYTES}`);
  return layer;
};

/**
 * Reads the layer of a report.
 *
 * @param cluster under whose tag it was found: another cluster's report says nothing about this one
 * @param now milliseconds since the epoch
 * @throws MalformedReport
 */
export const parseReport = (bytes: Uint8Array, cluster: string, now: number): InUseReport => {
  const { version, cluster: named, time, digests } = objectIn(bytes);
  if (version !== 1) throw new MalformedReport("is of a version that is not known");
  if (named !== cluster) throw new MalformedReport("is of another cluster");
  const at = typeof time === "string" && ISO_TIME.test(time) ? Date.parse(time) : Number.NaN;
  if (Number.isNaN(at)) throw new MalformedReport("does not say when it was made");
  if (at > now + SKEW) throw new MalformedReport("is of a time that is still to come");
  if (!Array.isArray(digests)) throw new MalformedReport("has no list of digests");
  if (digests.length > MOST_DIGESTS) throw new MalformedReport(`has more than ${MOST_DIGESTS} digests`);
  if (!digests.every(isDigest)) throw new MalformedReport("has an entry that is no digest");
  return { cluster, time: at, digests };
};

const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/;

const objectIn = (bytes: Uint8Array): Record<string, unknown> => {
  try {
    const json: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (typeof json === "object" && json !== null) return json as Record<string, unknown>;
  } catch {
    // Reported below: it is not an object.
  }
  throw new MalformedReport("is no json object");
};
