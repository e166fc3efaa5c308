import { existsSync, mkdirSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import type { Digest } from "../../../registry/oci/digest";
import type { Role } from "../../../registry/oci/repository";
import type { Finding } from "../../../registry/storage/finding";
import { inspectRepository } from "../../../registry/storage/inspect";
import { StoreReader } from "../../../registry/storage/reader";
import {
  artifact,
  attestation,
  type Content,
  content,
  digestOf,
  image,
  index,
  layer,
  MEDIA_TYPES,
  manifest,
  multiPlatformImage,
} from "../../lab/images";
import { SyntheticStore, write } from "./synthetic-store";

const HOUR = 3_600_000;

let store: SyntheticStore;
beforeEach(() => {
  store = new SyntheticStore();
});
afterEach(() => store.remove());

const inspect = (
  name = "app",
  { role = "private", corrupt = [], now = Date.now() }: { role?: Role; corrupt?: Digest[]; now?: number } = {},
) => inspectRepository(new StoreReader(store.layout), store.repository(name), { role, corrupt: new Set(corrupt), now });

const found = (...of: Parameters<typeof inspect>): Finding[] => inspect(...of).findings;

/** An index of amd64 and arm64 under the tag v1, and an intact image under v2. */
const pushed = () => {
  const amd64 = image("amd64");
  const arm64 = image("arm64", { platform: { os: "linux", architecture: "arm64", variant: "v8" } });
  const both = index([amd64, arm64]);
  store.push("app", both, "v1").push("app", image("neighbour"), "v2");
  const [config, firstLayer, secondLayer] = arm64.blobs as [Content, Content, Content];
  return { both, amd64, arm64, config, firstLayer, secondLayer };
};

const data = (of: Content) => store.layout.blobData(digestOf(of));
const revisionLink = (of: Content) => store.repository("app").revisionLink(digestOf(of));
const layerLink = (of: Content) => store.repository("app").layerLink(digestOf(of));
const sameSize = (of: Content) => Buffer.alloc(of.bytes.length, "x");

test("a healthy repository has no finding, and everything in it is counted", () => {
  const base = multiPlatformImage("base");
  const [amd64] = base.manifests;
  if (amd64 === undefined) throw new Error("no child");
  store
    .push("app", index([base, attestation(amd64)]), "nested")
    .push("app", image("docker", { format: "docker" }), "docker")
    .push("app", artifact("sbom", { subject: amd64 }));
  expect(inspect()).toEqual({
    counts: { repositories: 1, tags: 2, revisions: 7, indexes: 2, layerLinks: 3 + 3 + 2 + 3 + 2 },
    findings: [],
  });
});

describe("damage of a multi-platform image", () => {
  const v1 = { repository: "app", tags: ["v1"] };
  type Case = [
    string,
    Finding["kind"],
    (of: ReturnType<typeof pushed>) => void,
    (of: ReturnType<typeof pushed>) => Partial<Finding>,
  ];
  const onDisk = { blobPresent: true, linkPresent: true };
  const cases: Case[] = [
    [
      "a child's revision link is gone",
      "orphan-index-child",
      ({ arm64 }) => rmSync(revisionLink(arm64)),
      ({ arm64, both }) => ({
        digest: digestOf(arm64),
        parent: digestOf(both),
        platform: "linux/arm64/v8",
        blobPresent: true,
        linkPresent: false,
        repairable: true,
      }),
    ],
    [
      "a child's data is gone",
      "orphan-index-child",
      ({ arm64 }) => rmSync(data(arm64)),
      ({ arm64 }) => ({ digest: digestOf(arm64), blobPresent: false, linkPresent: true, repairable: false }),
    ],
    [
      "a child's link and data are gone",
      "orphan-index-child",
      ({ arm64 }) => [revisionLink(arm64), data(arm64)].map((path) => rmSync(path)),
      ({ arm64 }) => ({ digest: digestOf(arm64), blobPresent: false, linkPresent: false, repairable: false }),
    ],
    [
      "a child's revision link is empty",
      "broken-link",
      ({ arm64 }) => writeFileSync(revisionLink(arm64), ""),
      ({ arm64, both }) => ({ digest: digestOf(arm64), parent: digestOf(both), ...onDisk, repairable: true }),
    ],
    [
      "a revision link ends with a newline",
      "broken-link",
      ({ arm64 }) => writeFileSync(revisionLink(arm64), `${digestOf(arm64)}\n`),
      ({ arm64 }) => ({ digest: digestOf(arm64), ...onDisk, repairable: true }),
    ],
    [
      "a revision link leads to another manifest",
      "broken-link",
      ({ arm64, amd64 }) => writeFileSync(revisionLink(arm64), digestOf(amd64)),
      ({ arm64 }) => ({ digest: digestOf(arm64), ...onDisk, repairable: true }),
    ],
    [
      "a manifest is truncated",
      "unreadable-manifest",
      ({ arm64 }) => truncateSync(data(arm64), 100),
      ({ arm64, both }) => ({ digest: digestOf(arm64), parent: digestOf(both), ...onDisk, repairable: false }),
    ],
    [
      "a manifest is empty",
      "unreadable-manifest",
      ({ arm64 }) => truncateSync(data(arm64), 0),
      ({ arm64 }) => ({ digest: digestOf(arm64), ...onDisk, repairable: false }),
    ],
    [
      "a manifest is no JSON, of the same size",
      "unreadable-manifest",
      ({ arm64 }) => writeFileSync(data(arm64), sameSize(arm64)),
      ({ arm64 }) => ({ digest: digestOf(arm64), ...onDisk }),
    ],
    [
      "a manifest is JSON of another kind, which the registry does not serve",
      "unreadable-manifest",
      ({ arm64 }) => writeFileSync(data(arm64), "{}"),
      ({ arm64 }) => ({ digest: digestOf(arm64), ...onDisk, repairable: false }),
    ],
    [
      "a folder lies where a manifest's data should",
      "orphan-index-child",
      ({ arm64 }) => {
        rmSync(data(arm64));
        mkdirSync(data(arm64));
      },
      ({ arm64 }) => ({ digest: digestOf(arm64), blobPresent: false, linkPresent: true, repairable: false }),
    ],
    [
      "a revision link names an algorithm that the registry does not know",
      "broken-link",
      ({ arm64 }) => writeFileSync(revisionLink(arm64), `md5:${"a".repeat(32)}`),
      ({ arm64 }) => ({ digest: digestOf(arm64), ...onDisk, repairable: true }),
    ],
    [
      "a manifest is altered, of the same size",
      "digest-mismatch",
      ({ arm64 }) => writeFileSync(data(arm64), arm64.bytes.toString().replace(/(?<=sha256:)./g, "0")),
      ({ arm64, both }) => ({ digest: digestOf(arm64), parent: digestOf(both), ...onDisk, repairable: false }),
    ],
    [
      "a manifest is altered so that it names no digest",
      "digest-mismatch",
      ({ arm64 }) => writeFileSync(data(arm64), arm64.bytes.toString().replace(/(?<=sha256:)./g, "z")),
      ({ arm64 }) => ({ digest: digestOf(arm64), ...onDisk, repairable: false }),
    ],
    [
      "a manifest has grown",
      "size-mismatch",
      ({ arm64 }) => writeFileSync(data(arm64), `${arm64.bytes} `),
      ({ arm64 }) => ({ digest: digestOf(arm64), ...onDisk, repairable: false }),
    ],
    [
      "a config's data is gone",
      "missing-config",
      ({ config }) => rmSync(data(config)),
      ({ config, arm64 }) => ({
        digest: digestOf(config),
        parent: digestOf(arm64),
        platform: "linux/arm64/v8",
        blobPresent: false,
        linkPresent: true,
        repairable: false,
      }),
    ],
    [
      "a layer's data is gone",
      "missing-layer",
      ({ firstLayer }) => rmSync(data(firstLayer)),
      ({ firstLayer, arm64 }) => ({
        digest: digestOf(firstLayer),
        parent: digestOf(arm64),
        blobPresent: false,
        linkPresent: true,
        repairable: false,
      }),
    ],
    [
      "a layer's link is gone",
      "missing-layer",
      ({ firstLayer }) => rmSync(layerLink(firstLayer)),
      ({ firstLayer }) => ({ digest: digestOf(firstLayer), blobPresent: true, linkPresent: false, repairable: true }),
    ],
    [
      "a layer's link is empty",
      "broken-link",
      ({ firstLayer }) => writeFileSync(layerLink(firstLayer), ""),
      ({ firstLayer, arm64 }) => ({
        digest: digestOf(firstLayer),
        parent: digestOf(arm64),
        ...onDisk,
        repairable: true,
      }),
    ],
    [
      "a layer is truncated",
      "size-mismatch",
      ({ firstLayer }) => truncateSync(data(firstLayer), 10),
      ({ firstLayer }) => ({ digest: digestOf(firstLayer), ...onDisk, repairable: false }),
    ],
    [
      "the index's revision link is gone",
      "broken-tag",
      ({ both }) => rmSync(revisionLink(both)),
      ({ both }) => ({
        digest: digestOf(both),
        parent: null,
        platform: null,
        blobPresent: true,
        linkPresent: false,
        repairable: true,
      }),
    ],
    [
      "the index's data is gone",
      "broken-tag",
      ({ both }) => rmSync(data(both)),
      ({ both }) => ({ digest: digestOf(both), blobPresent: false, linkPresent: true, repairable: false }),
    ],
    [
      "the tag's link is gone",
      "broken-tag",
      () => rmSync(store.repository("app").tagLink("v1")),
      () => ({ digest: null, parent: null, blobPresent: false, linkPresent: false, repairable: false }),
    ],
    [
      "the tag's link is empty",
      "broken-tag",
      () => writeFileSync(store.repository("app").tagLink("v1"), ""),
      () => ({ digest: null, parent: null, blobPresent: false, linkPresent: true, repairable: false }),
    ],
    [
      "the tag's link is a folder",
      "broken-tag",
      () => {
        rmSync(store.repository("app").tagLink("v1"));
        mkdirSync(store.repository("app").tagLink("v1"));
      },
      () => ({ digest: null, linkPresent: true }),
    ],
  ];

  test.each(cases)("%s: %s", (_, kind, damage, expected) => {
    const of = pushed();
    damage(of);
    expect(found()).toEqual([expect.objectContaining({ ...v1, kind, ...expected(of) })]);
  });

  test("every damaged object is reported once, whatever tags lead to it", () => {
    const { both, amd64, arm64, config, firstLayer } = pushed();
    store.push("app", both, "latest").push("app", arm64, "only-arm64");
    rmSync(revisionLink(amd64));
    rmSync(data(config));
    truncateSync(data(firstLayer), 1);
    const tags = ["latest", "only-arm64", "v1"];
    expect(found()).toHaveLength(3);
    expect(found()).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ kind: "orphan-index-child", digest: digestOf(amd64), tags: ["latest", "v1"] }),
        // The shortest path is from the tag only-arm64, and has no platform.
        expect.objectContaining({ kind: "missing-config", digest: digestOf(config), tags, platform: null }),
        expect.objectContaining({ kind: "size-mismatch", digest: digestOf(firstLayer), tags }),
      ]),
    );
  });

  test("an image that is tagged and named by an index is a broken tag", () => {
    const { arm64 } = pushed();
    store.push("app", arm64, "arm");
    rmSync(data(arm64));
    expect(found()).toEqual([
      expect.objectContaining({ kind: "broken-tag", digest: digestOf(arm64), tags: ["arm", "v1"], parent: null }),
    ]);
  });

  test("a grandchild is found through two indexes", () => {
    const { both, arm64 } = pushed();
    const outer = index([both]);
    store.push("app", outer, "outer");
    rmSync(store.repository("app").tag("v1"), { recursive: true });
    rmSync(revisionLink(arm64));
    expect(found()).toEqual([
      expect.objectContaining({ kind: "orphan-index-child", parent: digestOf(both), tags: ["outer"] }),
    ]);
  });
});

describe("what no tag leads to", () => {
  test("an untagged index that lost a child is found, without tags", () => {
    const child = image("child");
    store.push("app", image("tagged"), "v1").push("app", index([child]));
    rmSync(revisionLink(child));
    expect(found()).toEqual([expect.objectContaining({ kind: "orphan-index-child", tags: [] })]);
  });

  test("a revision that leads to nothing is a broken link", () => {
    const lost = image("lost");
    store.push("app", image("tagged"), "v1").push("app", lost);
    rmSync(data(lost));
    expect(found()).toEqual([
      expect.objectContaining({ kind: "broken-link", digest: digestOf(lost), blobPresent: false, linkPresent: true }),
    ]);
  });

  test("a deleted manifest leaves an empty folder behind, and that is no finding", () => {
    const deleted = image("deleted");
    store.push("app", image("tagged"), "v1").push("app", deleted);
    rmSync(revisionLink(deleted));
    expect(inspect()).toMatchObject({ findings: [], counts: { revisions: 1 } });
  });

  test("a layer link without data is an orphan", () => {
    store.push("app", image("tagged"), "v1");
    const digest: Digest = `sha256:${"a".repeat(64)}`;
    write(store.repository("app").layerLink(digest), digest);
    expect(found()).toEqual([
      expect.objectContaining({ kind: "orphan-layer-link", digest, parent: null, tags: [], linkPresent: true }),
    ]);
  });
});

describe("what the catalog hides", () => {
  test("a repository without _layers, beside what it no longer serves", () => {
    store.push("app", image("app"), "v1");
    rmSync(store.repository("app").layers, { recursive: true });
    expect(
      found()
        .map(({ kind }) => kind)
        .sort(),
    ).toEqual(["hidden-repository", "missing-config", "missing-layer", "missing-layer"]);
  });

  test.each(["manifests", "tags"] as const)("a repository that lost its %s", (folder) => {
    store.push("app", image("app"), "v1");
    const repository = store.repository("app");
    // A fast machine creates and removes it within one tick of the file system's clock.
    for (const links of [repository.layers, repository.revisions]) utimesSync(`${links}/sha256`, 1, 1);
    rmSync(repository[folder], { recursive: true });
    const lostAt = Date.now() / 1000 + 60;
    for (const each of [repository.folder, repository.manifests]) {
      if (existsSync(each)) utimesSync(each, lostAt, lostAt);
    }
    expect(found()).toEqual([
      expect.objectContaining({ kind: "hidden-repository", repository: "app", digest: null, tags: [] }),
    ]);
  });

  test("a first push that has not written its manifest yet is no finding", () => {
    const [config, first] = image("pushing").blobs as [Content, Content];
    for (const blob of [config, first]) {
      write(data(blob), blob.bytes);
      write(layerLink(blob), digestOf(blob));
    }
    expect(found()).toEqual([]);
    write(store.repository("app").uploadStarted("4b4b6bd6-8af3-4cf6-a0fb-1e0f8b9b4f39"), new Date().toISOString());
    expect(found()).toEqual([]);
  });
});

describe("uploads", () => {
  const start = (id: string, at: Date) => write(store.repository("app").uploadStarted(id), at.toISOString());

  test("one begun more than a day ago is stale", () => {
    const now = Date.now();
    store.push("app", image("app"), "v1");
    start("old", new Date(now - 25 * HOUR));
    start("new", new Date(now - 23 * HOUR));
    expect(found("app", { now })).toEqual([
      expect.objectContaining({ kind: "stale-upload", digest: null, upload: "old", tags: [] }),
    ]);
  });

  test("one that does not say when it began is judged by its folder", () => {
    store.push("app", image("app"), "v1");
    write(store.repository("app").uploadStarted("mute"), "");
    expect(found()).toEqual([]);
    expect(found("app", { now: Date.now() + 25 * HOUR })).toEqual([expect.objectContaining({ upload: "mute" })]);
  });
});

describe("nothing is wrongly accused", () => {
  test("a file among the uploads", () => {
    store.push("app", image("app"), "v1");
    write(`${store.repository("app").uploads}/.DS_Store`, "");
    expect(found("app", { now: Date.now() + 48 * HOUR })).toEqual([]);
  });

  test("a repository in a repository", () => {
    store.push("a", image("a"), "v1").push("a/b", image("b"), "v1").push("a/b/c", image("c"), "v1");
    const names = [...new StoreReader(store.layout).repositories()].map(({ name }) => name);
    expect(names).toEqual(["a", "a/b", "a/b/c"]);
    for (const name of names) expect(inspect(name)).toMatchObject({ findings: [], counts: { tags: 1, revisions: 1 } });
  });

  test("files that no registry wrote", () => {
    const app = store.push("app", image("app"), "v1").repository("app");
    write(`${app.tags}/.DS_Store`, "");
    write(`${app.folder}/README`, "");
    write(`${app.folder}/_other/file`, "");
    write(`${app.layers}/sha256/lost+found/x`, "");
    write(`${app.layers}/README`, "");
    write(`${app.revisions}/sha256/${"a".repeat(64)}`, "a file where a folder should be");
    expect(found()).toEqual([]);
  });

  test("a layer that is fetched from elsewhere", () => {
    const local = layer("local");
    const foreign = layer("foreign");
    const urls = ["https://example.org/layer"];
    const config = content(MEDIA_TYPES.docker.config, Buffer.from("{}"));
    const both = manifest(
      {
        schemaVersion: 2,
        mediaType: MEDIA_TYPES.docker.manifest,
        config: config.descriptor,
        layers: [local.descriptor, { ...foreign.descriptor, urls }],
      },
      { blobs: [config, local] },
    );
    store.push("app", both, "windows");
    expect(found()).toEqual([]);
  });

  test("BuildKit's cache, an index of layers", () => {
    const blobs = [layer("one"), content("application/vnd.buildkit.cacheconfig.v0", Buffer.from("{}"))];
    const cache = manifest(
      {
        schemaVersion: 2,
        mediaType: MEDIA_TYPES.oci.index,
        manifests: blobs.map(({ descriptor }) => descriptor),
      },
      { blobs },
    );
    store.push("app", cache, "cache");
    expect(found()).toEqual([]);
    const [first] = blobs as [Content];
    rmSync(data(first));
    expect(found()).toEqual([
      expect.objectContaining({ kind: "missing-layer", parent: digestOf(cache), tags: ["cache"] }),
    ]);
  });

  test("a manifest that is served by its layer link", () => {
    const child = image("child");
    store.push("app", index([child]), "v1");
    rmSync(revisionLink(child));
    write(layerLink(child), digestOf(child));
    expect(found()).toEqual([]);
  });

  test("a layer named by sha512 whose link leads to its sha256", () => {
    const one = layer("one");
    const sha512: Digest = `sha512:${"5".repeat(128)}`;
    const config = content(MEDIA_TYPES.oci.config, Buffer.from("{}"));
    const named = manifest(
      {
        schemaVersion: 2,
        mediaType: MEDIA_TYPES.oci.manifest,
        config: config.descriptor,
        layers: [{ ...one.descriptor, digest: sha512 }],
      },
      { blobs: [config, one] },
    );
    store.push("app", named, "v1");
    write(store.repository("app").layerLink(sha512), digestOf(one));
    expect(found()).toEqual([]);
  });

  test("schema 1, which names layers without sizes", () => {
    const one = layer("one");
    const schema1 = manifest(
      { schemaVersion: 1, name: "app", tag: "v1", fsLayers: [{ blobSum: one.descriptor.digest }], history: [] },
      { blobs: [one], mediaType: "application/vnd.docker.distribution.manifest.v1+json" },
    );
    store.push("app", schema1, "v1");
    expect(found()).toEqual([]);
    rmSync(data(one));
    expect(found()).toEqual([expect.objectContaining({ kind: "missing-layer", parent: digestOf(schema1) })]);
  });

  test("an index without a media type", () => {
    const child = image("child");
    const bare = manifest({ schemaVersion: 2, manifests: [child.descriptor] }, { manifests: [child] });
    store.push("app", bare, "v1");
    expect(inspect()).toMatchObject({ findings: [], counts: { indexes: 1 } });
    rmSync(revisionLink(child));
    expect(found()).toEqual([expect.objectContaining({ kind: "orphan-index-child" })]);
  });

  test("a signature whose subject was removed", () => {
    store.push("app", artifact("signature", { subject: image("gone") }), "signature");
    expect(found()).toEqual([]);
  });
});

describe("a pull-through cache", () => {
  test("may hold part of an index, and part of an image", () => {
    const { both, arm64, firstLayer } = pushed();
    for (const path of [revisionLink(arm64), data(arm64), layerLink(firstLayer), data(firstLayer)]) rmSync(path);
    expect(found("app", { role: "proxy" })).toEqual([]);
    rmSync(revisionLink(both));
    expect(found("app", { role: "proxy" })).toEqual([]);
  });

  test("may link a layer that was collected", () => {
    const { firstLayer } = pushed();
    rmSync(data(firstLayer));
    expect(found("app", { role: "proxy" })).toEqual([]);
    store.push("app", image("expired"));
    const expired = image("expired");
    rmSync(revisionLink(expired));
    for (const blob of [expired, ...expired.blobs]) rmSync(data(blob));
    expect(found("app", { role: "proxy" })).toEqual([]);
  });

  test("must not hold what is broken", () => {
    const { both, secondLayer } = pushed();
    truncateSync(data(both), 20);
    truncateSync(data(secondLayer), 20);
    writeFileSync(store.repository("app").tagLink("v2"), "");
    expect(
      found("app", { role: "proxy" })
        .map(({ kind }) => kind)
        .sort(),
    ).toEqual(["broken-tag", "size-mismatch", "unreadable-manifest"]);
  });
});

test("a blob that does not hash to its name is found in every repository that links it", () => {
  const { firstLayer, arm64 } = pushed();
  const corrupt = [digestOf(firstLayer)];
  writeFileSync(data(firstLayer), sameSize(firstLayer));
  write(store.repository("other").layerLink(digestOf(firstLayer)), digestOf(firstLayer));
  expect(found()).toEqual([]);
  expect(found("app", { corrupt })).toEqual([
    expect.objectContaining({ kind: "digest-mismatch", parent: digestOf(arm64), repairable: false }),
  ]);
  expect(found("other", { corrupt })).toContainEqual(
    expect.objectContaining({ kind: "digest-mismatch", parent: null, tags: [] }),
  );
});
