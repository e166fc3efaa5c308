import fc from "fast-check";
import { type Digest, sha256 } from "../../../registry/oci/digest";
import type { Failure } from "../../../registry/oci/failure";
import { isInShard } from "../../../registry/oci/walk";
import {
  artifact,
  attestation,
  content,
  digestOf,
  fallbackTagOf,
  image,
  index,
  layer,
  manifest,
  multiPlatformImage,
  type SyntheticManifest,
} from "../../lab/images";
import { type FakeRegistry, json, verify } from "./fake-registry";
import { startFakeRegistry } from "./registry-of-test";

// retry.test.ts tests the backoff.
jest.mock("node:timers/promises", () => ({ setTimeout: () => Promise.resolve() }));

let registry: FakeRegistry;
beforeEach(async () => {
  registry = await startFakeRegistry();
});

/** The objects of an image: its index, a child, that child's config and first layer. */
const partsOf = (made: SyntheticManifest, at = 1) => {
  const child = made.manifests[at] as SyntheticManifest;
  const [config, first] = child.blobs.map(digestOf);
  return { index: digestOf(made), child: digestOf(child), config: config as Digest, layer: first as Digest };
};

const short = ({ repository, object, reason, tags, digest }: Failure) => ({ repository, object, reason, tags, digest });

describe("a healthy registry", () => {
  test("has no failure, and each distinct object is asked for once", async () => {
    const shared = [layer("base")];
    registry.push("a/app", multiPlatformImage("one", { layers: shared }), "v1", "latest");
    registry.push("a/app", multiPlatformImage("two", { layers: shared }), "v2");
    registry.push("b", image("three"), "v1");
    const report = await verify(registry.url);
    expect(report).toMatchObject({
      registry: registry.url.origin,
      complete: true,
      failures: [],
      stopped: null,
      // a/app has two indexes of two images, each with its own config and a shared layer; b has one image.
      counts: { repositories: 2, tags: 4, indexes: 2, manifests: 5, blobs: 5 + 3 },
    });
    const paths = registry.seen.map(({ path }) => path);
    expect(new Set(paths).size).toBe(paths.length);
    // Tags, children, blobs, a page of the catalog and two of tags; the ping and the check for the referrers API.
    expect(report.counts.requests).toBe(4 + 4 + 8 + 3 + 2);
    expect(registry.seen).toHaveLength(report.counts.requests);
  });

  test("of every kind of content is not accused", async () => {
    const subject = image("subject");
    const signed = multiPlatformImage("signed");
    const everything = index([
      image("oci"),
      image("docker", { format: "docker" }),
      index([image("nested"), image("attested"), attestation(image("attested"))]),
      artifact("sbom", { subject }),
    ]);
    registry.push("mixed", everything, "everything");
    registry.push("mixed", index([image("list", { format: "docker" })], { format: "docker" }), "list");
    registry.push("mixed", artifact("signature", { subject: signed }), fallbackTagOf(signed));
    registry.push(
      "mixed",
      manifest({ schemaVersion: 2, manifests: [], subject: subject.descriptor }),
      "signature-index",
    );
    const report = await verify(registry.url, { blobs: "hash" });
    expect(report.failures).toEqual([]);
    expect(report.complete).toBe(true);
  });

  test("a cache of BuildKit, which is an index of layers, is no index of lost manifests", async () => {
    const blobs = [layer("cached"), content("application/vnd.buildkit.cacheconfig.v0", Buffer.from("{}"))];
    const cache = manifest(
      {
        schemaVersion: 2,
        mediaType: "application/vnd.oci.image.index.v1+json",
        manifests: blobs.map(({ descriptor }) => descriptor),
      },
      { blobs },
    );
    registry.push("app", cache, "cache");
    expect(await verify(registry.url)).toMatchObject({ failures: [], counts: { indexes: 1, manifests: 0, blobs: 2 } });
    registry.repository("app").blobs.delete(blobs[0]?.descriptor.digest ?? "");
    const { failures } = await verify(registry.url);
    expect(failures).toMatchObject([
      { object: "layer", reason: "missing", path: [digestOf(cache), blobs[0]?.descriptor.digest] },
    ]);
  });

  test("a layer that may be held elsewhere is not missed", async () => {
    const foreign = layer("foreign");
    const elsewhere = { ...foreign, descriptor: { ...foreign.descriptor, urls: ["https://example.org/layer"] } };
    registry.push("windows", image("server", { layers: [layer("own"), elsewhere] }), "v1");
    registry.repository("windows").blobs.delete(foreign.descriptor.digest);
    const report = await verify(registry.url);
    expect(report.failures).toEqual([]);
    expect(report.counts.blobs).toBe(2);
  });

  test("a layer that may be held elsewhere, and is here, is checked like any other", async () => {
    const foreign = layer("foreign");
    const elsewhere = { ...foreign, descriptor: { ...foreign.descriptor, urls: ["https://example.org/layer"] } };
    registry.push("windows", image("server", { layers: [elsewhere] }), "v1");
    registry.repository("windows").blobs.set(foreign.descriptor.digest, Buffer.from("cut"));
    const { digest } = foreign.descriptor;
    expect((await verify(registry.url)).failures).toMatchObject([{ object: "layer", reason: "truncated", digest }]);
  });

  test.each([
    ["before", ["v1", "v2"]],
    ["after", ["v2", "v1"]],
  ])("a layer that another image has without urls is missed, whether it was read %s or not", async (_name, tags) => {
    const shared = layer("shared");
    const elsewhere = { ...shared, descriptor: { ...shared.descriptor, urls: ["https://example.org/layer"] } };
    registry.push("app", image("a", { layers: [elsewhere] }), tags[0] ?? "");
    registry.push("app", image("b", { layers: [shared] }), tags[1] ?? "");
    registry.repository("app").blobs.delete(shared.descriptor.digest);
    const { failures } = await verify(registry.url, {}, { concurrency: 1 });
    expect(failures).toMatchObject([{ object: "layer", reason: "missing", tags: ["v1", "v2"] }]);
  });

  test("pages of the catalog and of tags are followed to the end", async () => {
    registry.pageSize = 3;
    for (let n = 0; n < 8; n++)
      registry.push(`p/r${n}`, image(`${n}`), ...Array.from({ length: 7 }, (_, tag) => `v${tag}`));
    const report = await verify(registry.url);
    expect(report).toMatchObject({ complete: true, failures: [], counts: { repositories: 8, tags: 56 } });
    expect(registry.asked(/_catalog/)).toHaveLength(3);
    expect(registry.seen.some(({ path }) => path.includes("n=0"))).toBe(false);
  });

  test("a repository without tags answers null and has no failure", async () => {
    registry.push("empty", image("untagged"));
    registry.on("/v2/empty/tags/list", (_request, response) => json(response, 200, { name: "empty", tags: null }));
    expect(await verify(registry.url)).toMatchObject({ complete: true, failures: [], counts: { tags: 0 } });
  });
});

describe("a repository whose list of tags is missing", () => {
  const warning = { repository: "untagged", reason: "no-tags", status: 404 };

  beforeEach(() => {
    registry.push("app", image("app"), "v1").push("untagged", image("untagged"));
    registry.on("/v2/untagged/tags/list", (_request, response) => json(response, 404, {}));
  });

  test("is a warning where the catalog lists it: nothing may ever have been tagged there", async () => {
    const report = await verify(registry.url);
    expect(report).toMatchObject({ complete: true, failures: [], warnings: [warning], counts: { repositories: 2 } });
  });

  test("is a failure where it was named", async () => {
    const { failures, warnings } = await verify(registry.url, { catalog: false, repositories: ["untagged"] });
    expect(failures).toMatchObject([{ repository: "untagged", object: "repository", reason: "missing", status: 404 }]);
    expect(warnings).toEqual([]);
  });

  test("is a failure where a page of it was there, or where it may not be read", async () => {
    registry.pageSize = 1;
    registry.push("app", image("app"), "v2");
    registry.on(/app\/tags\/list\?/, (_request, response) => json(response, 404, {}));
    registry.on("/v2/untagged/tags/list", (_request, response) => json(response, 403, {}));
    const { failures, warnings } = await verify(registry.url);
    expect(failures).toMatchObject([
      { repository: "app", object: "repository", reason: "missing" },
      { repository: "untagged", object: "repository", reason: "unauthorized" },
    ]);
    expect(warnings).toEqual([]);
  });
});

describe("failures", () => {
  test("every missing child is reported, not only the first", async () => {
    const made = multiPlatformImage("app", { platforms: ["amd64", "arm64", "riscv64"] });
    registry.push("app", made, "v1", "latest");
    registry.repository("app").manifests.delete(partsOf(made, 0).child);
    registry.repository("app").manifests.delete(partsOf(made, 2).child);
    const { failures } = await verify(registry.url);
    expect(failures).toHaveLength(2);
    for (const at of [0, 2]) {
      const { index, child } = partsOf(made, at);
      expect(failures).toContainEqual({
        repository: "app",
        tags: ["latest", "v1"],
        digest: child,
        object: "manifest",
        reason: "missing",
        status: 404,
        platform: at === 0 ? "linux/amd64" : "linux/riscv64",
        path: [index, child],
        detail: expect.any(String),
      });
    }
  });

  test("one broken layer of many images is one failure, by the shortest route and then the lowest tag", async () => {
    const base = layer("base");
    const direct = image("direct", { layers: [base] });
    const first = index([image("first", { layers: [base] })]);
    registry.push("app", first, "a", "z");
    registry.push("app", direct, "c");
    registry.push("app", image("other", { layers: [base] }), "b");
    registry.repository("app").blobs.delete(base.descriptor.digest);
    const { failures } = await verify(registry.url);
    expect(failures).toHaveLength(1);
    const other = registry.repository("app").tags.get("b");
    expect(failures[0]).toMatchObject({
      tags: ["a", "b", "c", "z"],
      path: [other, base.descriptor.digest],
      object: "layer",
      platform: null,
    });
  });

  test("a broken tag hides nothing of the others", async () => {
    registry.push("app", image("kept"), "kept");
    registry.repository("app").tags.set("lost", sha256("nothing"));
    const { failures, counts } = await verify(registry.url);
    expect(failures).toMatchObject([{ object: "tag", tags: ["lost"], digest: null, path: [], reason: "missing" }]);
    expect(counts).toMatchObject({ tags: 2, manifests: 1 });
  });

  test("what is reached by two routes of different sizes is told, and checked once", async () => {
    const base = layer("base");
    const wrong = { ...base, descriptor: { ...base.descriptor, size: base.descriptor.size + 1 } };
    registry.push("app", image("right", { layers: [base] }), "a");
    registry.push("app", image("wrong", { layers: [wrong] }), "b");
    const { failures } = await verify(registry.url);
    expect(failures).toMatchObject([{ object: "layer", reason: "size-mismatch", tags: ["a", "b"] }]);
  });

  test.each([
    ["before", ["a", "b"]],
    ["after", ["b", "a"]],
  ])("a tagged child whose size is not the one described, read %s its index", async (_when, [outer, own]) => {
    const child = image("child");
    const wrong = { ...child, descriptor: { ...child.descriptor, size: child.descriptor.size + 10 } };
    registry.push("app", index([wrong]), outer ?? "").push("app", child, own ?? "");
    const { failures } = await verify(registry.url, {}, { concurrency: 1 });
    expect(failures).toMatchObject([
      { object: "manifest", digest: digestOf(child), reason: "size-mismatch", tags: ["a", "b"] },
    ]);
  });

  test("a layer of schema 1, which has a digest and no size", async () => {
    const blob = layer("old");
    const document = { schemaVersion: 1, fsLayers: [{ blobSum: digestOf(blob) }] };
    const mediaType = "application/vnd.docker.distribution.manifest.v1+json";
    registry.push("app", manifest(document, { blobs: [blob], mediaType }), "v1");
    expect(await verify(registry.url)).toMatchObject({ failures: [], counts: { manifests: 1, blobs: 1 } });
    registry.repository("app").blobs.delete(digestOf(blob));
    expect((await verify(registry.url)).failures).toMatchObject([{ object: "layer", reason: "missing" }]);
  });

  test("a child whose size is not the one described", async () => {
    const child = image("child");
    const wrong = { ...child, descriptor: { ...child.descriptor, size: child.descriptor.size + 10 } };
    registry.push("app", index([wrong]), "v1");
    const { failures } = await verify(registry.url);
    expect(failures).toMatchObject([
      { object: "manifest", digest: digestOf(child), reason: "size-mismatch", status: 200 },
    ]);
  });

  test("bytes that hash to another digest are not followed", async () => {
    const made = multiPlatformImage("app");
    const { index, child } = partsOf(made);
    registry.push("app", made, "v1");
    registry.repository("app").manifests.set(child, {
      bytes: Buffer.from(
        (made.manifests[1] as SyntheticManifest).bytes.toString().replace(/sha256:..../, "sha256:0000"),
      ),
      mediaType: "application/vnd.oci.image.manifest.v1+json",
    });
    const { failures } = await verify(registry.url);
    expect(failures.map(short)).toEqual([
      { repository: "app", object: "manifest", reason: "digest-mismatch", tags: ["v1"], digest: child },
    ]);
    expect(failures[0]?.path).toEqual([index, child]);
  });

  test("a tag whose manifest is altered is a broken manifest, with its digest", async () => {
    const made = image("app");
    registry.push("app", made, "v1", "v2");
    const bytes = Buffer.from(made.bytes.toString().replace(/\d\}\]/, "0}]"));
    registry.repository("app").manifests.set(digestOf(made), { bytes, mediaType: made.descriptor.mediaType });
    const { failures } = await verify(registry.url);
    expect(failures).toMatchObject([
      {
        object: "manifest",
        reason: "digest-mismatch",
        tags: ["v1", "v2"],
        digest: digestOf(made),
        path: [digestOf(made)],
      },
    ]);
  });

  test("a manifest that is none, with the right digest, is malformed", async () => {
    const made = manifest({ schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", layers: [] });
    registry.push("app", made, "v1");
    const { failures } = await verify(registry.url);
    expect(failures).toMatchObject([
      { object: "manifest", reason: "malformed", digest: digestOf(made), detail: "config is not an object" },
    ]);
  });

  test("a repository that may not be read is one failure, the others are walked, and the walk is incomplete", async () => {
    registry.push("open", image("a"), "v1").push("shut", image("b"), "v1");
    registry.on(/^\/v2\/shut\//, (_request, response) => json(response, 403, { errors: [{ code: "DENIED" }] }));
    const report = await verify(registry.url);
    expect(report.failures).toMatchObject([
      { repository: "shut", object: "repository", reason: "unauthorized", status: 403 },
    ]);
    expect(report).toMatchObject({ complete: false, counts: { repositories: 2, tags: 1 } });
  });

  test.each([
    [500, "server-error", true],
    [502, "server-error", false],
    [503, "server-error", false],
    [504, "server-error", false],
    [429, "unreachable", false],
    [408, "timeout", false],
    [400, "malformed", true],
  ])("a manifest that answers %i is %s", async (status, reason, complete) => {
    const made = multiPlatformImage("app");
    registry.push("app", made, "v1");
    registry.on(new RegExp(`manifests/${partsOf(made).child}`), (_request, response) => json(response, status, {}));
    const report = await verify(registry.url);
    expect(report.failures).toMatchObject([{ object: "manifest", reason, status, digest: partsOf(made).child }]);
    expect(report.complete).toBe(complete);
  });

  test("of blobs, by each check", async () => {
    const made = image("app", { layers: ["short", "long", "altered", "missing"].map((seed) => layer(seed)) });
    registry.push("app", made, "v1");
    const { blobs } = registry.repository("app");
    const [, shortened, lengthened, altered, missing] = made.blobs.map(digestOf);
    blobs.set(shortened as string, (blobs.get(shortened as string) as Buffer).subarray(1));
    blobs.set(lengthened as string, Buffer.concat([blobs.get(lengthened as string) as Buffer, Buffer.alloc(1)]));
    blobs.set(altered as string, Buffer.alloc((blobs.get(altered as string) as Buffer).length));
    blobs.delete(missing as string);
    const found = async (check: "none" | "head" | "last-byte" | "hash") => {
      const { failures } = await verify(registry.url, { blobs: check });
      return Object.fromEntries(failures.map(({ digest, reason }) => [digest, reason]));
    };
    expect(await found("none")).toEqual({});
    expect(await found("head")).toEqual({
      [`${shortened}`]: "size-mismatch",
      [`${lengthened}`]: "size-mismatch",
      [`${missing}`]: "missing",
    });
    expect(await found("last-byte")).toEqual({
      [`${shortened}`]: "truncated",
      [`${lengthened}`]: "size-mismatch",
      [`${missing}`]: "missing",
    });
    expect(await found("hash")).toEqual({
      [`${shortened}`]: "truncated",
      [`${lengthened}`]: "size-mismatch",
      [`${altered}`]: "digest-mismatch",
      [`${missing}`]: "missing",
    });
  });

  test("an empty blob has no last byte, and is checked all the same", async () => {
    const empty = content("application/octet-stream", Buffer.alloc(0));
    const config = content("application/vnd.oci.empty.v1+json", Buffer.from("{}"));
    const made = manifest(
      { schemaVersion: 2, config: config.descriptor, layers: [empty.descriptor] },
      { blobs: [config, empty] },
    );
    registry.push("app", made, "v1");
    expect((await verify(registry.url)).failures).toEqual([]);
    registry.repository("app").blobs.delete(empty.descriptor.digest);
    expect((await verify(registry.url)).failures).toMatchObject([{ object: "layer", reason: "missing" }]);
  });

  test("a server that knows neither ranges nor lengths is read to the end", async () => {
    registry.push("app", image("app", { layers: [layer("big", { size: 200_000 })] }), "v1");
    registry.on(/\/blobs\//, (request, response) => {
      const bytes = registry.repository("app").blobs.get(request.url?.split("/").pop() ?? "");
      // Without a length it is sent with chunked encoding.
      response.writeHead(200);
      response.end(bytes);
    });
    const report = await verify(registry.url);
    expect(report.failures).toEqual([]);
    expect(report.counts.bytes).toBeGreaterThan(200_000);
  });

  test("a server that knows no ranges is believed by the length it announces", async () => {
    registry.push("app", image("app", { layers: [layer("big", { size: 200_000 })] }), "v1");
    registry.on(/\/blobs\//, (request, response) => {
      delete request.headers.range;
      registry.serve(request, response);
    });
    const report = await verify(registry.url);
    expect(report.failures).toEqual([]);
    expect(report.counts.bytes).toBeLessThan(200_000);
  });
});

describe("referrers", () => {
  test("are walked where the registry has the API, each of them once", async () => {
    registry.hasReferrers = true;
    const subject = multiPlatformImage("app");
    const signature = artifact("signature", { subject });
    registry.push("app", subject, "v1").push("app", signature);
    const report = await verify(registry.url);
    expect(report).toMatchObject({ failures: [], complete: true, counts: { indexes: 1, manifests: 3 } });

    registry.repository("app").blobs.delete(digestOf(signature.blobs[1] as SyntheticManifest));
    const { failures } = await verify(registry.url);
    expect(failures).toMatchObject([
      {
        object: "layer",
        tags: ["v1"],
        path: [digestOf(subject), digestOf(signature), digestOf(signature.blobs[1] as SyntheticManifest)],
      },
    ]);
  });

  test("without the API are asked for once in the whole walk", async () => {
    for (const name of ["a", "b", "c"]) registry.push(name, multiPlatformImage(name), "v1");
    await verify(registry.url);
    expect(registry.asked(/referrers/)).toHaveLength(1);
  });

  describe("under fallback tags", () => {
    const subject = multiPlatformImage("app");
    const child = subject.manifests[0] as SyntheticManifest;
    const signature = artifact("signature", { subject });
    const attested = artifact("attestation", { subject: child });
    // A signature can be signed in turn.
    const countersignature = artifact("countersignature", { subject: signature });
    const cosigned = artifact("cosign");
    const others = image("other");
    beforeEach(() => {
      registry
        .push("app", subject, "v2")
        .push("app", index([signature]), fallbackTagOf(subject))
        .push("app", index([attested]), fallbackTagOf(child))
        .push("app", index([countersignature]), fallbackTagOf(signature))
        .push("app", cosigned, `${fallbackTagOf(subject)}.sig`)
        .push("app", others, "v1")
        .push("app", artifact("signature of another", { subject: others }), fallbackTagOf(others));
    });
    const lose = (made: SyntheticManifest) =>
      registry.repository("app").blobs.delete(digestOf(made.blobs[1] as SyntheticManifest));
    const tagsOf = ({ failures }: Awaited<ReturnType<typeof verify>>) => failures.map(({ tags }) => tags);

    test.each([
      ["a tag", { kind: "named", tags: ["v2"] }],
      ["a digest", { kind: "named", tags: [], digests: [digestOf(subject)] }],
    ] as const)("are found from %s that is named: each is asked for, and may be missing", async (_what, selection) => {
      const walkOf = () => verify(registry.url, { catalog: false, repositories: ["app"], selection });
      expect(await walkOf()).toMatchObject({ failures: [], complete: true });
      expect(registry.asked(/tags\/list/)).toEqual([]);
      for (const made of [signature, attested, countersignature]) lose(made);
      const report = await walkOf();
      expect(tagsOf(report).sort()).toEqual(
        [[fallbackTagOf(subject)], [fallbackTagOf(child)], [fallbackTagOf(signature)]].sort(),
      );
    });

    test.each([
      ["the newest tags", { kind: "newest", count: 1 }],
      ["tags that are present", { kind: "present", tags: ["v2"] }],
    ] as const)("are found from %s: those that are listed, of cosign too", async (_what, selection) => {
      registry.repository("app").tags.delete("v1");
      for (const made of [signature, cosigned]) lose(made);
      const report = await verify(registry.url, { selection });
      expect(tagsOf(report).sort()).toEqual([[fallbackTagOf(subject)], [`${fallbackTagOf(subject)}.sig`]].sort());
      const listed = [...registry.repository("app").tags.keys()];
      const asked = registry.asked(/manifests\/sha256-/).map(({ path }) => path.split("/").at(-1));
      expect(asked.filter((tag) => !listed.includes(tag ?? ""))).toEqual([]);
    });

    test("are asked for once, where all tags are walked or one of them is named", async () => {
      await verify(registry.url);
      const all = registry.asked(/manifests\/sha256-/).map(({ path }) => path);
      expect(all).toHaveLength(5);
      expect(new Set(all).size).toBe(5);
      const selection = { kind: "named", tags: ["v2", fallbackTagOf(subject)] } as const;
      await verify(registry.url, { catalog: false, repositories: ["app"], selection });
      expect(registry.asked(new RegExp(`manifests/${fallbackTagOf(subject)}$`))).toHaveLength(2);
    });

    test("that cannot be asked for leave the walk incomplete", async () => {
      registry.on(new RegExp(`manifests/${fallbackTagOf(child)}$`), (_request, response) => json(response, 503, {}));
      const selection = { kind: "named", tags: ["v2"] } as const;
      const report = await verify(registry.url, { catalog: false, repositories: ["app"], selection });
      expect(report).toMatchObject({
        complete: false,
        failures: [{ object: "tag", tags: [fallbackTagOf(child)], reason: "server-error", status: 503 }],
      });
    });
  });

  test("that cannot be listed are a failure of the repository", async () => {
    registry.hasReferrers = true;
    const made = image("app");
    registry.push("app", made, "v1").push("app", artifact("other", { subject: made }));
    let answers = 0;
    registry.on(/referrers/, (request, response) => {
      if (answers++ === 0) registry.serve(request, response);
      else json(response, 500, {});
    });
    const report = await verify(registry.url);
    expect(report.failures).toMatchObject([{ object: "repository", reason: "server-error" }]);
    expect(report.complete).toBe(false);
  });
});

describe("what is walked", () => {
  beforeEach(() => {
    registry.push("app", image("one"), "v1").push("app", image("two"), "v2").push("other", image("three"), "v1");
  });

  test("a named repository, which the catalog need not list", async () => {
    registry.on("/v2/_catalog", (_request, response) => json(response, 200, { repositories: ["other"] }));
    const { counts } = await verify(registry.url, { catalog: false, repositories: ["app"] });
    expect(counts).toMatchObject({ repositories: 1, tags: 2 });
    expect(registry.asked(/_catalog/)).toEqual([]);
  });

  test("named repositories beside the catalog", async () => {
    registry.on("/v2/_catalog", (_request, response) => json(response, 200, { repositories: ["other"] }));
    const { counts } = await verify(registry.url, { repositories: ["app", "other"] });
    expect(counts).toMatchObject({ repositories: 2, tags: 3 });
  });

  test("named tags: a missing one is a failure", async () => {
    const selection = { kind: "named", tags: ["v1", "v3", "v1"] } as const;
    const report = await verify(registry.url, { catalog: false, repositories: ["app"], selection });
    expect(report.failures).toMatchObject([{ object: "tag", tags: ["v3"], reason: "missing", status: 404 }]);
    expect(report.counts).toMatchObject({ tags: 2, manifests: 1 });
    expect(registry.asked(/tags\/list/)).toEqual([]);
  });

  test("the tags that are present", async () => {
    const { counts, failures } = await verify(registry.url, { selection: { kind: "present", tags: ["v2"] } });
    expect(failures).toEqual([]);
    expect(counts).toMatchObject({ repositories: 2, tags: 1 });
  });

  test("a digest", async () => {
    const made = multiPlatformImage("by digest");
    registry.push("app", made);
    const walkOf = (digest: Digest) =>
      verify(registry.url, {
        catalog: false,
        repositories: ["app"],
        selection: { kind: "named", tags: [], digests: [digest] },
      });
    expect(await walkOf(digestOf(made))).toMatchObject({ failures: [], counts: { tags: 0, indexes: 1, manifests: 2 } });
    const nothing = sha256("nothing");
    expect((await walkOf(nothing)).failures).toMatchObject([
      { object: "manifest", digest: nothing, path: [nothing], tags: [], reason: "missing" },
    ]);
  });

  test("a named repository that does not exist is a failure", async () => {
    const { failures } = await verify(registry.url, { catalog: false, repositories: ["nowhere"] });
    expect(failures).toMatchObject([{ repository: "nowhere", object: "repository", reason: "missing", status: 404 }]);
  });

  test("shards divide the repositories without loss or overlap", () => {
    fc.assert(
      fc.property(fc.array(fc.string()), fc.integer({ min: 1, max: 9 }), (names, count) => {
        for (const name of names) {
          const shards = Array.from({ length: count }, (_, index) => isInShard(name, { index, count }));
          expect(shards.filter(Boolean)).toHaveLength(1);
        }
      }),
    );
  });

  test("each shard walks its own repositories, those that are named too", async () => {
    const repositories = ["named", ...Array.from({ length: 10 }, (_, n) => `r${n}`)];
    for (const name of repositories) registry.push(name, image(name), "v1");
    for (let at = 0; at < 3; at++)
      await verify(registry.url, { repositories: ["named"], shard: { index: at, count: 3 } });
    const listed = registry.asked(/tags\/list/).map(({ path }) => path.split("/")[2]);
    expect(listed.sort()).toEqual(["app", "other", ...repositories].sort());
  });

  test("an empty catalog is reported by the first shard only", async () => {
    registry.on("/v2/_catalog", (_request, response) => json(response, 200, { repositories: [] }));
    const failures = async (index: number) => (await verify(registry.url, { shard: { index, count: 2 } })).failures;
    expect(await failures(0)).toMatchObject([{ object: "catalog", reason: "coverage" }]);
    expect(await failures(1)).toEqual([]);
  });
});

describe("coverage", () => {
  test("an empty catalog is a finding", async () => {
    const report = await verify(registry.url);
    expect(report).toMatchObject({
      complete: true,
      failures: [{ object: "catalog", reason: "coverage", digest: null }],
    });
  });

  test("an empty pull-through cache is none", async () => {
    expect((await verify(registry.url, { role: "proxy", blobs: "none" })).failures).toEqual([]);
  });

  test("credentials that were given and never asked for are a finding, but of a cache", async () => {
    registry.push("app", image("app"), "v1");
    const { failures } = await verify(registry.url, { credentialsGiven: true });
    expect(failures).toMatchObject([{ object: "catalog", reason: "coverage" }]);
    expect((await verify(registry.url, { credentialsGiven: true, role: "proxy", blobs: "none" })).failures).toEqual([]);
  });
});

describe("a pull-through cache", () => {
  const walkCache = () => verify(registry.url, { role: "proxy", blobs: "none" });
  const upstream = (code: string) => ({ errors: [{ code: "UNKNOWN", detail: { errors: [{ code }] } }] });

  test("may lack children, and its blobs are not asked for", async () => {
    const made = multiPlatformImage("app", { platforms: ["amd64", "arm64", "riscv64"] });
    registry.push("app", made, "v1");
    registry.repository("app").manifests.delete(partsOf(made, 0).child);
    registry.on(new RegExp(partsOf(made, 1).child), (_request, response) =>
      json(response, 500, upstream("MANIFEST_UNKNOWN")),
    );
    const report = await walkCache();
    expect(report).toMatchObject({ complete: true, failures: [], counts: { indexes: 1, manifests: 1, blobs: 0 } });
    expect(registry.asked(/blobs|referrers/)).toEqual([]);
  });

  test("alone has an upstream: what a registry says of one is its own error", async () => {
    registry.push("app", image("app"), "v1");
    registry.on(/manifests\/v1/, (_request, response) => json(response, 500, upstream("MANIFEST_UNKNOWN")));
    expect((await walkCache()).failures).toMatchObject([{ object: "tag", reason: "missing" }]);
    expect((await verify(registry.url)).failures).toMatchObject([{ object: "tag", reason: "server-error" }]);
  });

  test("may not lack what was asked for by its digest", async () => {
    registry.push("app", image("app"), "v1");
    const lost = sha256("lost");
    const selection = { kind: "named", tags: [], digests: [lost] } as const;
    const named = { catalog: false, repositories: ["app"], selection };
    const { failures } = await verify(registry.url, { role: "proxy", blobs: "none", ...named });
    expect(failures).toMatchObject([{ object: "manifest", digest: lost, reason: "missing" }]);
  });

  // Answers recorded from 2.8.3 and v3.
  const answering = (detail: unknown) => ({ errors: [{ code: "UNKNOWN", message: "unknown error", detail }] });
  const LACKS: [string, unknown][] = [
    ["2.8", { errors: [{ code: "MANIFEST_UNKNOWN", message: "manifest unknown" }] }],
    ["v3", "manifest unknown: manifest unknown"],
  ];
  const REFUSES: [string, unknown][] = [
    ["2.8", { errors: [{ code: "DENIED", message: "x" }] }],
    ["2.8, of a page", { code: "DENIED", message: "no" }],
    ["v3", "denied: x"],
  ];
  const CANNOT: [string, unknown][] = [
    ["2.8, refused", { Op: "Get", URL: "http://up/v2/", Err: { Op: "dial", Err: { Err: 111 } } }],
    ["2.8, reset", { Op: "Get", URL: "http://up/v2/", Err: {} }],
    ["2.8, 502", { Status: "502 Bad Gateway" }],
    ["2.8, too many requests", { errors: [{ code: "TOOMANYREQUESTS", message: "x" }] }],
    ["2.8, a page", { code: "UNKNOWN", message: "<html>" }],
    ["v3, refused", 'Get "http://up/v2/": dial tcp 127.0.0.1:1: connect: connection refused'],
    ["v3, 502", "received unexpected HTTP status: 502 Bad Gateway"],
    ["v3, too many requests", "toomanyrequests: slow down"],
    ["v3, a page", "unknown: nope"],
  ];

  test.each([...LACKS, ...REFUSES])(
    "whose upstream has no child to give (%s): nothing is accused",
    async (_name, detail) => {
      const made = multiPlatformImage("app");
      registry.push("app", made, "v1");
      registry.on(new RegExp(partsOf(made).child), (_request, response) => json(response, 500, answering(detail)));
      expect(await walkCache()).toMatchObject({ failures: [], counts: { indexes: 1, manifests: 1 } });
    },
  );

  test.each(CANNOT)(
    "whose upstream cannot be asked (%s) is incomplete, and nothing is accused",
    async (_name, detail) => {
      const made = multiPlatformImage("app");
      registry.push("app", made, "v1");
      registry.on(new RegExp(partsOf(made).child), (_request, response) => json(response, 500, answering(detail)));
      expect(await walkCache()).toMatchObject({ complete: false, failures: [] });
    },
  );

  test.each([
    ...LACKS.map((each) => ["missing", ...each] as const),
    ...REFUSES.map((each) => ["unauthorized", ...each] as const),
    ...CANNOT.map((each) => ["unreachable", ...each] as const),
  ])("tells of a tag that it is %s (%s)", async (reason, _name, detail) => {
    registry.push("app", image("app"), "v1");
    registry.on(/manifests\/v1/, (_request, response) => json(response, 500, answering(detail)));
    expect((await walkCache()).failures).toMatchObject([{ object: "tag", tags: ["v1"], reason, status: 500 }]);
  });

  test("that is damaged itself is told so", async () => {
    const made = multiPlatformImage("app");
    registry.push("app", made, "v1");
    registry.on(new RegExp(partsOf(made).child), (_request, response) =>
      json(response, 500, { errors: [{ code: "UNKNOWN", detail: {} }] }),
    );
    expect((await walkCache()).failures).toMatchObject([{ object: "manifest", reason: "server-error", status: 500 }]);
  });
});

describe("the end of a walk", () => {
  test("a run that is cut short reports what it has found, and that it is incomplete", async () => {
    registry.push("a", image("a"), "v1").push("b", image("b"), "v1");
    registry.repository("a").tags.set("lost", sha256("nothing"));
    const interruption = new AbortController();
    registry.on(/^\/v2\/b\//, () => interruption.abort());
    const report = await verify(registry.url, { signal: interruption.signal }, { concurrency: 1 });
    expect(report).toMatchObject({
      complete: false,
      failures: [{ repository: "a", object: "tag", tags: ["lost"] }],
      stopped: { code: "interrupted" },
    });
  });

  test("a deadline is told as such", async () => {
    registry.push("a", image("a"), "v1");
    registry.on(/^\/v2\/a\//, () => {});
    const report = await verify(registry.url, { signal: AbortSignal.timeout(300) });
    expect(report).toMatchObject({ complete: false, failures: [], stopped: { code: "deadline" } });
  });

  test("a registry that goes away is one failure, not one for each object", async () => {
    registry.push("a", image("a"), "v1");
    registry.repository("a").tags.set("lost", sha256("nothing"));
    for (let n = 0; n < 20; n++) registry.push(`b${n}`, image(`${n}`), "v1");
    registry.on(/^\/v2\/b/, (request) => request.socket.destroy());
    const report = await verify(registry.url, {}, { concurrency: 2 });
    expect(report).toMatchObject({
      complete: false,
      failures: [{ repository: "a", object: "tag", tags: ["lost"] }],
      stopped: { code: "unreachable" },
    });
  });

  test.each([
    ["429", "rate-limited", /however slowly it is asked/],
    ["503", "unreachable", /answers 503/],
  ])("a registry that answers nothing but %s is one failure", async (status, code, message) => {
    for (let n = 0; n < 20; n++) registry.push(`b${n}`, image(`${n}`), "v1");
    registry.on(/^\/v2\/b/, (_request, response) => json(response, Number(status), {}));
    const report = await verify(registry.url, {}, { concurrency: 2 });
    expect(report.stopped).toMatchObject({ code, message: expect.stringMatching(message) });
    expect(registry.asked(/^\/v2\/b/).length).toBeLessThan(100);
  });

  test("objects without an answer are no end as long as others have one", async () => {
    for (let n = 0; n < 20; n++) registry.push(`b${n}`, image(`${n}`), "v1");
    registry.on(/^\/v2\/b\d*[13579]\//, (request) => request.socket.destroy());
    const report = await verify(registry.url, {}, { concurrency: 1 });
    expect(report).toMatchObject({ complete: false, stopped: null, counts: { repositories: 20 } });
    expect(report.failures).toHaveLength(10);
  });

  test("a run that was cut short before it began asks for nothing", async () => {
    registry.push("a", image("a"), "v1");
    const report = await verify(registry.url, { signal: AbortSignal.abort() });
    expect(report).toMatchObject({ complete: false, stopped: { code: "interrupted" }, counts: { requests: 0 } });
    expect(registry.seen).toEqual([]);
  });

  test.each([
    [400, "unreachable", /is no registry: it answers 400/],
    [403, "unauthorized", /refused the credentials/],
    [502, "unreachable", /answers 502: the proxy in front/],
    [504, "unreachable", /answers 504: the proxy in front/],
  ])("a ping that answers %i is the end, whatever else is served", async (status, code, message) => {
    registry.push("app", image("app"), "v1");
    registry.on("/v2/", (_request, response) => json(response, status, {}));
    const named = { catalog: false, repositories: ["app"] };
    const expected = { code, message: expect.stringMatching(message) };
    await expect(verify(registry.url, named)).rejects.toMatchObject(expected);
  });

  test("a ping that answers 404 is the end only where nothing else is served", async () => {
    registry.push("app", image("app"), "v1");
    registry.on("/v2/", (_request, response) => json(response, 404, {}));
    const named = { catalog: false, repositories: ["app"] };
    expect(await verify(registry.url, named)).toMatchObject({ complete: true, failures: [] });
    registry.on(/./, (_request, response) => json(response, 404, {}));
    await expect(verify(registry.url, named)).rejects.toMatchObject({
      code: "unreachable",
      message: expect.stringMatching(/it answers 404/),
    });
  });

  test("a reverse proxy that drops the Accept header is told as such, and no manifest as lost", async () => {
    registry.push("app", image("app"), "v1");
    registry.on(/manifests/, (_request, response) =>
      json(response, 404, {
        errors: [
          { code: "MANIFEST_UNKNOWN", message: "OCI manifest found, but accept header does not support OCI manifests" },
        ],
      }),
    );
    await expect(verify(registry.url)).rejects.toMatchObject({ code: "accept-dropped" });
  });

  test("a manifest that is refused as invalid ends the walk only where no manifest is served", async () => {
    registry.push("app", image("app"), "v1", "v2").push("app", image("other"), "v3");
    const refuse = (path: RegExp) =>
      registry.on(path, (_request, response) => json(response, 400, { errors: [{ code: "MANIFEST_INVALID" }] }));
    refuse(/manifests\/v1/);
    const report = await verify(registry.url, {}, { concurrency: 1 });
    expect(report.failures).toMatchObject([{ object: "tag", tags: ["v1"], reason: "malformed", status: 400 }]);
    expect(report.counts.manifests).toBe(2);
    refuse(/manifests/);
    await expect(verify(registry.url)).rejects.toMatchObject({ code: "accept-dropped" });
  });

  test.each([
    [401, "unauthorized"],
    [403, "unauthorized"],
    [404, "no-catalog"],
    [405, "no-catalog"],
    [501, "no-catalog"],
  ])("a catalog that answers %i is no walk", async (status, code) => {
    registry.push("app", image("app"), "v1");
    registry.on("/v2/_catalog", (_request, response) => json(response, status, {}));
    await expect(verify(registry.url)).rejects.toMatchObject({ code });
    // With a repository to walk, it is just one of the failures.
    const report = await verify(registry.url, { repositories: ["app"] });
    expect(report).toMatchObject({ complete: false, counts: { tags: 1 }, failures: [{ object: "catalog", status }] });
  });
});

test("the walk reports every failure, once and at the same place, in whatever order the answers come", async () => {
  const images = ["a", "b", "c"].map((seed) => multiPlatformImage(seed, { layers: [layer("base"), layer(seed)] }));
  const all = new Map<string, "manifest" | "blob">();
  for (const made of images) {
    for (const child of made.manifests) {
      all.set(digestOf(child), "manifest");
      for (const blob of child.blobs) all.set(digestOf(blob), "blob");
    }
  }
  const digests = [...all.keys()].sort();
  await fc.assert(
    fc.asyncProperty(fc.subarray(digests), fc.array(fc.nat(3), { minLength: 1 }), async (lost, delays) => {
      const fake = await startFakeRegistry();
      try {
        for (const [at, made] of images.entries()) fake.push("app", made, `v${at}`);
        for (const digest of lost) {
          fake.repository("app").manifests.delete(digest);
          fake.repository("app").blobs.delete(digest);
        }
        let answers = 0;
        fake.on(/blobs|manifests/, (request, response) => {
          const wait = delays[answers++ % delays.length] ?? 0;
          let turns = 0;
          const answer = (): void => void (turns++ < wait ? setImmediate(answer) : fake.serve(request, response));
          answer();
        });
        const { failures } = await verify(fake.url, {}, { concurrency: 3 });
        // A blob can be reached as long as one manifest refers to it.
        const reached = new Set(
          images.flatMap((made) =>
            made.manifests.flatMap((child) => [
              digestOf(child),
              ...(lost.includes(digestOf(child)) ? [] : child.blobs.map(digestOf)),
            ]),
          ),
        );
        const expected = lost.filter((digest) => reached.has(digest as Digest));
        expect(failures.map(({ digest }) => digest).sort()).toEqual(expected.sort());
        for (const { digest, path, reason, tags } of failures) {
          expect(reason).toBe("missing");
          expect(path.at(-1)).toBe(digest);
          expect(images.map(digestOf)).toContain(path[0]);
          expect(tags).toEqual([...tags].sort());
          expect(tags.length).toBeGreaterThan(0);
        }
      } finally {
        await fake.stop();
      }
    }),
    { numRuns: 25 },
  );
});

describe("platforms", () => {
  const made = multiPlatformImage("app", { platforms: ["amd64", "arm64", "riscv64"] });
  const lose = (...at: number[]): void => {
    for (const each of at) registry.repository("app").manifests.delete(partsOf(made, each).child);
  };
  beforeEach(() => void registry.push("app", made, "v1"));

  test("that were not asked for may be missing: a mirror of one architecture is whole", async () => {
    lose(1, 2);
    const report = await verify(registry.url, { platforms: ["linux/amd64"] });
    expect(report).toMatchObject({ complete: true, failures: [], counts: { indexes: 1, manifests: 1, blobs: 3 } });
    expect((await verify(registry.url)).failures).toHaveLength(2);
  });

  test("that were asked for may not", async () => {
    lose(0, 1);
    const { failures } = await verify(registry.url, { platforms: ["linux/amd64", "linux/riscv64"] });
    expect(failures).toMatchObject([{ platform: "linux/amd64", reason: "missing" }]);
  });

  test("that were not asked for and are there are checked like any other", async () => {
    registry.on(new RegExp(`manifests/${partsOf(made, 1).child}`), (_request, response) => json(response, 500, {}));
    const { failures } = await verify(registry.url, { platforms: ["linux/amd64"] });
    expect(failures).toMatchObject([{ platform: "linux/arm64", reason: "server-error" }]);
  });

  test("do not excuse what a tag of its own names", async () => {
    const { child } = partsOf(made, 1);
    lose(1);
    registry.repository("app").tags.set("arm", child);
    const { failures } = await verify(registry.url, { platforms: ["linux/amd64"] });
    expect(failures).toMatchObject([{ object: "tag", tags: ["arm"], reason: "missing" }]);
    const named = {
      catalog: false,
      repositories: ["app"],
      selection: { kind: "named", tags: [], digests: [child] },
    } as const;
    expect((await verify(registry.url, { ...named, platforms: ["linux/amd64"] })).failures).toHaveLength(1);
  });

  test("that are asked for may be in an index within, which may not be missing; an attestation may", async () => {
    const inner = multiPlatformImage("inner");
    const attested = attestation(inner);
    registry.push("nested", index([inner, attested]), "v1");
    const walkOf = async () =>
      (await verify(registry.url, { catalog: false, repositories: ["nested"], platforms: ["linux/amd64"] })).failures;
    registry.repository("nested").manifests.delete(digestOf(attested));
    expect(await walkOf()).toEqual([]);
    registry.repository("nested").manifests.delete(digestOf(inner));
    expect(await walkOf()).toMatchObject([{ object: "manifest", digest: digestOf(inner), reason: "missing" }]);
  });
});
