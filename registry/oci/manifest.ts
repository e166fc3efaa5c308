import { isJsonObject, type JsonObject } from "../../text/json-object";
import { type Digest, isDigest } from "./digest";

/** https://github.com/opencontainers/image-spec/blob/v1.1.0/media-types.md */
export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
/** Withdrawn before the final OCI 1.1, but still found in registries. */
export const OCI_ARTIFACT_MANIFEST = "application/vnd.oci.artifact.manifest.v1+json";
/** https://distribution.github.io/distribution/spec/manifest-v2-2/ */
export const DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";
export const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
export const DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json";
export const DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws";

/**
 * The Accept header of every manifest request. All four types are always sent: registry 2.8 answers 404 for an OCI manifest
 * whose exact type is not accepted, and converts a Docker image to schema 1 when requested by tag without its type.
 */
export const MANIFEST_ACCEPT = [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST].join(", ");

const INDEX_TYPES: readonly string[] = [OCI_INDEX, DOCKER_LIST];
const IMAGE_TYPES: readonly string[] = [OCI_MANIFEST, DOCKER_MANIFEST];

/** https://github.com/opencontainers/image-spec/blob/v1.1.0/image-index.md#image-index-property-descriptions */
export interface Platform {
  os: string;
  architecture: string;
  variant?: string;
}

/** https://github.com/opencontainers/image-spec/blob/v1.1.0/descriptor.md */
export interface Descriptor {
  mediaType?: string;
  digest: Digest;
  /** Size of the content in bytes. */
  size: number;
  platform?: Platform;
  urls?: string[];
  annotations?: Record<string, string>;
  artifactType?: string;
}

/** An OCI index or a Docker manifest list. */
export interface IndexManifest {
  kind: "index";
  mediaType?: string;
  manifests: Descriptor[];
  subject?: Descriptor;
  annotations?: Record<string, string>;
}

/** An OCI or Docker image manifest, or an artifact in that form. `config` is null only in a withdrawn OCI artifact manifest. */
export interface ImageManifest {
  kind: "image";
  mediaType?: string;
  config: Descriptor | null;
  layers: Descriptor[];
  subject?: Descriptor;
  annotations?: Record<string, string>;
  /** For artifacts. https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md#image-manifest-property-descriptions */
  artifactType?: string;
}

/** A Docker schema 1 manifest: layers by digest only, without sizes; the digest covers the payload, not its signatures. */
export interface Schema1Manifest {
  kind: "schema1";
  mediaType?: string;
  layers: Digest[];
  subject?: undefined;
  annotations?: undefined;
}

export type Manifest = IndexManifest | ImageManifest | Schema1Manifest;

/** The body is not a manifest; the message gives the reason in one line. */
export class MalformedManifest extends Error {
  override readonly name = "MalformedManifest";
}

const optionalString = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

/** Media types are compared without parameters and case-insensitively (RFC 9110, section 8.3.1). */
export const bareMediaType = (contentType: string | undefined): string | undefined =>
  contentType?.split(";", 1)[0]?.trim().toLowerCase() || undefined;

const parsePlatform = (value: unknown): Platform | undefined => {
  if (!isJsonObject(value)) return undefined;
  const { os, architecture } = value;
  if (typeof os !== "string" || typeof architecture !== "string") return undefined;
  const variant = optionalString(value.variant);
  return variant ? { os, architecture, variant } : { os, architecture };
};

const parseAnnotations = (value: unknown): Record<string, string> | undefined => {
  if (!isJsonObject(value)) return undefined;
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
};

const parseDescriptor = (value: unknown, where: string): Descriptor => {
  if (!isJsonObject(value)) throw new MalformedManifest(`${where} is not an object`);
  const { digest, size } = value;
  if (!isDigest(digest)) throw new MalformedManifest(`${where}.digest is not a digest`);
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) {
    throw new MalformedManifest(`${where}.size is not a count of bytes`);
  }
  const descriptor: Descriptor = { digest, size };
  const mediaType = optionalString(value.mediaType);
  if (mediaType !== undefined) descriptor.mediaType = mediaType;
  const platform = parsePlatform(value.platform);
  if (platform !== undefined) descriptor.platform = platform;
  if (Array.isArray(value.urls)) {
    const urls = value.urls.filter((url) => typeof url === "string");
    if (urls.length > 0) descriptor.urls = urls;
  }
  const annotations = parseAnnotations(value.annotations);
  if (annotations !== undefined) descriptor.annotations = annotations;
  const artifactType = optionalString(value.artifactType);
  if (artifactType !== undefined) descriptor.artifactType = artifactType;
  return descriptor;
};

/** Go encodes an empty list as null, so null means the empty list here. */
const parseDescriptors = (value: unknown, where: string): Descriptor[] => {
  if (value === null || value === undefined) return [];
  if (!Array.isArray(value)) throw new MalformedManifest(`${where} is not a list`);
  return value.map((item, index) => parseDescriptor(item, `${where}[${index}]`));
};

const parseSchema1 = (json: JsonObject, mediaType: string | undefined): Schema1Manifest => {
  const { fsLayers } = json;
  if (!Array.isArray(fsLayers)) throw new MalformedManifest("fsLayers is not a list");
  const layers = fsLayers.map((layer, index) => {
    const digest = isJsonObject(layer) ? layer.blobSum : undefined;
    if (!isDigest(digest)) throw new MalformedManifest(`fsLayers[${index}].blobSum is not a digest`);
    return digest;
  });
  return { kind: "schema1", mediaType, layers };
};

const utf8 = new TextDecoder("utf-8", { fatal: true });

const parseJson = (body: Uint8Array): JsonObject => {
  let json: unknown;
  try {
    json = JSON.parse(utf8.decode(body));
  } catch {
    throw new MalformedManifest("the body is not json");
  }
  if (!isJsonObject(json)) throw new MalformedManifest("the body is not a json object");
  return json;
};

/**
 * The kind of a manifest. The shape decides, because `mediaType` may be absent and a signature or an attestation may be of
 * either kind. A media type that contradicts the shape, or a body with both shapes, is rejected, because two clients would
 * interpret it differently (CVE-2021-41190).
 */
const kindOf = (json: JsonObject, mediaType: string | undefined): "index" | "image" | "artifact" => {
  const index = Array.isArray(json.manifests);
  const image = isJsonObject(json.config) || Array.isArray(json.layers);
  if (index && image) throw new MalformedManifest("the body has both manifests and config or layers");
  if (mediaType === OCI_ARTIFACT_MANIFEST && !index && !image) return "artifact";
  if (index) {
    if (mediaType !== undefined && IMAGE_TYPES.includes(mediaType)) {
      throw new MalformedManifest(`the media type is ${mediaType} and the body is an index`);
    }
    return "index";
  }
  if (image) {
    if (mediaType !== undefined && INDEX_TYPES.includes(mediaType)) {
      throw new MalformedManifest(`the media type is ${mediaType} and the body is an image`);
    }
    return "image";
  }
  if (mediaType !== undefined && INDEX_TYPES.includes(mediaType) && json.manifests === null) return "index";
  throw new MalformedManifest("the body has neither manifests nor config and layers");
};

/**
 * Parses a manifest of any kind.
 *
 * @param body the bytes as stored
 * @param contentType the answer's Content-Type, used if the body names no media type
 * @throws MalformedManifest when the body is not UTF-8 JSON of a known shape, or a field that is used is invalid
 */
export const parseManifest = (body: Uint8Array, contentType?: string): Manifest => {
  const json = parseJson(body);
  const declared = bareMediaType(optionalString(json.mediaType));
  const mediaType = declared ?? bareMediaType(contentType);
  if (json.schemaVersion === 1) return parseSchema1(json, mediaType);
  const kind = kindOf(json, declared ?? (mediaType === OCI_ARTIFACT_MANIFEST ? mediaType : undefined));
  if (kind !== "artifact" && json.schemaVersion !== 2) throw new MalformedManifest("schemaVersion is not 2");

  const shared: { mediaType?: string; subject?: Descriptor; annotations?: Record<string, string> } = {};
  if (mediaType !== undefined) shared.mediaType = mediaType;
  if (isJsonObject(json.subject)) shared.subject = parseDescriptor(json.subject, "subject");
  const annotations = parseAnnotations(json.annotations);
  if (annotations !== undefined) shared.annotations = annotations;

  switch (kind) {
    case "index":
      return { kind: "index", ...shared, manifests: parseDescriptors(json.manifests, "manifests") };
    case "image": {
      const artifactType = optionalString(json.artifactType);
      return {
        kind: "image",
        ...shared,
        ...(artifactType === undefined ? {} : { artifactType }),
        config: parseDescriptor(json.config, "config"),
        layers: parseDescriptors(json.layers, "layers"),
      };
    }
    case "artifact":
      return { kind: "image", ...shared, config: null, layers: parseDescriptors(json.blobs, "blobs") };
  }
};

/** Whether a media type names an index or a manifest list. */
export const isIndexType = (mediaType: string | undefined): boolean => {
  const bare = bareMediaType(mediaType);
  return bare !== undefined && INDEX_TYPES.includes(bare);
};

const MANIFEST_TYPES: readonly string[] = [
  ...INDEX_TYPES,
  ...IMAGE_TYPES,
  OCI_ARTIFACT_MANIFEST,
  DOCKER_SCHEMA1,
  DOCKER_SCHEMA1_SIGNED,
];

/**
 * Whether an index entry of this media type is a manifest; an entry without a type is. Others are blobs: BuildKit stores
 * its cache as an index of layers.
 */
export const isManifestType = (mediaType: string | undefined): boolean => {
  const bare = bareMediaType(mediaType);
  return bare === undefined || MANIFEST_TYPES.includes(bare);
};

/**
 * What a pull of the manifest needs: an index's manifests, an image's config and layers. Not its `subject`, which may be
 * absent from the registry, and not the layers of schema 1, which have no size.
 */
export const referencedDescriptors = (manifest: Manifest): Descriptor[] => {
  switch (manifest.kind) {
    case "index":
      return manifest.manifests;
    case "image":
      return manifest.config === null ? manifest.layers : [manifest.config, ...manifest.layers];
    case "schema1":
      return [];
  }
};

const PLATFORM = /^[a-z0-9]+\/[a-z0-9_]+(?:\/[a-z0-9.]+)?$/;

/** Whether the text is a platform: `os/architecture` or `os/architecture/variant`. */
export const isPlatform = (text: unknown): text is string =>
  typeof text === "string" && text.length <= 64 && PLATFORM.test(text);

/** The default variants of platforms that name none. https://github.com/containerd/platforms */
const USUAL_VARIANTS: Readonly<Record<string, string>> = { arm64: "v8", arm: "v7", amd64: "v1" };

/** Whether a child's platform is the selected one; a selection without a variant matches any variant. */
export const matchesPlatform = (name: string, wanted: string): boolean => {
  if (name === wanted || name.startsWith(`${wanted}/`)) return true;
  const [, architecture = ""] = name.split("/");
  return `${name}/${USUAL_VARIANTS[architecture]}` === wanted;
};

/** Longer platforms are truncated: a megabyte in each of thousands of failures would make the report useless. Characters. */
const LONGEST_PLATFORM = 128;

/** `linux/arm64/v8`; null without a platform and for the `unknown/unknown` of an attestation. */
export const platformName = (descriptor: Pick<Descriptor, "platform">): string | null => {
  const platform = descriptor.platform;
  if (platform === undefined || !platform.os || !platform.architecture) return null;
  const { os, architecture, variant } = platform;
  if (os === "unknown" && architecture === "unknown") return null;
  const name = variant ? `${os}/${architecture}/${variant}` : `${os}/${architecture}`;
  // A copy, because a slice would keep the whole string in memory.
  return name.length <= LONGEST_PLATFORM ? name : `${Buffer.from(name.slice(0, LONGEST_PLATFORM), "utf8")}...`;
};

/**
 * The bytes covered by a schema 1 manifest's digest: the payload before the signatures were merged into it, or the body
 * itself if it has none.
 *
 * https://distribution.github.io/distribution/spec/manifest-v2-1/ and libtrust's JSON signatures: each signature's
 * `protected` header names the length of the common start and the tail that follows it.
 */
export const schema1Payload = (body: Uint8Array): Uint8Array => {
  const { signatures } = parseJson(body);
  if (!Array.isArray(signatures) || signatures.length === 0) return body;
  const header = isJsonObject(signatures[0]) ? optionalString(signatures[0].protected) : undefined;
  const { formatLength, formatTail } = parseJson(Buffer.from(header ?? "", "base64url"));
  if (typeof formatLength !== "number" || typeof formatTail !== "string" || formatLength > body.length) {
    throw new MalformedManifest("the signature's protected header names no payload");
  }
  return Buffer.concat([body.subarray(0, formatLength), Buffer.from(formatTail, "base64url")]);
};
