import { sha256 } from "../../../registry/oci/digest";
import { pickNewest } from "../../../registry/oci/newest";
import { artifact, content, digestOf, image, index, manifest, type SyntheticManifest } from "../../lab/images";
import { type FakeRegistry, json, verify } from "./fake-registry";
import { startFakeRegistry } from "./registry-of-test";

describe("the newest of dated tags", () => {
  const at = (tag: string, created: number | null | "hidden") => ({ tag, created });

  test("are those with the latest dates", () => {
    expect(pickNewest([at("a", 1), at("b", 3), at("c", 2)], 2)).toEqual(["b", "c"]);
  });

  test("of the same date, or without one, are those with the highest names, numbers as numbers", () => {
    expect(pickNewest([at("v9", null), at("v10", null), at("v1", null)], 2)).toEqual(["v10", "v9"]);
    expect(pickNewest([at("v9", 7), at("v10", 7), at("sig", null)], 2)).toEqual(["v10", "v9"]);
  });

  test("come with those whose date a failure hides", () => {
    expect(pickNewest([at("a", 1), at("lost", "hidden"), at("b", 2)], 1)).toEqual(["lost", "b"]);
  });
});

const imageOf = (created: string): SyntheticManifest => {
  const config = content("application/vnd.oci.image.config.v1+json", Buffer.from(JSON.stringify({ created })));
  return manifest(
    {
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: config.descriptor,
      layers: [],
    },
    { blobs: [config] },
  );
};

const indexOf = (created: string): SyntheticManifest => {
  const child = imageOf(created);
  const platform = { os: "linux", architecture: "amd64" };
  return index([{ ...child, descriptor: { ...child.descriptor, platform } }]);
};

describe("the newest tags of a registry", () => {
  let registry: FakeRegistry;
  beforeEach(async () => {
    registry = await startFakeRegistry();
    registry.push("app", indexOf("2026-01-01T00:00:00Z"), "z-oldest");
    registry.push("app", imageOf("2026-03-01T00:00:00Z"), "a-newest");
    registry.push("app", indexOf("2026-02-01T00:00:00Z"), "m-middle");
    registry.push("app", artifact("signature"), "sha256-0.sig");
  });

  const walkNewest = (count: number, role: "private" | "proxy" = "private") =>
    verify(registry.url, {
      role,
      blobs: role === "proxy" ? "none" : "last-byte",
      selection: { kind: "newest", count },
    });

  test("are told by their images' dates, whatever their names", async () => {
    const lost = registry.repository("app");
    lost.blobs.clear();
    // Without a readable config no date is known, so all tags are walked.
    expect((await walkNewest(1)).counts.tags).toBe(3 + 1);
  });

  test("are walked, and the others are not", async () => {
    const { counts, failures } = await walkNewest(2);
    expect(failures).toEqual([]);
    expect(counts).toMatchObject({ tags: 2, indexes: 1, manifests: 2 });
    expect(registry.asked(/manifests\/(a-newest|m-middle)$/)).toHaveLength(4);
  });

  test("a date in a config that is not the stored one counts for nothing: the tag is walked", async () => {
    const [config] = imageOf("2026-03-01T00:00:00Z").blobs;
    const older = Buffer.from(JSON.stringify({ created: "2020-03-01T00:00:00Z" }));
    registry.repository("app").blobs.set(config?.descriptor.digest ?? "", older);
    expect((await walkNewest(1)).counts.tags).toBe(2);
    expect(registry.asked(/manifests\/a-newest$/)).toHaveLength(2);
  });

  test("a tag that is broken is told, however old it seems", async () => {
    registry.repository("app").tags.set("0-lost", digestOf(image("nowhere")));
    const { failures } = await walkNewest(1);
    expect(failures).toMatchObject([{ object: "tag", tags: ["0-lost"] }]);
  });

  test("are told by their names of a cache, whose configs are not asked for", async () => {
    const { counts } = await walkNewest(1, "proxy");
    expect(counts.tags).toBe(1);
    expect(registry.asked(/blobs/)).toEqual([]);
  });

  test.each([
    ["itself", (asked: string) => asked],
    ["one that holds it in turn", (asked: string) => (asked === sha256("a") ? sha256("b") : sha256("a"))],
  ])("have an end where an index holds %s", async (_what, childOf) => {
    registry.on(/manifests\//, (request, response) => {
      const asked = request.url?.split("/").at(-1) ?? "";
      const digest = childOf(asked.startsWith("sha256:") ? asked : sha256("a"));
      const platform = { os: "linux", architecture: "amd64" };
      json(response, 200, { schemaVersion: 2, manifests: [{ digest, size: 1, platform }] });
    });
    expect((await walkNewest(1)).counts.tags).toBe(1);
  });
});
