import fc from "fast-check";
import type { RegistryWriter } from "../../../registry/oci/push";
import { artifact, createdOn, image, index, layer } from "../../lab/images";
import { newest } from "../newest";
import { FakeRegistry } from "../oci/fake-registry";
import { type GeneratedPush, Pushes } from "../pushes";
import { RemoteCleanUps } from "./clean-up";

/** How many registries; the bench takes more. */
const ROUNDS = Number(process.env.WARDEN_ROUNDS || 12);

const single = (n: number) => image(`image ${n}`, { layers: [layer("base")], annotations: createdOn(n + 1) });

const PUSHES = new Pushes([
  single,
  (n) => index([single(n), image("shared", { layers: [layer("base")] })], { annotations: createdOn(n + 1) }),
  (n) => index([index([single(n)]), single((n + 1) % 4)], { annotations: createdOn(n + 1) }),
  (n) => artifact(`signature ${n}`, { subject: single(n) }),
  (n) => artifact(`of signature ${n}`, { subject: artifact(`signature ${n}`, { subject: single(n) }) }),
]);

type RegistryState = Record<string, { tags: Record<string, string>; manifests: string[] }>;

const REPOSITORIES = ["app", "team/tool"];

const push: fc.Arbitrary<GeneratedPush> = fc.record(
  PUSHES.arbitrary(REPOSITORIES, ["v1", "v2", "v3", "v4", "latest"], 4),
);

const stateOf = (registry: FakeRegistry): RegistryState =>
  Object.fromEntries(
    REPOSITORIES.map((name) => {
      const { tags, manifests } = registry.repository(name);
      return [name, { tags: Object.fromEntries([...tags].sort()), manifests: [...manifests.keys()].sort() }];
    }),
  );

/** The children and the subject of each manifest, read from its bytes. */
const edges = (
  registry: FakeRegistry,
  name: string,
): Map<string, { parts: string[]; subject: string | null; date: number }> =>
  new Map(
    [...registry.repository(name).manifests].map(([digest, { bytes }]) => {
      const json = JSON.parse(bytes.toString());
      const date = Date.parse(json.annotations?.["org.opencontainers.image.created"]);
      const parts = (json.manifests ?? []).map((each: { digest: string }) => each.digest);
      return [digest, { parts, subject: json.subject?.digest ?? null, date }];
    }),
  );

/**
 * What a clean-up has to leave, computed independently of the planner: the closure of the remaining tags over children,
 * subjects and referrers. What no tag reached before stays too, because a registry without a listing does not show it.
 */
const ideal = (registry: FakeRegistry, keepNewest: number): RegistryState => {
  const before = stateOf(registry);
  const kept: RegistryState = Object.fromEntries(
    REPOSITORIES.map((name) => [name, { tags: {}, manifests: [] as string[] }]),
  );
  const graphs = new Map(REPOSITORIES.map((name) => [name, edges(registry, name)]));
  const reach = (name: string, from: string[], withSubjects: boolean): Set<string> => {
    const graph = graphs.get(name) ?? new Map();
    const found = new Set(from.filter((digest) => graph.has(digest)));
    for (let size = -1; size < found.size; ) {
      size = found.size;
      for (const [digest, { parts, subject }] of graph) {
        if (found.has(digest)) {
          for (const part of parts) if (graph.has(part)) found.add(part);
          if (withSubjects && subject !== null && graph.has(subject)) found.add(subject);
        } else if (registry.hasReferrers || withSubjects) {
          if (subject !== null && found.has(subject) && (registry.hasReferrers || seen.get(name)?.has(digest)))
            found.add(digest);
        }
      }
    }
    return found;
  };
  const seen = new Map<string, Set<string>>();
  for (const name of REPOSITORIES) seen.set(name, reach(name, Object.values(before[name]?.tags ?? {}), false));
  const isFallback = (tag: string) => tag.startsWith("sha256-");
  for (const name of REPOSITORIES) {
    const graph = graphs.get(name);
    const dated = Object.entries(before[name]?.tags ?? {})
      .filter(([tag]) => !isFallback(tag))
      .map(([tag, digest]) => ({ tag, digest, date: graph?.get(digest)?.date ?? Number.NaN }));
    const dates = dated.map(({ date }) => date).filter((date) => !Number.isNaN(date));
    const last = dates.sort((a, b) => b - a)[keepNewest - 1] ?? Number.NEGATIVE_INFINITY;
    for (const { tag, digest, date } of dated) {
      if (Number.isNaN(date) || date >= last) (kept[name] as RegistryState[string]).tags[tag] = digest;
    }
  }
  const present = new Set(REPOSITORIES.flatMap((name) => [...(seen.get(name) ?? [])]));
  for (let changed = true; changed; ) {
    changed = false;
    const closed = new Map(
      REPOSITORIES.map((name) => [name, reach(name, Object.values(kept[name]?.tags ?? {}), true)]),
    );
    const anywhere = new Set([...closed.values()].flatMap((each) => [...each]));
    for (const name of REPOSITORIES) {
      for (const [tag, digest] of Object.entries(before[name]?.tags ?? {})) {
        const subject = tag.replace("-", ":");
        const own = (kept[name] as RegistryState[string]).tags;
        if (!isFallback(tag) || own[tag] !== undefined) continue;
        const stays = seen.get(name)?.has(subject) ? closed.get(name)?.has(subject) : anywhere.has(subject);
        if (!stays && present.has(subject)) continue;
        own[tag] = digest;
        changed = true;
      }
    }
  }
  for (const name of REPOSITORIES) {
    const closed = reach(name, Object.values(kept[name]?.tags ?? {}), true);
    const state = kept[name] as RegistryState[string];
    state.tags = Object.fromEntries(Object.entries(state.tags).sort());
    state.manifests = (before[name]?.manifests ?? []).filter(
      (digest) => closed.has(digest) || !seen.get(name)?.has(digest),
    );
  }
  return kept;
};

/** Every kept tag still points at the same image, with all its parts. */
const expectServed = (registry: FakeRegistry, expected: RegistryState): void => {
  for (const [name, { tags, manifests }] of Object.entries(expected)) {
    const now = stateOf(registry)[name] as RegistryState[string];
    expect(now.tags).toMatchObject(tags);
    expect(now.manifests).toEqual(expect.arrayContaining(manifests));
  }
};

/** Every tag leads to a complete image, even a tag that will be removed: nothing is removed before what names it. */
const expectWhole = (registry: FakeRegistry): void => {
  for (const name of REPOSITORIES) {
    const graph = edges(registry, name);
    const pending = [...registry.repository(name).tags.values()];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const node = graph.get(next);
      if (node === undefined) throw new Error(`${name}@${next} is needed and gone`);
      pending.push(...node.parts);
    }
  }
};

/** Ends a run before or after the n-th change that it requests. */
const killAt = (n: number, isDone: boolean) => {
  let left = n;
  return (writer: RegistryWriter) => {
    for (const method of ["remove", "pushManifest"] as const) {
      const real = writer[method].bind(writer) as (...args: unknown[]) => Promise<unknown>;
      Object.assign(writer, {
        [method]: async (...args: unknown[]) => {
          const isLast = left-- === 0;
          if (isLast && !isDone) throw new Error("killed");
          const answer = await real(...args);
          if (isLast) throw new Error("killed");
          return answer;
        },
      });
    }
  };
};

const orKilled = (error: Error): null => {
  if (error.message !== "killed") throw error;
  return null;
};

test("a clean-up ends at the ideal wherever it was ended, never breaks a kept tag, and its undo brings all of it back", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(push, { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 1, max: 3 }),
      fc.boolean(),
      fc.nat(12),
      fc.boolean(),
      async (pushes, keepNewest, hasReferrers, kill, isDone) => {
        const registry = await FakeRegistry.start();
        const cleanUp = new RemoteCleanUps(registry.url);
        try {
          registry.deletes = { digests: true, tags: true };
          registry.takesPushes = true;
          registry.hasReferrers = hasReferrers;
          for (const name of REPOSITORIES) registry.repository(name);
          for (const each of pushes) registry.push(each.repository, PUSHES.manifest(each), ...PUSHES.tags(each));
          const before = stateOf(registry);
          const expected = ideal(registry, keepNewest);
          const policy = newest(keepNewest);

          const first = await cleanUp.apply(policy, {}, killAt(kill, isDone)).catch(orKilled);
          expectServed(registry, expected);
          expectWhole(registry);
          const second = await cleanUp.apply(policy);
          expect(second).toMatchObject({ problems: [], remaining: [], spared: [] });
          expect(stateOf(registry)).toEqual(expected);
          expect(await cleanUp.plan(policy)).toMatchObject({ remove: { tags: [], manifests: [] } });

          const journal = second.journal ?? first?.journal ?? null;
          if (journal === null) return;
          await cleanUp.undo(journal, killAt(kill % 4, isDone)).catch(orKilled);
          expect(await cleanUp.undo(journal)).toMatchObject({ problems: [], left: [] });
          expect(stateOf(registry)).toEqual(before);
        } finally {
          cleanUp.remove();
          await registry.stop();
        }
      },
    ),
    { numRuns: ROUNDS },
  );
}, 3_600_000);

/** A kept tag changes at the n-th request. */
const move = fc.record({
  at: fc.integer({ min: 1, max: 60 }),
  isAnswered: fc.boolean(),
  tag: fc.constantFrom("stable", "latest"),
  to: fc.nat(3),
});

test("a kept tag leads to what was last pushed under it, whatever request of a clean-up its pushes come beside", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(move, { minLength: 1, maxLength: 4 }), async (moves) => {
      const registry = await FakeRegistry.start();
      const cleanUp = new RemoteCleanUps(registry.url);
      try {
        registry.deletes = { digests: true, tags: false };
        registry.takesPushes = true;
        for (const n of [0, 1, 2, 3]) registry.push("app", single(n), `v${n}`);
        registry.push("app", single(3), "stable", "latest");
        const last = new Map<string, string>();
        const act = (request: number, answered: boolean): void => {
          for (const { at, isAnswered, tag, to } of moves) {
            if (at !== request || isAnswered !== answered) continue;
            // While the deletion has taken it along, restoring it may overwrite a push: the window that the docs
            // mention.
            if (!registry.repository("app").tags.has(tag)) continue;
            registry.push("app", single(to), tag);
            last.set(tag, single(to).descriptor.digest);
          }
        };
        let requests = 0;
        registry.on(/./, (request, response) => {
          const number = ++requests;
          act(number, false);
          response.once("finish", () => act(number, true));
          registry.serve(request, response);
        });
        await cleanUp.apply(newest(1, { keep: ["stable", "latest"] }));
        const { tags, manifests } = registry.repository("app");
        for (const [tag, digest] of last)
          expect([tag, tags.get(tag), manifests.has(digest)]).toEqual([tag, digest, true]);
      } finally {
        cleanUp.remove();
        await registry.stop();
      }
    }),
    { numRuns: 2 * ROUNDS },
  );
}, 3_600_000);
