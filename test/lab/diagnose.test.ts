import { rmSync } from "node:fs";
import { dirname } from "node:path";
import { type Cause, type Diagnosis, diagnose } from "../../registry/diagnose";
import { StorageLayout } from "../../registry/storage/layout";
import { StoreReader } from "../../registry/storage/reader";
import { scan } from "../../registry/storage/scan";
import { verify } from "../registry/oci/fake-registry";
import { describeWith } from "./components";
import { image, push } from "./images";
import { type LabRegistry, startRegistry } from "./registry";
import { DAMAGES, DamagedRepository, victimOf } from "./storage-damage";

/** @param root of the storage, if it is not the registry's own */
const diagnosed = async (registry: LabRegistry, root = registry.root): Promise<Diagnosis[]> => {
  const reader = new StoreReader(new StorageLayout(root));
  const repositories = [...reader.repositories()].map(({ name }) => name);
  const report = await verify(new URL(registry.url), { repositories });
  return diagnose(report, await scan(root), reader).findings;
};

const CAUSES: Record<string, Cause> = {
  "child-link-gone": "lost link",
  "child-link-empty": "lost link",
  "child-link-with-newline": "lost link",
  "child-data-gone": "swept blob",
  "child-gone": "never pushed",
  "child-truncated": "truncated data",
  "child-no-json": "altered data",
  "child-no-manifest": "truncated data",
  "child-link-of-unknown-algorithm": "lost link",
  "child-altered": "altered data",
  "config-data-gone": "swept blob",
  "config-link-gone": "lost link",
  "config-truncated": "truncated data",
  "layer-data-gone": "swept blob",
  "layer-link-gone": "lost link",
  "layer-link-empty": "lost link",
  "layer-truncated": "truncated data",
  "layer-grown": "altered data",
  "tag-link-gone": "lost link",
  "tag-link-empty": "lost link",
  "tag-link-with-newline": "lost link",
  "index-link-empty": "lost link",
  "index-truncated": "truncated data",
  "index-link-gone": "lost link",
  "index-data-gone": "swept blob",
  "manifests-gone": "lost folder",
  "tags-gone": "lost folder",
};

describeWith(["registry"], "the cause of each kind of damage", () => {
  let registry: LabRegistry;
  let findings: Diagnosis[];
  beforeAll(async () => {
    registry = await startRegistry();
    for (const { name } of DAMAGES) await push(registry, name, victimOf(name).both, "v1", "latest");
    await push(registry, "healthy", victimOf("healthy").both, "v1");
    for (const { name, make } of DAMAGES) make(new DamagedRepository(registry.root, name));
    await registry.restart();
    findings = await diagnosed(registry);
  }, 60_000);
  afterAll(() => registry.stop());

  test.each(Object.entries(CAUSES))("%s: %s", (name, cause) => {
    const found = findings.filter(({ repository }) => repository === name);
    expect(found.map((each) => each.cause)).toEqual([cause]);
    expect(found[0]?.http).not.toBeNull();
    expect(found[0]?.disk).not.toBeNull();
    if (cause === "lost link")
      expect(found[0]?.next).toBe(`warden repair ${registry.url} --storage ${registry.root} --apply`);
  });

  test("nothing else is reported", () => {
    // Only hashing finds an altered layer of the same size.
    const known = DAMAGES.map(({ name }) => name).filter((name) => name !== "layer-altered");
    expect([...new Set(findings.map(({ repository }) => repository))].sort()).toEqual(known.sort());
  });
});

describeWith(["registry"], "what only both views together tell", () => {
  let registry: LabRegistry;
  const pushed = image("app");
  const [, firstLayer] = pushed.blobs;
  beforeEach(async () => {
    registry = await startRegistry();
    await push(registry, "app", pushed, "v1");
  });
  afterEach(() => registry.stop());

  test("a blob that the registry's memory still has, and the disk has not", async () => {
    const data = new StorageLayout(registry.root).blobData(
      (firstLayer?.descriptor.digest ?? "") as `${string}:${string}`,
    );
    rmSync(dirname(data), { recursive: true });
    expect(await diagnosed(registry)).toMatchObject([
      {
        cause: "stale blob cache",
        http: { object: "layer", reason: "truncated", status: 206 },
        disk: { kind: "missing-layer" },
        next: expect.stringMatching(/^warden repair .* --from OTHER-REGISTRY --apply$/),
      },
    ]);
    await registry.restart();
    expect(await diagnosed(registry)).toMatchObject([{ cause: "swept blob", http: { reason: "missing" } }]);
  });

  test("another registry that answers in its place", async () => {
    const other = await startRegistry();
    try {
      await push(other, "unrelated", image("unrelated"), "v1");
      const findings = await diagnosed(other, registry.root);
      expect(findings).toMatchObject([{ repository: "app", cause: "another registry", disk: null }]);
      expect(findings[0]?.next).toBe(`warden diagnose REGISTRY ${registry.root}`);
    } finally {
      await other.stop();
    }
  });
});
