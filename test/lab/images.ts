import { createCipheriv, createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { type Dispatcher, fetch } from "undici";
import { basicHeader } from "../../registry/oci/authorization";
import type { Digest } from "../../registry/oci/digest";
import type { Descriptor, Platform } from "../../registry/oci/manifest";
import type { LabCredentials } from "./registry";

/**
 * Synthetic content of a registry, the same bytes for the same input. Specification: OCI image-spec 1.1, Docker image
 * manifest v2 schema 2.
 */

/** Bytes and their descriptor. */
export interface Content {
  readonly descriptor: Readonly<Descriptor> & { readonly mediaType: string };
  readonly bytes: Buffer;
}

/** A layer: a gzipped tar archive of one file. */
export interface Layer extends Content {
  /** The digest of the archive before compression. */
  readonly diffId: Digest;
}

/** A manifest or an index, with everything that has to be pushed before it. */
export interface SyntheticManifest extends Content {
  readonly blobs: readonly Content[];
  readonly manifests: readonly SyntheticManifest[];
}

export type Format = "oci" | "docker";

export const MEDIA_TYPES = {
  oci: {
    index: "application/vnd.oci.image.index.v1+json",
    manifest: "application/vnd.oci.image.manifest.v1+json",
    config: "application/vnd.oci.image.config.v1+json",
    layer: "application/vnd.oci.image.layer.v1.tar+gzip",
  },
  docker: {
    index: "application/vnd.docker.distribution.manifest.list.v2+json",
    manifest: "application/vnd.docker.distribution.manifest.v2+json",
    config: "application/vnd.docker.container.image.v1+json",
    layer: "application/vnd.docker.image.rootfs.diff.tar.gzip",
  },
} as const;

const EMPTY_CONFIG = "application/vnd.oci.empty.v1+json";
const LINUX_AMD64: Platform = { architecture: "amd64", os: "linux" };

/** `sha256:<hex>` of some bytes, without the product's own functions. */
export const digestOfBytes = (bytes: Buffer | string): Digest =>
  `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** Random-looking bytes that depend only on the seed. */
export const seededBytes = (seed: string, size: number): Buffer => {
  const key = createHash("sha256").update(seed).digest();
  return createCipheriv("aes-256-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(size));
};

export const content = (mediaType: string, bytes: Buffer): Content => ({
  bytes,
  descriptor: { mediaType, digest: digestOfBytes(bytes), size: bytes.length },
});

export const digestOf = ({ descriptor }: Content): Digest => descriptor.digest;

/** A layer with one file of `size` bytes (default 256); the blob is some 1,100 bytes longer. */
export const layer = (seed: string, { size = 256, format = "oci" }: { size?: number; format?: Format } = {}): Layer => {
  const archive = tarOfOneFile("content", seededBytes(seed, size));
  // Stored, not deflated: compressed bytes differ between versions of zlib.
  return { ...content(MEDIA_TYPES[format].layer, gzipSync(archive, { level: 0 })), diffId: digestOfBytes(archive) };
};

/** A POSIX ustar archive (pax(1)): one header, the content padded to 512 bytes, two empty blocks. */
const tarOfOneFile = (name: string, bytes: Buffer): Buffer => {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write("0000644\0", 100);
  header.write("0000000\0", 108);
  header.write("0000000\0", 116);
  header.write(`${bytes.length.toString(8).padStart(11, "0")}\0`, 124);
  header.write("00000000000\0", 136);
  header.write("        ", 148);
  header.write("0", 156);
  header.write("ustar\u000000", 257);
  const checksum = header.reduce((sum, byte) => sum + byte, 0);
  header.write(`${checksum.toString(8).padStart(6, "0")}\0 `, 148);
  return Buffer.concat([header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512), Buffer.alloc(1024)]);
};

/** Any JSON document as a manifest, for forms that the functions below do not create. */
export const manifest = (
  document: { readonly mediaType?: string; readonly [field: string]: unknown },
  needs: {
    readonly blobs?: readonly Content[];
    readonly manifests?: readonly SyntheticManifest[];
    readonly mediaType?: string;
  } = {},
): SyntheticManifest => {
  const mediaType = needs.mediaType ?? document.mediaType ?? MEDIA_TYPES.oci.manifest;
  return {
    ...content(mediaType, Buffer.from(JSON.stringify(document))),
    blobs: needs.blobs ?? [],
    manifests: needs.manifests ?? [],
  };
};

/** The annotation of an image created on a day of January 2026, from 1 to 9. */
export const createdOn = (day: number) => ({ "org.opencontainers.image.created": `2026-01-0${day}T00:00:00Z` });

export interface ImageOptions {
  /** @default "oci" */
  readonly format?: Format;
  /** @default linux/amd64 */
  readonly platform?: Platform;
  /** @default two layers made of the seed */
  readonly layers?: readonly Layer[];
  /** What this image refers to (OCI 1.1 `subject`). */
  readonly subject?: Content;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** An image of one platform: config and layers. */
export const image = (seed: string, options: ImageOptions = {}): SyntheticManifest => {
  const format = options.format ?? "oci";
  const platform = options.platform ?? LINUX_AMD64;
  const layers = options.layers ?? [1, 2].map((n) => layer(`${seed}/layer/${n}`, { format }));
  const config = content(
    MEDIA_TYPES[format].config,
    Buffer.from(
      JSON.stringify({
        created: "1970-01-01T00:00:00Z",
        ...platform,
        config: { Labels: { seed } },
        rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
      }),
    ),
  );
  const made = manifest(
    {
      schemaVersion: 2,
      mediaType: MEDIA_TYPES[format].manifest,
      config: config.descriptor,
      layers: layers.map(({ descriptor }) => descriptor),
      ...(options.subject && { subject: reference(options.subject) }),
      ...(options.annotations && { annotations: options.annotations }),
    },
    // A layer with urls is downloaded from there, not pushed here.
    { blobs: [config, ...layers.filter(({ descriptor }) => descriptor.urls === undefined)] },
  );
  return { ...made, descriptor: { ...made.descriptor, platform } };
};

/** An index (OCI) or manifest list (Docker) of manifests and, nested, of other indexes. */
export const index = (
  manifests: readonly SyntheticManifest[],
  options: { readonly format?: Format; readonly annotations?: Readonly<Record<string, string>> } = {},
): SyntheticManifest =>
  manifest(
    {
      schemaVersion: 2,
      mediaType: MEDIA_TYPES[options.format ?? "oci"].index,
      manifests: manifests.map(({ descriptor }) => descriptor),
      ...(options.annotations && { annotations: options.annotations }),
    },
    { manifests },
  );

/** An index of one image for each platform: `linux/amd64` and `linux/arm64` by default. */
export const multiPlatformImage = (
  seed: string,
  {
    platforms = ["amd64", "arm64"],
    ...options
  }: Omit<ImageOptions, "platform"> & { platforms?: readonly string[] } = {},
): SyntheticManifest =>
  index(
    platforms.map((architecture) =>
      image(`${seed}/${architecture}`, { ...options, platform: { architecture, os: "linux" } }),
    ),
    { format: options.format },
  );

/** A buildx attestation of an image: an entry of the same index, of platform unknown/unknown, whose layer is in-toto JSON. */
export const attestation = (of: Content): SyntheticManifest => {
  const statement = content(
    "application/vnd.in-toto+json",
    Buffer.from(
      JSON.stringify({ _type: "https://in-toto.io/Statement/v0.1", subject: [{ digest: of.descriptor.digest }] }),
    ),
  );
  const platform = { architecture: "unknown", os: "unknown" };
  const config = content(
    MEDIA_TYPES.oci.config,
    Buffer.from(JSON.stringify({ ...platform, rootfs: { type: "layers", diff_ids: [statement.descriptor.digest] } })),
  );
  const made = manifest(
    {
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.oci.manifest,
      config: config.descriptor,
      layers: [statement.descriptor],
    },
    { blobs: [config, statement] },
  );
  const annotations = {
    "vnd.docker.reference.digest": of.descriptor.digest,
    "vnd.docker.reference.type": "attestation-manifest",
  };
  return { ...made, descriptor: { ...made.descriptor, platform, annotations } };
};

/** An OCI artifact: the empty config and one blob; a signature or SBOM of `subject` if one is given. */
export const artifact = (
  seed: string,
  options: { readonly subject?: Content; readonly artifactType?: string; readonly size?: number } = {},
): SyntheticManifest => {
  const artifactType = options.artifactType ?? "application/vnd.example.report.v1";
  const config = content(EMPTY_CONFIG, Buffer.from("{}"));
  const blob = content("application/octet-stream", seededBytes(seed, options.size ?? 256));
  const made = manifest(
    {
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.oci.manifest,
      artifactType,
      config: config.descriptor,
      layers: [blob.descriptor],
      ...(options.subject && { subject: reference(options.subject) }),
    },
    { blobs: [config, blob] },
  );
  return { ...made, descriptor: { ...made.descriptor, artifactType } };
};

/**
 * The fallback tag of a manifest, without the product's own function: a registry without the referrers API lists its referrers
 * there. OCI distribution-spec 1.1, "Referrers Tag Schema".
 */
export const fallbackTagOf = (of: Content): string => of.descriptor.digest.replace(":", "-");

const reference = ({ descriptor: { mediaType, digest, size } }: Content): Descriptor => ({ mediaType, digest, size });

/** Where to push to. */
export interface PushTarget {
  /** `http(s)://host:port` */
  readonly url: string;
  /** @default anonymous */
  readonly credentials?: LabCredentials;
  /**
   * How to connect: an undici Agent with a private CA, for one.
   * @default undici's own
   */
  readonly dispatcher?: Dispatcher;
}

/**
 * Pushes a manifest and everything below it, then the tags that name it; without tags it stays untagged. Nothing is skipped
 * because it seems to exist: a registry's blob cache may be wrong.
 * @throws on any answer but 202 and 201, with the registry's own words
 */
export const push = async (
  target: PushTarget,
  repository: string,
  pushed: SyntheticManifest,
  ...tags: readonly string[]
): Promise<void> => pusher(target, repository)(pushed, ...tags);

/** The same for several manifests of a repository: what they share is pushed once. */
export const pusher = (
  target: PushTarget,
  repository: string,
): ((pushed: SyntheticManifest, ...tags: readonly string[]) => Promise<void>) => {
  const send = sender(target);
  const base = `${target.url}/v2/${repository}`;
  const done = new Set<string>();

  const pushBlob = async ({ descriptor, bytes }: Content) => {
    if (done.has(descriptor.digest)) return;
    const location = (await send("POST", `${base}/blobs/uploads/`, 202)) ?? "";
    const upload = new URL(location, target.url);
    upload.searchParams.set("digest", descriptor.digest);
    await send("PUT", upload.href, 201, bytes, "application/octet-stream");
    done.add(descriptor.digest);
  };
  const pushNeeds = async (of: SyntheticManifest) => {
    for (const blob of of.blobs) await pushBlob(blob);
    for (const child of of.manifests) await pushManifest(child);
  };
  const pushManifest = async (one: SyntheticManifest) => {
    if (done.has(one.descriptor.digest)) return;
    await pushNeeds(one);
    await putManifest(one, one.descriptor.digest);
    done.add(one.descriptor.digest);
  };
  const putManifest = ({ descriptor, bytes }: Content, name: string) =>
    send("PUT", `${base}/manifests/${name}`, 201, bytes, descriptor.mediaType);

  return async (pushed, ...tags) => {
    await pushNeeds(pushed);
    for (const name of tags.length > 0 ? tags : [pushed.descriptor.digest]) await putManifest(pushed, name);
  };
};

/** The header of a request by these credentials; none without them. */
export const authorizationOf = (credentials: LabCredentials | undefined): { authorization?: string } =>
  credentials === undefined ? {} : { authorization: basicHeader({ kind: "password", ...credentials }) };

const sender = ({ credentials, dispatcher }: PushTarget) => {
  const authorization = authorizationOf(credentials);
  return async (method: string, url: string, status: number, body?: Buffer, contentType?: string) => {
    const response = await fetch(url, {
      method,
      body,
      dispatcher,
      headers: { ...authorization, ...(contentType && { "content-type": contentType }) },
    });
    const text = await response.text();
    if (response.status !== status) {
      throw new Error(
        `${method} ${new URL(url).pathname}: ${response.status}, expected ${status}: ${text.slice(0, 500)}`,
      );
    }
    return response.headers.get("location");
  };
};
