import { existsSync, utimesSync, writeFileSync } from "node:fs";
import timers from "node:timers/promises";
import { IN_USE_REPOSITORY, MOST_DIGESTS } from "../../../registry/in-use/report";
import type { Digest } from "../../../registry/oci/digest";
import { applyPrune, planPrune } from "../../../registry/storage/prune";
import { pruneTable } from "../../../registry/storage/prune-table";
import { StorageRefusal } from "../../../registry/storage/refusal";
import { scan } from "../../../registry/storage/scan";
import type { RetentionPolicy } from "../../../site/retention";
import { digestOf, image, type SyntheticManifest } from "../../lab/images";
import { forgedReport, storedReport } from "../in-use/stored-report";
import { SyntheticStore } from "./synthetic-store";

// Nothing writes to these stores, so the second check need not wait.
jest.spyOn(timers, "setTimeout").mockImplementation(async () => undefined as never);

const NOW = Date.UTC(2026, 10, 28, 12);
const HOUR = 3_600_000;
const UNPROTECTED: RetentionPolicy = { rules: [{ repositories: "**", keepNewest: 1 }] };
const PROTECTED: RetentionPolicy = { ...UNPROTECTED, protectInUse: { clusters: ["home"], maximumAgeHours: 24 } };

let store: SyntheticStore;
beforeEach(() => {
  store = new SyntheticStore();
  push("app", 30, moved, "latest");
  push("app", 20, old, "v1");
  push("app", 10, fresh, "v2", "latest");
});
afterEach(() => store.remove());

/** Running although its tag moved; running although its tag is about to be removed; not running. */
const [moved, old, fresh] = ["moved", "old", "fresh"].map((seed) => image(seed)) as [
  SyntheticManifest,
  SyntheticManifest,
  SyntheticManifest,
];

const push = (repository: string, age: number, pushed: SyntheticManifest, ...tags: string[]): void => {
  store.push(repository, pushed, ...tags);
  const at = new Date(NOW - age * HOUR);
  for (const tag of tags) utimesSync(store.repository(repository).tagLink(tag), at, at);
};

const artifactOf = (cluster: string, hours: number, digests: Digest[]): SyntheticManifest =>
  storedReport({ cluster, time: NOW - hours * HOUR, digests });

const report = (hours = 1, cluster = "home", digests = [digestOf(moved), digestOf(old)]) =>
  push(IN_USE_REPOSITORY, hours, artifactOf(cluster, hours, digests), cluster);

const serves = (digest: Digest) => existsSync(store.repository("app").revisionLink(digest));

test("what runs is kept, with the tag that it was about to lose, and the rest goes", async () => {
  report();
  push("app", 25, image("nowhere"), "v0");
  const applied = await applyPrune(store.root, PROTECTED, NOW, async () => {});
  expect(applied.remove.tags).toEqual([{ repository: "app", tag: "v0", reason: "older than the newest 1" }]);
  expect(applied.kept).toContainEqual({ repository: "app", tag: "v1", reason: "it runs in home" });
  expect(applied.inUse).toEqual({
    reports: [{ cluster: "home", time: "2026-11-28T11:00:00.000Z", digests: 2, protected: true, problem: null }],
    removed: [],
  });
  expect([moved, old, image("nowhere")].map((each) => serves(digestOf(each)))).toEqual([true, true, false]);
  expect(await scan(store.root, { hash: true })).toMatchObject({ findings: [] });
});

test("unprotected it goes, and the plan says so before", async () => {
  report();
  report(2, "office", [digestOf(old)]);
  const plan = await planPrune(store.root, UNPROTECTED, NOW);
  expect(plan.inUse.removed).toEqual(
    [
      { repository: "app", digest: digestOf(moved), clusters: ["home"] },
      { repository: "app", digest: digestOf(old), clusters: ["home", "office"] },
    ].sort((a, b) => (a.digest < b.digest ? -1 : 1)),
  );
  const lines = pruneTable(plan);
  expect(lines).toContain("in use    home: 2 digests at 2026-11-28T11:00:00.000Z, which the policy does not protect");
  expect(lines).toContain("warning   2 manifests of what goes are in use: retention.protectInUse keeps them");
  expect(lines.filter((line) => /^remove +app@.*; it runs in home(, office)?$/.test(line))).toHaveLength(2);
});

test("reports are kept one a cluster, whatever the rules say; scan accuses neither them nor those before", async () => {
  for (const hours of [3, 2, 1]) report(hours);
  for (const cluster of ["a", "b", "c"]) report(2, cluster);
  expect(await scan(store.root, { hash: true })).toMatchObject({ findings: [] });
  const applied = await applyPrune(store.root, PROTECTED, NOW, async () => {});
  const ofReports = ({ repository }: { repository: string }) => repository === IN_USE_REPOSITORY;
  expect(applied.kept.filter(ofReports).map(({ tag }) => tag)).toEqual(["a", "b", "c", "home"]);
  expect(applied.remove.tags.filter(ofReports)).toEqual([]);
  expect(applied.remove.manifests.filter(ofReports)).toHaveLength(2);
  expect(await scan(store.root, { hash: true })).toMatchObject({ findings: [] });
});

describe("a clean-up that cannot know what runs removes nothing, and says why", () => {
  const million = Buffer.from(
    JSON.stringify({
      version: 1,
      cluster: "home",
      time: new Date(NOW).toISOString(),
      digests: Array(30_000).fill(digestOf(old)),
    }),
  );

  test.each<[what: string, put: () => void, why: string | RegExp]>([
    ["it is missing", () => {}, `is missing: ${IN_USE_REPOSITORY} has no such tag`],
    ["that of another cluster alone is there", () => report(1, "office"), /is missing/],
    ["it is too old", () => report(26), "is 26 hours old, and may be 24"],
    ["it is of the future", () => report(-2), "is of a time that is still to come"],
    ["it is an image", () => push(IN_USE_REPOSITORY, 1, old, "home"), /is not of the artifact type/],
    [
      "it is garbage",
      () => push(IN_USE_REPOSITORY, 1, forgedReport(Buffer.from("garbage")), "home"),
      "is no json object",
    ],
    [
      "it is of another type",
      () => push(IN_USE_REPOSITORY, 1, forgedReport(Buffer.from("{}"), { artifactType: "application/x" }), "home"),
      /is not of the artifact type/,
    ],
    [
      "it names more than there can be",
      () => push(IN_USE_REPOSITORY, 1, forgedReport(million), "home"),
      `has more than ${MOST_DIGESTS} digests`,
    ],
    [
      "it is endless",
      () => push(IN_USE_REPOSITORY, 1, forgedReport(Buffer.alloc(5 * 1024 * 1024, " ")), "home"),
      /has 5242880 bytes, more than 4194304/,
    ],
    [
      "it is another cluster's under this name",
      () => push(IN_USE_REPOSITORY, 1, artifactOf("office", 1, []), "home"),
      "is of another cluster",
    ],
    [
      "its layer is lost",
      () => {
        const lost = forgedReport(Buffer.from("lost"));
        push(IN_USE_REPOSITORY, 1, lost, "home");
        writeFileSync(store.layout.blobData(digestOf(lost.blobs[1] as never)), "rots");
      },
      "cannot be read: its layer does not hash to its name",
    ],
    [
      "its tag is empty",
      () => {
        report();
        writeFileSync(store.repository(IN_USE_REPOSITORY).tagLink("home"), "");
      },
      "cannot be read: its tag is broken",
    ],
  ])("where %s", async (_, put, why) => {
    put();
    const refusal = await applyPrune(store.root, PROTECTED, NOW, async () => {}).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(StorageRefusal);
    expect(refusal).toMatchObject({
      code: "in-use",
      message: expect.stringMatching(/^the report of what runs in "home" /),
      hint: expect.stringContaining(IN_USE_REPOSITORY),
    });
    const { message } = refusal as StorageRefusal;
    if (typeof why === "string") expect(message).toBe(`the report of what runs in "home" ${why}`);
    else expect(message).toMatch(why);
    expect([moved, old, fresh].map((each) => serves(digestOf(each)))).toEqual([true, true, true]);
    // If the policy does not require protection, it stops nothing and is only reported.
    await expect(planPrune(store.root, UNPROTECTED, NOW)).resolves.toBeDefined();
  });
});
