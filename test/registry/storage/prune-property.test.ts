import { readdirSync, readFileSync, statSync, utimesSync } from "node:fs";
import timers from "node:timers/promises";
import fc from "fast-check";
import type { Digest } from "../../../registry/oci/digest";
import { Journal } from "../../../registry/storage/journal";
import { applyPrune, type PruneReport, planPrune } from "../../../registry/storage/prune";
import { scan } from "../../../registry/storage/scan";
import type { RetentionPolicy } from "../../../site/retention";
import { artifact, image, index, layer, multiPlatformImage } from "../../lab/images";
import { type GeneratedPush, Pushes } from "../pushes";
import { SyntheticStore } from "./synthetic-store";

/** How many stores; the bench takes thousands. */
const ROUNDS = Number(process.env.WARDEN_ROUNDS || 10);

const NOW = Date.UTC(2026, 3, 19);
const HOUR = 3_600_000;

// Nothing writes to these stores, so the second check need not wait.
jest.spyOn(timers, "setTimeout").mockImplementation(async () => undefined as never);

const base = (n: number) => image(`image ${n}`, { layers: [layer("base"), layer(`layer ${n}`)] });
const platforms = (n: number) => multiPlatformImage(`platforms ${n}`, { layers: [layer("base")] });
const signature = (n: number) => artifact(`signature ${n}`, { subject: base(n) });

const PUSHES = new Pushes([
  base,
  platforms,
  (n) => index([platforms(n), image(`image ${n}`)]),
  signature,
  (n) => artifact(`of signature ${n}`, { subject: signature(n) }),
]);

/** A push with the tag's age in hours. */
type AgedPush = GeneratedPush & { age: number };

const push: fc.Arbitrary<AgedPush> = fc.record({
  ...PUSHES.arbitrary(["app", "app/sub", "team-tool"], ["v1", "v2", "v3", "latest"], 3),
  age: fc.integer({ min: 0, max: 40 }),
});

const policy: fc.Arbitrary<RetentionPolicy> = fc.record(
  {
    protect: fc.constantFrom([], ["v1"]),
    rules: fc.array(
      fc.record(
        {
          repositories: fc.constantFrom("**", "app", "app/*"),
          keepNewest: fc.integer({ min: 1, max: 3 }),
          keep: fc.constantFrom(["v*"], ["latest"]),
          keepYoungerThanHours: fc.integer({ min: 1, max: 40 }),
          untaggedOlderThanHours: fc.integer({ min: 1, max: 40 }),
        },
        { requiredKeys: ["repositories", "keepNewest"] },
      ),
      { minLength: 1, maxLength: 2 },
    ),
  },
  { requiredKeys: ["rules"] },
);

const write = (store: SyntheticStore, each: AgedPush): void => {
  const { repository, age } = each;
  const tags = PUSHES.tags(each);
  store.push(repository, PUSHES.manifest(each), ...tags);
  const at = new Date(NOW - age * HOUR);
  for (const tag of tags) utimesSync(store.repository(repository).tagLink(tag), at, at);
};

const namesIn = (folder: string): string[] => {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
};

/** What the store serves, read without the code under test. */
const served = (store: SyntheticStore) => {
  const repositories = ["app", "app/sub", "team-tool"];
  const revisions = (name: string) => namesIn(`${store.repository(name).revisions}/sha256`);
  return {
    tags: repositories.flatMap((name) => namesIn(store.repository(name).tags).map((tag) => `${name}:${tag}`)).sort(),
    manifests: repositories.flatMap((name) => revisions(name).map((encoded) => `${name}@sha256:${encoded}`)),
  };
};

/** Bytes and number of the blobs that a garbage collection leaves: the revisions, and what they name. */
const collected = (store: SyntheticStore): { blobs: number; bytes: number } => {
  const marked = new Set(served(store).manifests.map((each) => each.slice(each.indexOf("@") + 1) as Digest));
  for (const digest of [...marked]) {
    const text = readFileSync(store.layout.blobData(digest), "utf8");
    for (const [, named] of text.matchAll(/"digest":"(sha256:[0-9a-f]{64})"/g)) {
      // A subject is not followed, and need not exist.
      if (JSON.parse(text).subject?.digest !== named) marked.add(named as Digest);
    }
  }
  const sizes = [...marked].map((digest) => statSync(store.layout.blobData(digest)).size);
  return { blobs: sizes.length, bytes: sizes.reduce((sum, size) => sum + size, 0) };
};

const planned = ({ kept, keep }: PruneReport) => ({
  tags: kept.map(({ repository, tag }) => `${repository}:${tag}`).sort(),
  manifests: keep.manifests,
});

test("plan and apply agree, whatever was pushed and kept, and wherever the apply was ended", async () => {
  const remove = Journal.prototype.remove;
  const removals = jest.spyOn(Journal.prototype, "remove");
  await fc.assert(
    fc.asyncProperty(
      fc.array(push, { minLength: 1, maxLength: 8 }),
      policy,
      fc.nat(40),
      async (pushes, drawn, ended) => {
        const store = new SyntheticStore();
        try {
          for (const each of pushes) write(store, each);
          const plan = await planPrune(store.root, drawn, NOW);
          let done = 0;
          removals.mockImplementation(function (this: Journal, path) {
            if (done++ === ended) throw new Error("killed");
            remove.call(this, path);
          });
          const killed = await applyPrune(store.root, drawn, NOW, async () => {}).then(
            () => false,
            (error: Error) => error.message === "killed" || Promise.reject(error),
          );
          expect(killed).toBe(done > ended);
          expect((await scan(store.root)).findings.filter(({ kind }) => kind !== "orphan-layer-link")).toEqual([]);
          expect(served(store).tags).toEqual(expect.arrayContaining(planned(plan).tags));
          removals.mockImplementation(remove);
          await applyPrune(store.root, drawn, NOW + 1, async () => {});
          expect(served(store).tags).toEqual(planned(plan).tags);
          expect(served(store).manifests).toHaveLength(planned(plan).manifests);
          expect(collected(store)).toEqual({ blobs: plan.keep.blobs, bytes: plan.keep.bytes });
          expect(await planPrune(store.root, drawn, NOW)).toMatchObject({ remove: { tags: [], manifests: [] } });
        } finally {
          store.remove();
        }
      },
    ),
    { numRuns: ROUNDS },
  );
  removals.mockRestore();
}, 3_600_000);

test("the order of the pushes does not matter", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(push, { minLength: 2, maxLength: 6 }), policy, async (pushes, drawn) => {
      // The last push of a tag decides, so each tag is pushed once.
      const seen = new Set<string>();
      const isNew = (name: string) => seen.size < seen.add(name).size;
      const once = pushes.map((each) => ({
        ...each,
        tags: each.tags.filter((tag) => isNew(`${each.repository}:${tag}`)),
        refersTo: isNew(`${each.repository}@${each.refersTo}`) ? each.refersTo : null,
      }));
      const reports = [];
      for (const order of [once, once.toReversed()]) {
        const store = new SyntheticStore();
        for (const each of order) write(store, each);
        const { root, ...report } = await planPrune(store.root, drawn, NOW);
        reports.push(report);
        store.remove();
      }
      expect(reports[1]).toEqual(reports[0]);
    }),
    { numRuns: ROUNDS / 2 },
  );
}, 3_600_000);
