import { readFileSync, rmSync, writeFileSync } from "node:fs";
import type { BlobCheck } from "../../registry/oci/blob-check";
import type { Digest } from "../../registry/oci/digest";
import type { Failure } from "../../registry/oci/failure";
import type { Report, WalkOptions } from "../../registry/oci/walk";
import { type RepositoryLayout, StorageLayout } from "../../registry/storage/layout";
import { verify as walkUrl } from "../registry/oci/fake-registry";
import { describeWith } from "./components";
import { digestOf, multiPlatformImage, push, type SyntheticManifest } from "./images";
import { type LabRegistry, startRegistry } from "./registry";

// The machine may have only two cores, shared with other tests.
jest.setTimeout(60_000);

/** The digests of a two-platform image; the second platform gets damaged. */
interface DamagedImage {
  layout: StorageLayout;
  repository: RepositoryLayout;
  index: Digest;
  child: Digest;
  config: Digest;
  layer: Digest;
}

type ExpectedFailure = Pick<Failure, "object" | "reason" | "status">;

interface DamageRow {
  name: string;
  make: (target: DamagedImage) => void;
  /** What the default check finds after a restart, which empties the registry's cache. */
  cold: ExpectedFailure | null;
  /** What it finds while the registry's cache is still warm. @default as cold */
  warm?: ExpectedFailure | null;
  /** Whether v3, which also caches manifests, goes on serving it until a restart. @default false */
  remembered?: true;
  /** What hashing every blob finds if the default check finds nothing. */
  hashed?: ExpectedFailure;
  /**
   * Whether it is a warning if the catalog lists the repository, and a failure only if the user named it.
   *
   * @default false
   */
  warns?: true;
}

const manifestMissing: ExpectedFailure = { object: "manifest", reason: "missing", status: 404 };
const manifestError: ExpectedFailure = { object: "manifest", reason: "server-error", status: 500 };
const tagMissing: ExpectedFailure = { object: "tag", reason: "missing", status: 404 };
const repositoryMissing: ExpectedFailure = { object: "repository", reason: "missing", status: 404 };

const data = ({ layout }: DamagedImage, digest: Digest): string => layout.blobData(digest);

const alter = (path: string, change: (bytes: Buffer) => Buffer): void => {
  writeFileSync(path, change(readFileSync(path)));
};

const half = (bytes: Buffer): Buffer => bytes.subarray(0, bytes.length >> 1);

/** The table of facts/registry.md, row by row. */
const TABLE: DamageRow[] = [
  {
    name: "child-revision-link-missing",
    make: (t) => rmSync(t.repository.revisionLink(t.child)),
    remembered: true,
    cold: manifestMissing,
  },
  {
    name: "child-revision-link-empty",
    make: (t) => writeFileSync(t.repository.revisionLink(t.child), ""),
    remembered: true,
    cold: manifestError,
  },
  { name: "manifest-data-missing", make: (t) => rmSync(data(t, t.child)), cold: manifestMissing },
  { name: "manifest-truncated", make: (t) => alter(data(t, t.child), half), cold: manifestError },
  {
    name: "manifest-bad-json-same-size",
    make: (t) => alter(data(t, t.child), (bytes) => Buffer.alloc(bytes.length, "x")),
    cold: manifestError,
  },
  {
    name: "manifest-altered-same-size",
    make: (t) =>
      alter(data(t, t.child), (bytes) =>
        Buffer.from(bytes.toString().replace(/\d(?=\}\]\}$)/, (digit) => `${(Number(digit) + 1) % 10}`)),
      ),
    cold: { object: "manifest", reason: "digest-mismatch", status: 200 },
  },
  {
    name: "config-data-missing",
    make: (t) => rmSync(data(t, t.config)),
    cold: { object: "config", reason: "missing", status: 404 },
    warm: { object: "config", reason: "truncated", status: 206 },
  },
  {
    name: "layer-data-missing",
    make: (t) => rmSync(data(t, t.layer)),
    cold: { object: "layer", reason: "missing", status: 404 },
    warm: { object: "layer", reason: "truncated", status: 206 },
  },
  {
    name: "layer-link-missing",
    make: (t) => rmSync(t.repository.layerLink(t.layer)),
    cold: { object: "layer", reason: "missing", status: 404 },
    // The cache still has it: pulls work until the registry restarts.
    warm: null,
  },
  {
    name: "layer-link-empty",
    make: (t) => writeFileSync(t.repository.layerLink(t.layer), ""),
    cold: { object: "layer", reason: "server-error", status: 500 },
    warm: null,
  },
  {
    name: "layer-truncated",
    make: (t) => alter(data(t, t.layer), half),
    cold: { object: "layer", reason: "truncated", status: 416 },
    warm: { object: "layer", reason: "truncated", status: 206 },
  },
  {
    name: "layer-altered-same-size",
    make: (t) =>
      alter(data(t, t.layer), (bytes) => Buffer.from(bytes.map((byte, at) => (at === 700 ? byte ^ 1 : byte)))),
    cold: null,
    hashed: { object: "layer", reason: "digest-mismatch", status: 200 },
  },
  { name: "tag-link-missing", make: (t) => rmSync(t.repository.tagLink("v1")), cold: tagMissing },
  {
    name: "tag-link-empty",
    make: (t) => writeFileSync(t.repository.tagLink("v1"), ""),
    cold: { object: "tag", reason: "server-error", status: 500 },
  },
  {
    name: "tag-to-a-missing-revision",
    make: (t) => rmSync(t.repository.revisionLink(t.index)),
    remembered: true,
    cold: tagMissing,
  },
  { name: "index-data-missing", make: (t) => rmSync(data(t, t.index)), cold: tagMissing },
  // Over HTTP it looks as if nothing had ever been tagged.
  { name: "tags-folder-gone", make: (t) => rmSync(t.repository.tags, { recursive: true }), cold: null, warns: true },
];

const MANIFESTS_GONE: DamageRow = {
  name: "manifests-folder-gone",
  make: ({ repository }) => rmSync(repository.manifests, { recursive: true }),
  cold: null,
  warns: true,
};
const LAYERS_GONE: DamageRow = {
  name: "layers-folder-gone",
  make: ({ repository }) => rmSync(repository.layers, { recursive: true }),
  cold: { object: "layer", reason: "missing", status: 404 },
};

/** 2.8.3 builds its catalog from the layer folders, v3 from the manifest folders. */
const VERSIONS = [
  { component: "registry", table: [...TABLE, MANIFESTS_GONE], hidden: LAYERS_GONE },
  { component: "registry-v3", table: TABLE, hidden: MANIFESTS_GONE },
] as const;

const HEALTHY = ["healthy/one", "row/healthy"];

const targetOf = (registry: LabRegistry, repository: string, image: SyntheticManifest): DamagedImage => {
  const layout = new StorageLayout(registry.root);
  const child = image.manifests[1] as SyntheticManifest;
  const [config, layer] = child.blobs;
  return {
    layout,
    repository: layout.repository(repository),
    index: digestOf(image),
    child: digestOf(child),
    config: config?.descriptor.digest as Digest,
    layer: layer?.descriptor.digest as Digest,
  };
};

const verify = (registry: LabRegistry, options?: Partial<WalkOptions>): Promise<Report> =>
  walkUrl(new URL(registry.url), options);

/** The one failure that a row must produce, with its place. */
const failureOf = (repository: string, target: DamagedImage, expected: ExpectedFailure): Partial<Failure> => {
  const { index, child, config, layer } = target;
  const place = { repository, tags: ["v1"] };
  switch (expected.object) {
    case "manifest":
      return { ...expected, ...place, digest: child, platform: "linux/arm64", path: [index, child] };
    case "config":
      return { ...expected, ...place, digest: config, platform: "linux/arm64", path: [index, child, config] };
    case "layer":
      return { ...expected, ...place, digest: layer, platform: "linux/arm64", path: [index, child, layer] };
    case "tag":
      return { ...expected, ...place, digest: null, platform: null, path: [] };
    default:
      return { ...expected, repository, tags: [], digest: null, platform: null, path: [] };
  }
};

describe.each(VERSIONS)("every kind of damage, on $component", ({ component, table, hidden }) => {
  describeWith([component], "the damage table", () => {
    let registry: LabRegistry;
    const targets = new Map<string, DamagedImage>();

    const rows = (pick: (damage: DamageRow) => ExpectedFailure | null | undefined): Partial<Failure>[] =>
      table
        .flatMap((damage) => {
          const expected = pick(damage);
          const repository = `row/${damage.name}`;
          return expected ? [failureOf(repository, targets.get(repository) as DamagedImage, expected)] : [];
        })
        .sort((a, b) => ((a.repository ?? "") < (b.repository ?? "") ? -1 : 1));

    const warnings = table
      .filter(({ warns }) => warns)
      .map(({ name }) => ({ repository: `row/${name}`, reason: "no-tags", status: 404 }))
      .sort((a, b) => (a.repository < b.repository ? -1 : 1));

    beforeAll(async () => {
      registry = await startRegistry({ component });
      const repositories = [...table.map(({ name }) => `row/${name}`), `row/${hidden.name}`, ...HEALTHY];
      await Promise.all(
        repositories.map(async (repository) => {
          const image = multiPlatformImage(repository);
          await push(registry, repository, image, "v1");
          targets.set(repository, targetOf(registry, repository, image));
        }),
      );
    });
    afterAll(() => registry?.stop());

    test("a healthy registry has no failure, and everything is counted once", async () => {
      const report = await verify(registry, { blobs: "hash" });
      expect(report).toMatchObject({ complete: true, failures: [], stopped: null });
      const repositories = table.length + 1 + HEALTHY.length;
      expect(report.counts).toMatchObject({
        repositories,
        tags: repositories,
        indexes: repositories,
        manifests: 2 * repositories,
        blobs: 6 * repositories,
      });
    });

    test("damage under a warm cache is found by the default check", async () => {
      for (const { name, make } of table) make(targets.get(`row/${name}`) as DamagedImage);
      const report = await verify(registry);
      expect(report.complete).toBe(true);
      const expected = rows(({ cold, warm = cold, remembered }) => {
        return remembered && component === "registry-v3" ? null : warm;
      });
      expect(report.failures).toMatchObject(expected);
      expect(report.warnings).toEqual(warnings);
    });

    test("damage after a restart is found by the default check", async () => {
      await registry.restart();
      const report = await verify(registry);
      expect(report.complete).toBe(true);
      expect(report.failures).toMatchObject(rows(({ cold }) => cold));
    });

    test("damage of the same size is found by hashing", async () => {
      const report = await verify(registry, { blobs: "hash" });
      const found = new Set([...report.failures, ...report.warnings].map(({ repository }) => repository));
      expect(found).toEqual(new Set(table.map(({ name }) => `row/${name}`)));
      expect(report.failures).toEqual(
        expect.arrayContaining(rows(({ hashed }) => hashed).map((failure) => expect.objectContaining(failure))),
      );
    });

    test("a repository that the catalog hides is found when it is named", async () => {
      const repository = `row/${hidden.name}`;
      const target = targets.get(repository) as DamagedImage;
      hidden.make(target);
      await registry.restart();
      expect((await verify(registry)).failures.map((failure) => failure.repository)).not.toContain(repository);
      const named = await verify(registry, { catalog: false, repositories: [repository] });
      expect(named.failures).toContainEqual(
        expect.objectContaining(failureOf(repository, target, hidden.cold ?? repositoryMissing)),
      );
      expect(named.counts.repositories).toBe(1);
    });

    test.each<[BlobCheck, string[]]>([
      ["none", []],
      [
        "head",
        ["config-data-missing", "layer-data-missing", "layer-link-empty", "layer-link-missing", "layer-truncated"],
      ],
    ])("the check %s finds of the blobs what it can", async (blobs, expected) => {
      const report = await verify(registry, { blobs });
      const found = report.failures.filter(({ object }) => object === "config" || object === "layer");
      expect(found.map(({ repository }) => repository)).toEqual(expected.map((name) => `row/${name}`));
    });
  });
});
