import fc from "fast-check";
import { sha256 } from "../../../registry/oci/digest";
import {
  type Descriptor,
  DOCKER_LIST,
  DOCKER_MANIFEST,
  isIndexType,
  MalformedManifest,
  matchesPlatform,
  OCI_ARTIFACT_MANIFEST,
  OCI_INDEX,
  OCI_MANIFEST,
  parseManifest,
  platformName,
  referencedDescriptors,
  schema1Payload,
} from "../../../registry/oci/manifest";

const CONFIG = { mediaType: "application/vnd.oci.image.config.v1+json", digest: sha256("config"), size: 6 };
const LAYER = { mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest: sha256("layer"), size: 5 };
const CHILD = {
  mediaType: OCI_MANIFEST,
  digest: sha256("child"),
  size: 5,
  platform: { os: "linux", architecture: "arm64", variant: "v8" },
};
const image = { schemaVersion: 2, mediaType: OCI_MANIFEST, config: CONFIG, layers: [LAYER] };
const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [CHILD] };

const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const parse = (value: unknown, contentType?: string) => parseManifest(bytes(value), contentType);

describe("what is read", () => {
  test.each([OCI_MANIFEST, DOCKER_MANIFEST])("an image of type %s", (mediaType) => {
    expect(parse({ ...image, mediaType })).toEqual({ kind: "image", mediaType, config: CONFIG, layers: [LAYER] });
  });

  test.each([OCI_INDEX, DOCKER_LIST])("an index of type %s", (mediaType) => {
    expect(parse({ ...index, mediaType })).toEqual({ kind: "index", mediaType, manifests: [CHILD] });
  });

  test("by the shape, where no media type is given", () => {
    expect(parse({ schemaVersion: 2, manifests: [CHILD] }).kind).toBe("index");
    expect(parse({ schemaVersion: 2, config: CONFIG, layers: [] }).kind).toBe("image");
  });

  test("the media type of the answer, where the body names none", () => {
    expect(parse({ schemaVersion: 2, manifests: [] }, `${OCI_INDEX}; charset=utf-8`).mediaType).toBe(OCI_INDEX);
  });

  test("a foreign layer keeps its urls, a subject is kept apart", () => {
    const foreign = { ...LAYER, urls: ["https://example.org/layer"] };
    const manifest = parse({ ...image, layers: [foreign], subject: CHILD });
    expect(manifest).toMatchObject({ layers: [foreign], subject: CHILD });
    expect(referencedDescriptors(manifest)).toEqual([CONFIG, foreign]);
  });

  test("a withdrawn artifact manifest has blobs and no config", () => {
    const artifact = { mediaType: OCI_ARTIFACT_MANIFEST, blobs: [LAYER] };
    expect(parse(artifact)).toMatchObject({ kind: "image", config: null, layers: [LAYER] });
  });

  test("null lists are empty lists", () => {
    expect(parse({ ...image, layers: null })).toMatchObject({ layers: [] });
    expect(parse({ ...index, manifests: null })).toMatchObject({ manifests: [] });
  });

  test("schema 1, whose digest covers the payload without its signatures", () => {
    const payload = Buffer.from('{\n   "schemaVersion": 1,\n   "fsLayers": []\n}');
    const at = payload.lastIndexOf("\n}");
    const header = bytes({ formatLength: at, formatTail: payload.subarray(at).toString("base64url") });
    const signatures = [{ protected: header.toString("base64url") }];
    const signed = Buffer.concat([
      payload.subarray(0, at),
      Buffer.from(`,\n   "signatures": ${JSON.stringify(signatures)}\n}`),
    ]);
    expect(Buffer.from(schema1Payload(signed)).toString()).toBe(payload.toString());
    expect(Buffer.from(schema1Payload(payload)).toString()).toBe(payload.toString());
    expect(parse({ schemaVersion: 1, fsLayers: [{ blobSum: LAYER.digest }] })).toMatchObject({
      kind: "schema1",
      layers: [LAYER.digest],
    });
  });
});

describe("what is refused", () => {
  test.each([
    ["no json", Buffer.from("<html>")],
    ["bytes that are not utf-8", Buffer.from([0x7b, 0xff, 0x7d])],
    ["an empty body", Buffer.from("")],
    ["a list", bytes([])],
    ["null", bytes(null)],
    ["an object of neither shape", bytes({ schemaVersion: 2 })],
    ["a body of both shapes", bytes({ ...image, ...index })],
    ["an image that calls itself an index", bytes({ ...image, mediaType: OCI_INDEX })],
    ["an index that calls itself an image", bytes({ ...index, mediaType: DOCKER_MANIFEST })],
    ["another schema version", bytes({ ...image, schemaVersion: 3 })],
    ["no schema version", bytes({ ...image, schemaVersion: undefined })],
    ["an image without config", bytes({ schemaVersion: 2, layers: [] })],
    ["a layer without a digest", bytes({ ...image, layers: [{ size: 1 }] })],
    ["a digest that climbs folders", bytes({ ...image, layers: [{ digest: "sha256:../../x", size: 1 }] })],
    ["a negative size", bytes({ ...image, layers: [{ ...LAYER, size: -1 }] })],
    ["a size that is no integer", bytes({ ...image, layers: [{ ...LAYER, size: 1.5 }] })],
    ["a size as text", bytes({ ...image, layers: [{ ...LAYER, size: "5" }] })],
    ["a missing size", bytes({ ...image, config: { digest: CONFIG.digest } })],
    ["layers that are no list", bytes({ ...image, layers: {} })],
    ["schema 1 without layers", bytes({ schemaVersion: 1 })],
    ["schema 1 with a wrong layer", bytes({ schemaVersion: 1, fsLayers: [{}] })],
  ])("%s", (_name, body) => {
    expect(() => parseManifest(body)).toThrow(MalformedManifest);
  });

  test("the message says which field", () => {
    expect(() => parse({ ...image, layers: [LAYER, { digest: "x", size: 1 }] })).toThrow(
      "layers[1].digest is not a digest",
    );
  });
});

test("any bytes are either read or refused as malformed", () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array(), fc.json().map(Buffer.from)), (body) => {
      try {
        parseManifest(body);
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedManifest);
      }
    }),
  );
});

test("every descriptor of a manifest is referenced, in order", () => {
  const descriptor = fc.nat().map((n): Descriptor => ({ digest: sha256(`${n}`), size: n }));
  fc.assert(
    fc.property(fc.array(descriptor), (descriptors) => {
      expect(referencedDescriptors(parse({ schemaVersion: 2, manifests: descriptors }))).toEqual(descriptors);
      expect(referencedDescriptors(parse({ ...image, layers: descriptors }))).toEqual([CONFIG, ...descriptors]);
    }),
  );
});

test.each([
  [{ os: "linux", architecture: "amd64" }, "linux/amd64"],
  [{ os: "linux", architecture: "arm64", variant: "v8" }, "linux/arm64/v8"],
  [{ os: "unknown", architecture: "unknown" }, null],
  [{ os: "", architecture: "" }, null],
  [undefined, null],
])("platform %j is named %j", (platform, name) => {
  expect(platformName({ platform })).toBe(name);
});

test("index types are told from others, parameters and case aside", () => {
  expect(isIndexType("Application/vnd.oci.image.index.v1+JSON; charset=utf-8")).toBe(true);
  expect(isIndexType(OCI_MANIFEST)).toBe(false);
  expect(isIndexType(undefined)).toBe(false);
});

test.each([
  ["linux/amd64", "linux/amd64", true],
  ["linux/amd64", "linux/arm64", false],
  ["linux/arm64/v8", "linux/arm64", true],
  ["linux/arm64", "linux/arm64/v8", true],
  ["linux/arm/v6", "linux/arm", true],
  ["linux/arm", "linux/arm/v6", false],
  ["linux/arm/v7", "linux/arm/v6", false],
  ["windows/amd64", "linux/amd64", false],
  ["linux/amd64extra", "linux/amd64", false],
])("a child for %s, where %s is wanted: %s", (name, wanted, expected) => {
  expect(matchesPlatform(name, wanted)).toBe(expected);
});

test("a platform's name is cut where it is no name any more", () => {
  const platform = { os: "linux", architecture: "a".repeat(3_000_000) };
  expect(platformName({ platform })?.length).toBeLessThan(140);
});
