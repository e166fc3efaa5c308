import fc from "fast-check";
import type { InUse } from "../../../registry/in-use/protection";
import { IN_USE_REPOSITORY } from "../../../registry/in-use/report";
import { type Digest, sha256 } from "../../../registry/oci/digest";
import { fallbackTag } from "../../../registry/oci/referrers";
import type { LinkedManifest, RepositoryGraph, Tag } from "../../../registry/storage/graph";
import { matchesPattern } from "../../../registry/storage/policy";
import { planRetention, type RepositoryPlan } from "../../../registry/storage/retention";
import type { RetentionPolicy } from "../../../site/retention";
import { newest } from "../newest";

const HOUR = 3_600_000;
const NOW = 1_000 * HOUR;

const digest = (name: string): Digest => sha256(name);

/** A repository in short form: the references of each manifest by name, and `tag: [manifest, age in hours]`. */
const graph = (
  name: string,
  manifests: Record<string, { of?: string[]; subject?: string; age?: number }>,
  tags: Record<string, [string, number]>,
  history: Record<string, string[]> = {},
): RepositoryGraph => {
  const nodes = Object.entries(manifests).map(([key, { of = [], subject, age = 500 }]): [Digest, LinkedManifest] => [
    digest(key),
    {
      linkedAt: NOW - age * HOUR,
      references: of.map(digest),
      subject: subject === undefined ? null : digest(subject),
    },
  ]);
  const blobs = Object.values(manifests).flatMap(({ of = [] }) => of.filter((key) => !(key in manifests)));
  return {
    name,
    tags: new Map(
      Object.entries(tags).map(([tag, [key, age]]): [string, Tag] => [
        tag,
        { digest: digest(key), pushedAt: NOW - age * HOUR, history: (history[tag] ?? [key]).map(digest) },
      ]),
    ),
    manifests: new Map(nodes),
    layerLinks: new Map(blobs.map((key) => [digest(key), digest(key)])),
    unlinked: new Set(),
  };
};

const planOne = (of: RepositoryGraph, policy: RetentionPolicy): RepositoryPlan => {
  const [plan] = planRetention([of], policy, NOW);
  if (plan === undefined) throw new Error("no plan");
  return plan;
};

const removedTags = (plan: RepositoryPlan) => plan.removedTags.map(({ tag }) => tag);

describe("which tags stay", () => {
  const images = { a: {}, b: {}, c: {}, d: {} };
  const four = graph("app", images, { v1: ["a", 400], v2: ["b", 300], v3: ["c", 200], latest: ["d", 500] });

  test("the newest, by when they were last pushed", () => {
    const plan = planOne(four, newest(2));
    expect(plan.keptTags).toEqual([
      { tag: "v2", reason: "among the newest 2" },
      { tag: "v3", reason: "among the newest 2" },
    ]);
    expect(plan.removedTags).toEqual([
      { tag: "latest", reason: "older than the newest 2" },
      { tag: "v1", reason: "older than the newest 2" },
    ]);
    expect(plan.removedManifests.toSorted()).toEqual([digest("a"), digest("d")].sort());
  });

  test("those of a pattern", () => {
    expect(removedTags(planOne(four, newest(1, { keep: ["lat*"] })))).toEqual(["v1", "v2"]);
  });

  test("those that are protected in every repository", () => {
    const plan = planOne(four, { protect: ["latest"], ...newest(1) });
    expect(plan.keptTags).toContainEqual({ tag: "latest", reason: "protected by latest" });
  });

  test("those that are young", () => {
    expect(removedTags(planOne(four, newest(1, { keepYoungerThanHours: 301 })))).toEqual(["latest", "v1"]);
  });

  test("of tags pushed in the same moment, as after a restore, all or none", () => {
    const same = graph("app", images, { v9: ["a", 2], v10: ["b", 2], v1: ["c", 1] });
    expect(removedTags(planOne(same, newest(1)))).toEqual(["v10", "v9"]);
    expect(removedTags(planOne(same, newest(2)))).toEqual([]);
  });

  test("no name that only looks like a fallback tag stays forever", () => {
    const branch = `build-${"long-name-of-a-branch-".repeat(4)}`;
    const commit = `main-${"a".repeat(64)}`;
    const tags = graph("app", images, { new: ["a", 1], [branch]: ["b", 2], [commit]: ["c", 3] });
    expect(removedTags(planOne(tags, newest(1)))).toEqual([branch, commit]);
  });

  test("a repository that no rule is for is left as it is", () => {
    const rules = [{ repositories: "other/*", keepNewest: 1 }];
    const plan = planOne(four, { rules });
    expect(plan).toMatchObject({ removedTags: [], removedManifests: [], removedLayerLinks: [] });
    expect(plan.keptTags).toHaveLength(4);
  });

  test("the first rule that is for a repository decides", () => {
    const rules = [
      { repositories: "app", keepNewest: 3 },
      { repositories: "**", keepNewest: 1 },
    ];
    expect(removedTags(planOne(four, { rules }))).toEqual(["latest"]);
  });
});

test("what refers to what an earlier run has removed goes with it", () => {
  const tags = { v1: ["new", 1], [fallbackTag(digest("gone"))]: ["signature", 2] } as Record<string, [string, number]>;
  const left = graph("app", { new: {}, signature: {} }, tags);
  const removed = new Set([digest("gone")]);
  expect(removedTags(planOne(left, newest(1)))).toEqual([]);
  expect(removedTags(planOne({ ...left, removed }, newest(1)))).toEqual([fallbackTag(digest("gone"))]);
});

test("parts of a push that may not be done stay, with what they lead to and without any tag", () => {
  const pushing = graph(
    "app",
    { new: {}, index: { of: ["part"] }, part: {}, old: {} },
    { v2: ["new", 1], v1: ["old", 2] },
  );
  const manifests = new Map([["app", new Set([digest("index"), digest("absent")])]]);
  const leftAlone = { repositories: new Map(), blobs: new Set<Digest>(), manifests };
  const [plan] = planRetention([pushing], newest(1), NOW, leftAlone);
  expect(plan?.keptManifests).toEqual(["new", "index", "part"].map(digest).sort());
  expect(plan?.removedTags.map(({ tag }) => tag)).toEqual(["v1"]);
});

describe("what tags lead to", () => {
  test("children of kept indexes stay at every depth, untagged as they are", () => {
    const nested = graph(
      "app",
      {
        outer: { of: ["inner"] },
        inner: { of: ["amd64"] },
        amd64: { of: ["config", "layer"] },
        old: { of: ["layer"] },
      },
      { v2: ["outer", 1], v1: ["old", 2] },
    );
    const plan = planOne(nested, newest(1));
    expect(plan.removedManifests).toEqual([digest("old")]);
    expect(plan.removedLayerLinks).toEqual([]);
  });

  test("a digest that a kept tag shares with a removed one stays", () => {
    const shared = graph("app", { a: { of: ["layer"] } }, { v2: ["a", 1], v1: ["a", 2] });
    expect(planOne(shared, newest(1))).toMatchObject({ removedTags: [{ tag: "v1" }], removedManifests: [] });
  });

  test("what was re-tagged goes, and what the tag remembers of it", () => {
    const latest = graph("app", { old: {}, new: {} }, { latest: ["new", 1] }, { latest: ["old", "new"] });
    expect(planOne(latest, newest(1))).toMatchObject({
      removedManifests: [digest("old")],
      removedHistory: [{ tag: "latest", digest: digest("old") }],
    });
  });

  test("untagged manifests stay for the hours of the rule", () => {
    const untagged = graph("app", { a: {}, young: { age: 5, of: ["layer"] }, old: { age: 7 } }, { v1: ["a", 1] });
    const plan = planOne(untagged, newest(1, { untaggedOlderThanHours: 6 }));
    expect(plan.removedManifests).toEqual([digest("old")]);
    expect(plan.removedLayerLinks).toEqual([]);
  });

  test("links to layers that nothing names go", () => {
    const one = graph("app", { a: { of: ["layer"] } }, { v1: ["a", 1] });
    one.layerLinks.set(digest("leftover"), digest("leftover"));
    expect(planOne(one, newest(1)).removedLayerLinks).toEqual([digest("leftover")]);
  });
});

describe("what refers to what is kept", () => {
  const subjects = { old: {}, new: { of: ["arm64"] }, arm64: {} };
  const tags: Record<string, [string, number]> = { v1: ["old", 2], v2: ["new", 1] };

  test("referrers stay with their subject, at any depth, and go with it", () => {
    const signatures = { oldSignature: { subject: "old" }, sbom: { subject: "arm64" }, signature: { subject: "sbom" } };
    const plan = planOne(graph("app", { ...subjects, ...signatures }, tags), newest(1));
    expect(plan.removedManifests.toSorted()).toEqual([digest("old"), digest("oldSignature")].sort());
  });

  test("fallback tags stay with their subject and go with it, and do not count among the newest", () => {
    const fallbacks: Record<string, [string, number]> = {
      [fallbackTag(digest("old"))]: ["oldReferrers", 0],
      [`${fallbackTag(digest("arm64"))}.sig`]: ["cosign", 900],
    };
    const plan = planOne(
      graph("app", { ...subjects, oldReferrers: {}, cosign: {} }, { ...tags, ...fallbacks }),
      newest(1),
    );
    expect(plan.keptTags).toEqual([
      { tag: `${fallbackTag(digest("arm64"))}.sig`, reason: "its subject stays" },
      { tag: "v2", reason: "among the newest 1" },
    ]);
    expect(plan.removedTags).toContainEqual({ tag: fallbackTag(digest("old")), reason: "its subject goes" });
  });

  test("signatures kept in a repository of their own stay with their subjects", () => {
    const app = graph("app", subjects, tags);
    const signatures = graph(
      "signatures",
      { ofOld: {}, ofNew: {}, ofForeign: {}, ofSignature: {} },
      {
        [`${fallbackTag(digest("old"))}.sig`]: ["ofOld", 1],
        [`${fallbackTag(digest("new"))}.sig`]: ["ofNew", 1],
        [`${fallbackTag(digest("foreign"))}.sig`]: ["ofForeign", 1],
        [`${fallbackTag(digest("ofNew"))}.sig`]: ["ofSignature", 1],
      },
    );
    const [, plan] = planRetention([app, signatures], newest(1), NOW);
    expect(plan?.removedManifests).toEqual([digest("ofOld")]);
    expect(plan?.keptTags).toContainEqual({
      tag: `${fallbackTag(digest("foreign"))}.sig`,
      reason: "its subject is not in this registry",
    });
  });

  test("a signature goes with its subject, whatever keeps that in another repository", () => {
    const fallback: Record<string, [string, number]> = { [fallbackTag(digest("old"))]: ["signature", 1] };
    const app = graph("app", { old: {}, new: {}, signature: {} }, { v1: ["old", 2], v2: ["new", 1], ...fallback });
    const mirror = graph("mirror", { old: {} }, { v1: ["old", 1] });
    const [plan] = planRetention([app, mirror], newest(1), NOW);
    expect(plan?.removedManifests.toSorted()).toEqual([digest("old"), digest("signature")].sort());
  });

  describe("what is known only as a subject, as over HTTP where no tag leads to it", () => {
    const fallback: Record<string, [string, number]> = { [fallbackTag(digest("image"))]: ["signature", 1] };
    const hidden = new Set([digest("image")]);
    const app = (tags: Record<string, [string, number]>) => ({
      ...graph("app", { image: {}, sbom: { subject: "image" }, signature: {}, new: {} }, { ...tags, ...fallback }),
      hidden,
    });
    const mirror = graph("mirror", { image: {}, new: {} }, { v1: ["image", 2], v2: ["new", 1] });

    test("keeps its signatures if the artifact is kept, although another repository loses it", () => {
      const [plan, ofMirror] = planRetention([app({ sbom: ["sbom", 1] }), mirror], newest(1), NOW);
      expect(ofMirror?.removedManifests).toEqual([digest("image")]);
      expect(plan?.keptTags).toContainEqual({ tag: fallbackTag(digest("image")), reason: "its subject stays" });
    });

    test("keeps nothing that refers to it: no client finds it from its own subject", () => {
      const manifests = { base: {}, image: { subject: "base" }, sbom: { subject: "image" } };
      const tags: Record<string, [string, number]> = { v1: ["base", 1], sbom: ["sbom", 9] };
      const plan = planOne({ ...graph("app", manifests, tags), hidden }, newest(1));
      expect(plan.removedManifests).toEqual([digest("sbom")]);
    });

    test("stays when the artifact goes", () => {
      const [plan] = planRetention([app({ sbom: ["sbom", 9], v2: ["new", 1] })], newest(1), NOW);
      expect(plan?.removedManifests).toEqual([digest("sbom")]);
    });
  });

  test("the subject of a kept artifact stays", () => {
    const artifact = graph("app", { image: {}, sbom: { subject: "image" } }, { sbom: ["sbom", 1] });
    expect(planOne(artifact, newest(1)).removedManifests).toEqual([]);
  });
});

describe("what runs", () => {
  const runs = (...names: string[]): InUse => new Map(names.map((name) => [digest(name), ["home"]]));
  const images = { old: { of: ["config", "layer"] }, index: { of: ["amd64", "arm64"] }, amd64: {}, arm64: {}, new: {} };
  const app = () => graph("app", images, { v1: ["old", 9], v2: ["index", 5], v3: ["new", 1] });
  const planUsed = (of: RepositoryGraph, inUse: InUse) => {
    const [plan] = planRetention([of], newest(1), NOW, undefined, inUse);
    return plan as RepositoryPlan;
  };

  test("keeps the tag that it is about to lose", () => {
    const plan = planUsed(app(), runs("old"));
    expect(plan.keptTags).toEqual([
      { tag: "v1", reason: "it runs in home" },
      { tag: "v3", reason: "among the newest 1" },
    ]);
    expect(removedTags(plan)).toEqual(["v2"]);
    expect(plan.removedLayerLinks).toEqual([]);
  });

  test("stays where its tag has moved, or is gone", () => {
    const moved = graph("app", { old: { of: ["layer"] }, new: {} }, { latest: ["new", 1] }, { latest: ["old", "new"] });
    expect(planUsed(moved, runs("old"))).toMatchObject({
      removedManifests: [],
      removedHistory: [],
      removedLayerLinks: [],
    });
    expect(planUsed(moved, runs("other")).removedManifests).toEqual([digest("old")]);
  });

  test("keeps the index that it was pulled by, whichever of its images a node names, and by its config alone", () => {
    expect(removedTags(planUsed(app(), runs("arm64")))).toEqual(["v1"]);
    expect(removedTags(planUsed(app(), runs("config")))).toEqual(["v2"]);
  });

  test("in several repositories stays in each", () => {
    const mirror = graph("mirror", { old: {}, new: {} }, { v1: ["old", 9], v2: ["new", 1] });
    const plans = planRetention([app(), mirror], newest(1), NOW, undefined, runs("old"));
    expect(plans.map(({ keptTags }) => keptTags.some(({ tag }) => tag === "v1"))).toEqual([true, true]);
  });

  test("every report of it stays, whatever the rules say, and only what another has taken the place of goes", () => {
    const tags = Object.fromEntries(
      Array.from({ length: 12 }, (_, n): [string, [string, number]] => [`cluster-${n}`, [`report-${n}`, n]]),
    );
    const reports = Object.fromEntries(Object.values(tags).map(([key]) => [key, { of: [`layer of ${key}`] }]));
    const repository = graph(IN_USE_REPOSITORY, { ...reports, before: { of: ["layer before"] } }, tags, {
      "cluster-0": ["before", "report-0"],
    });
    for (const policy of [newest(1), { rules: [{ repositories: "app", keepNewest: 1 }] }]) {
      const plan = planOne(repository, policy);
      expect(plan.keptTags).toHaveLength(12);
      expect(new Set(plan.keptTags.map(({ reason }) => reason))).toEqual(new Set(["it says what runs"]));
      expect(plan.removedManifests).toEqual([digest("before")]);
      expect(plan.removedLayerLinks).toEqual([digest("layer before")]);
    }
  });
});

describe("for every registry and every policy", () => {
  const hours = fc.integer({ min: 0, max: 20 });

  /** Manifests by number: each refers to layers and to lower numbers, so there is no cycle. */
  const repository = (name: string) =>
    fc
      .array(
        fc.record({
          of: fc.uniqueArray(fc.nat(11), { maxLength: 4 }),
          layers: fc.uniqueArray(fc.nat(5), { maxLength: 3 }),
          subject: fc.option(fc.nat(11), { nil: undefined, freq: 4 }),
          age: hours,
          tags: fc.uniqueArray(fc.nat(9), { maxLength: 2 }),
          fallback: fc.option(fc.nat(13), { nil: undefined, freq: 4 }),
          pushed: hours,
        }),
        { maxLength: 12 },
      )
      .map((drawn) => {
        const key = (n: number) => `${name}/${n}`;
        const manifests = Object.fromEntries(
          drawn.map(({ of, layers, subject, age }, n) => [
            key(n),
            {
              of: [...of.filter((child) => child < n).map(key), ...layers.map((layer) => `layer/${layer}`)],
              subject: subject === undefined ? undefined : key(subject),
              age,
            },
          ]),
        );
        const tags = drawn.flatMap(({ tags, fallback, pushed }, n): [string, [string, number]][] => [
          ...tags.map((tag): [string, [string, number]] => [`v${tag}`, [key(n), pushed]]),
          ...(fallback === undefined
            ? []
            : [
                [fallbackTag(digest(`repository-${fallback % 2}/${fallback}`)), [key(n), pushed]] satisfies [
                  string,
                  [string, number],
                ],
              ]),
        ]);
        return graph(name, manifests, Object.fromEntries(tags));
      });

  const registry = fc.tuple(repository("repository-0"), repository("repository-1"));

  const policy: fc.Arbitrary<RetentionPolicy> = fc.record({
    protect: fc.constantFrom([], ["v1"]),
    rules: fc.array(
      fc.record(
        {
          repositories: fc.constantFrom("**", "repository-0", "repository-*"),
          keepNewest: fc.integer({ min: 1, max: 4 }),
          keep: fc.constantFrom([], ["v2", "v3"]),
          keepYoungerThanHours: fc.integer({ min: 1, max: 20 }),
          untaggedOlderThanHours: fc.integer({ min: 1, max: 20 }),
        },
        { requiredKeys: ["repositories", "keepNewest"] },
      ),
      { minLength: 1, maxLength: 2 },
    ),
  });

  const forAll = (holds: (graphs: RepositoryGraph[], policy: RetentionPolicy, plans: RepositoryPlan[]) => void) =>
    fc.assert(
      fc.property(registry, policy, (graphs, drawn) => holds(graphs, drawn, planRetention(graphs, drawn, NOW))),
      { numRuns: 300 },
    );

  /** What can be reached from a manifest, computed without the code under test. */
  const reachable = ({ manifests }: RepositoryGraph, from: Digest): Digest[] => {
    const node = manifests.get(from);
    return node === undefined
      ? [from]
      : [from, ...node.references.flatMap((each) => reachable({ manifests } as RepositoryGraph, each))];
  };

  test("nothing that a kept tag leads to is removed", () => {
    forAll((graphs, _, plans) => {
      for (const [at, plan] of plans.entries()) {
        const removed = new Set([...plan.removedManifests, ...plan.removedLayerLinks]);
        for (const { tag } of plan.keptTags) {
          const graph = graphs[at] as RepositoryGraph;
          const kept = reachable(graph, graph.tags.get(tag)?.digest as Digest);
          expect(kept.filter((each) => removed.has(each))).toEqual([]);
        }
      }
    });
  });

  test("what is kept is closed under references, and its blobs are kept", () => {
    forAll((graphs, _, plans) => {
      for (const [at, plan] of plans.entries()) {
        const kept = new Set(plan.keptManifests);
        const blobs = new Set(plan.keptBlobs);
        for (const digest of kept) {
          const node = graphs[at]?.manifests.get(digest) as LinkedManifest;
          const isKept = (each: Digest) => blobs.has(each) && (kept.has(each) || !graphs[at]?.manifests.has(each));
          expect(node.references.filter((each) => !isKept(each))).toEqual([]);
        }
      }
    });
  });

  test("each tag, manifest and needed layer is either kept or removed", () => {
    forAll((graphs, { rules }, plans) => {
      for (const [at, plan] of plans.entries()) {
        const { name, tags, manifests } = graphs[at] as RepositoryGraph;
        const named = ({ tag }: { tag: string }) => tag;
        expect([...plan.keptTags.map(named), ...plan.removedTags.map(named)].sort()).toEqual([...tags.keys()].sort());
        expect([...plan.keptManifests, ...plan.removedManifests].sort()).toEqual([...manifests.keys()].sort());
        if (rules.every(({ repositories }) => !matchesPattern(repositories, name))) {
          expect(plan.removedTags).toEqual([]);
          expect(plan.removedManifests).toEqual([]);
        }
      }
    });
  });

  test("what runs is kept with all that leads to it and all that it needs, and its protection removes nothing more", () => {
    fc.assert(
      fc.property(registry, policy, fc.uniqueArray(fc.nat(11), { maxLength: 4 }), (graphs, drawn, running) => {
        const inUse: InUse = new Map(
          running.flatMap((n) => [0, 1].map((at) => [digest(`repository-${at}/${n}`), ["home"]] as const)),
        );
        const plans = planRetention(graphs, drawn, NOW, undefined, inUse);
        const without = planRetention(graphs, drawn, NOW);
        for (const [at, plan] of plans.entries()) {
          const graph = graphs[at] as RepositoryGraph;
          const removed = new Set([...plan.removedManifests, ...plan.removedLayerLinks]);
          for (const used of inUse.keys()) {
            if (!graph.manifests.has(used)) continue;
            expect(reachable(graph, used).filter((each) => removed.has(each))).toEqual([]);
            const leading = [...graph.tags].filter(([, { digest }]) => reachable(graph, digest).includes(used));
            expect(leading.filter(([tag]) => removedTags(plan).includes(tag))).toEqual([]);
          }
          expect(without[at]?.removedManifests).toEqual(expect.arrayContaining([...plan.removedManifests]));
          expect(without[at]?.removedTags).toEqual(expect.arrayContaining([...plan.removedTags]));
        }
      }),
      { numRuns: 300 },
    );
  });

  test("no repository loses every tag it was given by name", () => {
    forAll((graphs, _, plans) => {
      for (const [at, plan] of plans.entries()) {
        const given = [...(graphs[at]?.tags.keys() ?? [])].filter((tag) => tag.startsWith("v"));
        if (given.length > 0) expect(plan.keptTags.some(({ tag }) => tag.startsWith("v"))).toBe(true);
      }
    });
  });

  test("no removed manifest goes before one that names it", () => {
    forAll((graphs, _, plans) => {
      for (const [at, { removedManifests }] of plans.entries()) {
        for (const [position, digest] of removedManifests.entries()) {
          for (const each of graphs[at]?.manifests.get(digest)?.references ?? []) {
            const later = removedManifests.indexOf(each);
            if (later >= 0) expect(later).toBeGreaterThan(position);
          }
        }
      }
    });
  });

  test("ended after any removal, the next plan removes exactly the rest", () => {
    fc.assert(
      fc.property(registry, policy, fc.nat(), (graphs, drawn, ended) => {
        const plans = planRetention(graphs, drawn, NOW);
        const steps = removals(graphs, plans);
        const done = steps.length === 0 ? 0 : ended % (steps.length + 1);
        for (const remove of steps.slice(0, done)) remove();
        const rest = removals(graphs, planRetention(graphs, drawn, NOW));
        expect(rest).toHaveLength(steps.length - done);
        for (const remove of rest) remove();
        expect(removals(graphs, planRetention(graphs, drawn, NOW))).toHaveLength(0);
        expect(planRetention(graphs, drawn, NOW).map(({ keptManifests }) => keptManifests)).toEqual(
          plans.map(({ keptManifests }) => keptManifests),
        );
      }),
      { numRuns: 300 },
    );
  });

  test("the order in which things are read does not matter", () => {
    const reversed = <Key, Value>(map: Map<Key, Value>) => new Map([...map].reverse());
    forAll((graphs, drawn, plans) => {
      const backwards = graphs.map((graph) => ({
        ...graph,
        tags: reversed(graph.tags),
        manifests: reversed(graph.manifests),
        layerLinks: reversed(graph.layerLinks),
      }));
      const comparable = ({ keptBlobs, removedHistory, ...plan }: RepositoryPlan) => ({
        ...plan,
        keptBlobs: keptBlobs.toSorted(),
        removedHistory: removedHistory.map(({ tag, digest }) => tag + digest).sort(),
      });
      expect(planRetention(backwards.reverse(), drawn, NOW).reverse().map(comparable)).toEqual(plans.map(comparable));
    });
  });

  /** Every removal of a plan, in the order in which apply makes them, as changes to the graphs. */
  const removals = (graphs: RepositoryGraph[], plans: RepositoryPlan[]): (() => void)[] => {
    const each = (of: (graph: RepositoryGraph, plan: RepositoryPlan) => (() => void)[]) =>
      plans.flatMap((plan, at) => of(graphs[at] as RepositoryGraph, plan));
    return [
      ...each(({ tags }, { removedTags }) =>
        removedTags.map(
          ({ tag }) =>
            () =>
              void tags.delete(tag),
        ),
      ),
      ...each(({ tags }, { removedHistory }) =>
        removedHistory.map(({ tag, digest }) => () => {
          const known = tags.get(tag);
          if (known !== undefined) known.history = known.history.filter((each) => each !== digest);
        }),
      ),
      ...each(({ manifests }, { removedManifests }) =>
        removedManifests.map((each) => () => void manifests.delete(each)),
      ),
      ...each(({ layerLinks }, { removedLayerLinks }) =>
        removedLayerLinks.map((each) => () => void layerLinks.delete(each)),
      ),
    ];
  };
});
