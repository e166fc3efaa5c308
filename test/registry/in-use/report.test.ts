import fc from "fast-check";
import { inUseOf, MISSING, mistrustOf } from "../../../registry/in-use/protection";
import {
  IN_USE_TYPE,
  type InUseReport,
  inUseArtifact,
  layerOfReport,
  MalformedReport,
  MOST_BYTES,
  MOST_DIGESTS,
  parseReport,
} from "../../../registry/in-use/report";
import { type Digest, sha256 } from "../../../registry/oci/digest";
import { parseManifest } from "../../../registry/oci/manifest";

const NOW = Date.UTC(2026, 10, 28);
const HOUR = 3_600_000;

const digests = fc
  .uniqueArray(fc.nat(1000), { maxLength: 20 })
  .map((all) => all.map((n) => sha256(`image ${n}`)).sort());
const report: fc.Arbitrary<InUseReport> = fc.record({
  cluster: fc.constantFrom("home", "office-2"),
  time: fc.integer({ min: NOW - 1000 * HOUR, max: NOW }),
  digests,
});

/** The report's layer as a registry would return it. */
const stored = ({ manifest, blobs }: ReturnType<typeof inUseArtifact>): Buffer => {
  const layer = layerOfReport(parseManifest(manifest));
  return blobs.find(({ digest }) => digest === layer.digest)?.bytes as Buffer;
};

test("a report is read as it was written, and the same report is the same bytes", () => {
  fc.assert(
    fc.property(report, (given) => {
      const artifact = inUseArtifact(given);
      expect(parseReport(stored(artifact), given.cluster, NOW)).toEqual(given);
      expect(inUseArtifact(given)).toEqual(artifact);
      for (const { digest, bytes } of artifact.blobs) expect(sha256(bytes)).toBe(digest);
    }),
  );
});

test("the largest report that may be read may be stored", () => {
  const largest = Array.from({ length: MOST_DIGESTS }, (_, n): Digest => `sha512:${n.toString(16).padStart(128, "0")}`);
  const artifact = inUseArtifact({ cluster: "c".repeat(63), time: NOW, digests: largest });
  expect(stored(artifact).length).toBeLessThan(MOST_BYTES);
  expect(parseReport(stored(artifact), "c".repeat(63), NOW).digests).toHaveLength(MOST_DIGESTS);
});

describe("a forged report is refused", () => {
  const body = { version: 1, cluster: "home", time: "2026-11-27T23:00:00.000Z", digests: [sha256("a")] };
  const parse = (text: string | Buffer) => () => parseReport(Buffer.from(text), "home", NOW);

  test.each([
    ["garbage", "\u0000\u0001 garbage", "is no json object"],
    ["no text", Buffer.from([0xff, 0xfe]), "is no json object"],
    ["nothing", "null", "is no json object"],
    ["another version", JSON.stringify({ ...body, version: 2 }), "is of a version that is not known"],
    ["another cluster", JSON.stringify({ ...body, cluster: "office" }), "is of another cluster"],
    ["no time", JSON.stringify({ ...body, time: 1 }), "does not say when it was made"],
    ["a day that is none", JSON.stringify({ ...body, time: "2026-13-41T00:00:00Z" }), "does not say when it was made"],
    [
      "a time that never gets old",
      JSON.stringify({ ...body, time: "2099-01-01T00:00:00Z" }),
      "is of a time that is still to come",
    ],
    ["no list", JSON.stringify({ ...body, digests: { length: 0 } }), "has no list of digests"],
    [
      "text that is not a digest",
      JSON.stringify({ ...body, digests: [sha256("a"), "latest"] }),
      "has an entry that is no digest",
    ],
    ["an entry that is no text", JSON.stringify({ ...body, digests: [null] }), "has an entry that is no digest"],
    [
      "a million digests",
      JSON.stringify({ ...body, digests: Array(1_000_000).fill("sha256:x") }),
      `has more than ${MOST_DIGESTS} digests`,
    ],
  ])("%s", (_, text, why) => {
    expect(parse(text)).toThrow(new MalformedReport(why));
  });

  test("any text at all is either a report of this cluster, or refused in words", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), fc.uint8Array().map(Buffer.from)), (text) => {
        expect(parse(Buffer.from(text as never))).toThrow(MalformedReport);
      }),
    );
  });

  const manifest = JSON.parse(inUseArtifact({ cluster: "home", time: NOW, digests: [] }).manifest.toString());
  const layered = (changes: object) => () =>
    layerOfReport(parseManifest(Buffer.from(JSON.stringify({ ...manifest, ...changes }))));
  const [layer] = manifest.layers;

  test.each([
    ["no type", { artifactType: undefined }, `is not of the artifact type ${IN_USE_TYPE}`],
    ["another type", { artifactType: "application/vnd.example" }, `is not of the artifact type ${IN_USE_TYPE}`],
    ["no layer", { layers: [] }, "does not have the one layer of its type"],
    ["two layers", { layers: [layer, layer] }, "does not have the one layer of its type"],
    [
      "a layer of an image",
      { layers: [{ ...layer, mediaType: "application/vnd.oci.image.layer.v1.tar" }] },
      "does not have the one layer of its type",
    ],
    ["a layer that never ends", { layers: [{ ...layer, size: 1e12 }] }, `has ${1e12} bytes, more than ${MOST_BYTES}`],
  ])("as a manifest with %s", (_, changes, why) => {
    expect(layered({})).not.toThrow();
    expect(layered(changes)).toThrow(new MalformedReport(why));
  });
});

describe("what a clean-up may go by", () => {
  const protect = { clusters: ["home", "office"], maximumAgeHours: 24 };
  const found = (cluster: string, hours: number) => ({
    cluster,
    report: { cluster, time: NOW - hours * HOUR, digests: [] },
    problem: null,
  });

  test("reports of every cluster that are young enough", () => {
    expect(mistrustOf(protect, [found("home", 24), found("office", 0)], NOW)).toBeNull();
    expect(mistrustOf(undefined, [], NOW)).toBeNull();
  });

  test.each([
    ["one is missing", [found("home", 1)], `the report of what runs in "office" ${MISSING}`],
    [
      "one is too old",
      [found("home", 1), found("office", 26)],
      'the report of what runs in "office" is 26 hours old, and may be 24',
    ],
    [
      "one is malformed",
      [{ cluster: "home", report: null, problem: "is no json object" } as const, found("office", 1)],
      'the report of what runs in "home" is no json object',
    ],
  ])("not where %s", (_, reports, message) => {
    expect(mistrustOf(protect, reports, NOW)).toMatchObject({ message });
  });

  test("a digest is known with every cluster that it runs in", () => {
    const runs = (cluster: string, ...names: string[]) => ({
      cluster,
      report: { cluster, time: NOW, digests: names.map((name) => sha256(name)) },
      problem: null,
    });
    expect(inUseOf([runs("office", "a", "a", "b"), runs("home", "a")])).toEqual(
      new Map([
        [sha256("a"), ["home", "office"]],
        [sha256("b"), ["office"]],
      ]),
    );
  });
});
