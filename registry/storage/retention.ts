import type { RetentionPolicy, RetentionRule } from "../../site/retention";
import { compareText } from "../../text/compare-text";
import { type InUse, NOTHING_IN_USE } from "../in-use/protection";
import { IN_USE_REPOSITORY } from "../in-use/report";
import type { Digest } from "../oci/digest";
import { fallbackTag, fallbackTagIn } from "../oci/referrers";
import type { RepositoryGraph } from "./graph";
import { matchesPattern } from "./policy";
import { agesOf, type Doubt, reasonOfDoubt, type TagAge } from "./tag-age";
import { usedIn } from "./used";

/** The plan for one repository. */
export interface RepositoryPlan {
  name: string;
  keptTags: TagDecision[];
  removedTags: TagDecision[];
  keptManifests: Digest[];
  /** In a safe order of removal: each before those it names, so that no manifest ever lacks a part. */
  removedManifests: Digest[];
  /** What kept tags once pointed at and is removed. */
  removedHistory: { tag: string; digest: Digest }[];
  /** Links to configs and layers that no kept manifest names. */
  removedLayerLinks: Digest[];
  /** Every blob that the repository still needs. */
  keptBlobs: Digest[];
  /** Tags whose times are not reliable and that therefore did not count in any decision. */
  doubts: Partial<Record<Doubt, number>>;
}

/** What a plan must not touch. */
export interface LeftAlone {
  /** Repositories from which nothing is removed, with the reason. */
  repositories: ReadonlyMap<string, string>;
  /** Blobs that some of these need: whatever names them in other repositories stays. */
  blobs: ReadonlySet<Digest>;
  /** Manifests of each repository that stay even without a tag, because they may belong to a push in progress. @default none */
  manifests?: ReadonlyMap<string, ReadonlySet<Digest>>;
}

const NOTHING_LEFT_ALONE: LeftAlone = { repositories: new Map(), blobs: new Set() };

export interface TagDecision {
  tag: string;
  reason: string;
}

/**
 * Decides what a registry keeps: in each repository the tags selected by its rule, everything they lead to, everything that
 * refers to any of that (`subject`), and the fallback tags of everything kept. The rest is removed. What is in use is kept with
 * its tags, whatever the rule says, and so are the reports of what is in use, except those that have been replaced.
 *
 * The result is closed: nothing that is kept names anything that is removed.
 *
 * @param now milliseconds since the epoch
 * @param inUse what stays because it is in use
 */
export const planRetention = (
  graphs: RepositoryGraph[],
  policy: RetentionPolicy,
  now: number,
  leftAlone: LeftAlone = NOTHING_LEFT_ALONE,
  inUse: InUse = NOTHING_IN_USE,
): RepositoryPlan[] => {
  const keepers = graphs.map((graph) => new RepositoryKeeper(graph, policy, now, leftAlone, inUse));
  const present = new Set(graphs.flatMap(subjectsIn));
  // A kept signature may itself have signatures, also in another repository: repeat until nothing more is kept.
  let kept = -1;
  for (let before = -2; kept > before; ) {
    before = kept;
    const keys = new Set(keepers.flatMap(({ manifests }) => [...manifests]).map(fallbackTag));
    for (const keeper of keepers) keeper.keepFallbackTags(keys, present);
    kept = keepers.reduce((sum, { manifests, tags }) => sum + manifests.size + tags.size, 0);
  }
  return keepers.map((keeper) => keeper.plan());
};

class RepositoryKeeper {
  readonly #graph: RepositoryGraph;
  readonly manifests = new Set<Digest>();
  /** Kept tags, with the reason. */
  readonly tags = new Map<string, string>();
  readonly #rule: RetentionRule | undefined;
  /** Tags with referrers of a digest, by the key of that digest. */
  readonly #fallbackTags = new Map<string, string>();
  readonly #present: ReadonlySet<string>;
  readonly #referrers = new Map<Digest, Digest[]>();
  /** Whether nothing is removed. */
  readonly #everything: boolean;
  readonly #youngLayerLinks = new Set<Digest>();
  readonly #ages: ReadonlyMap<string, TagAge>;

  constructor(graph: RepositoryGraph, policy: RetentionPolicy, now: number, leftAlone: LeftAlone, inUse: InUse) {
    this.#graph = graph;

    const holdsReports = graph.name === IN_USE_REPOSITORY;
    this.#present = new Set(subjectsIn(graph));
    this.#rule = holdsReports
      ? undefined
      : policy.rules.find(({ repositories }) => matchesPattern(repositories, graph.name));
    for (const [digest, { subject }] of graph.manifests) {
      if (subject === null || graph.hidden?.has(digest)) continue;
      const known = this.#referrers.get(subject);
      if (known === undefined) this.#referrers.set(subject, [digest]);
      else known.push(digest);
    }
    this.#ages = this.#rule === undefined ? new Map() : agesOf(graph, this.#rule.order, now);
    const reason = leftAlone.repositories.get(graph.name) ?? (holdsReports ? null : reasonForAll(graph, this.#rule));
    this.#everything = reason !== null;
    if (reason !== null) this.#keepEverything(reason);
    else if (this.#rule !== undefined) this.#keepByRule(this.#rule, policy.protect ?? [], now);
    else for (const tag of graph.tags.keys()) this.#keepTag(tag, "it says what runs");
    this.#keepUsed(inUse);
    this.#keepHolders(leftAlone.blobs);
    for (const digest of leftAlone.manifests?.get(graph.name) ?? []) this.#keep(digest);
  }

  #keepEverything(reason: string): void {
    for (const tag of this.#graph.tags.keys()) this.#keepTag(tag, reason);
    for (const digest of this.#graph.manifests.keys()) this.#keep(digest);
  }

  #keepByRule(rule: RetentionRule, protect: string[], now: number): void {
    const ordinary = new Map<string, TagAge>();
    for (const [tag, age] of this.#ages) {
      const key = fallbackTagIn(tag);
      if (key === null) ordinary.set(tag, age);
      else this.#fallbackTags.set(tag, key);
    }
    const newest = newestOf(ordinary, rule.keepNewest);
    for (const [tag, { pushedAt }] of this.#graph.tags) {
      const doubt = ordinary.get(tag)?.at === null ? (ordinary.get(tag)?.doubt ?? null) : null;
      const reason = reasonToKeep(tag, pushedAt, rule, protect, newest, now) ?? (doubt && reasonOfDoubt(doubt));
      if (reason !== null) this.#keepTag(tag, reason);
    }
    for (const [digest, { linkedAt }] of this.#graph.manifests) {
      if (isYoung(linkedAt, rule.untaggedOlderThanHours, now)) this.#keep(digest);
    }
    if (this.#graph.untagged !== true) return;
    // A push by digest may be incomplete.
    for (const digest of this.#graph.layerLinks.keys()) {
      if (isYoung(this.#graph.layerLinkedAt?.(digest) ?? now, rule.untaggedOlderThanHours, now)) {
        this.#youngLayerLinks.add(digest);
      }
    }
  }

  /** Keeps what is in use, and what leads to it, with its tags. */
  #keepUsed(inUse: InUse): void {
    const used = usedIn(this.#graph, inUse);
    for (const digest of used.keys()) this.#keep(digest);
    for (const [tag, { digest }] of this.#graph.tags) {
      const clusters = used.get(digest);
      if (clusters !== undefined) this.#keepTag(tag, `it runs in ${clusters.join(", ")}`);
    }
  }

  /** Keeps every manifest that names one of the blobs, with its tags. */
  #keepHolders(blobs: ReadonlySet<Digest>): void {
    if (blobs.size === 0) return;
    for (const [digest, { references }] of this.#graph.manifests) {
      if (!blobs.has(digest) && !references.some((each) => blobs.has(each))) continue;
      this.#keep(digest);
      for (const [tag, pushed] of this.#graph.tags) {
        if (pushed.digest === digest) this.#keepTag(tag, "a damaged repository shares its blobs");
      }
    }
  }

  /**
   * Keeps the fallback tags of what is kept here or, if the subject is not here, in another repository; also those of subjects
   * that this registry never had, because whether these are still wanted cannot be determined here.
   */
  keepFallbackTags(keptAnywhere: ReadonlySet<string>, presentAnywhere: ReadonlySet<string>): void {
    const kept = new Set([...this.manifests].map(fallbackTag));
    for (const [tag, key] of this.#fallbackTags) {
      const isKept = this.#present.has(key) ? kept.has(key) : keptAnywhere.has(key);
      if (isKept) this.#keepTag(tag, "its subject stays");
      else if (!presentAnywhere.has(key)) this.#keepTag(tag, "its subject is not in this registry");
    }
  }

  #keepTag(tag: string, reason: string): void {
    const pushed = this.#graph.tags.get(tag);
    if (pushed === undefined || this.tags.has(tag)) return;
    this.tags.set(tag, reason);
    this.#keep(pushed.digest);
  }

  /** Keeps a manifest, everything it leads to, and everything that refers to it. */
  #keep(digest: Digest): void {
    const pending = [digest];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const node = this.#graph.manifests.get(next);
      if (node === undefined || this.manifests.has(next)) continue;
      this.manifests.add(next);
      pending.push(...node.references, ...(this.#referrers.get(next) ?? []));
      if (node.subject !== null) pending.push(node.subject);
    }
  }

  plan(): RepositoryPlan {
    const { name, tags, manifests, layerLinks } = this.#graph;
    const needed = new Set(
      [...this.manifests].flatMap((digest) => [digest, ...(manifests.get(digest)?.references ?? [])]),
    );
    const removedManifests = this.#everything ? [] : this.#inOrderOfRemoval();
    const gone = new Set(removedManifests);
    const removedLayerLinks = this.#everything
      ? []
      : [...layerLinks.keys()].filter((digest) => !needed.has(digest) && !this.#youngLayerLinks.has(digest)).sort();
    return {
      name,
      keptTags: [...this.tags].map(([tag, reason]) => ({ tag, reason })).sort(byTag),
      removedTags: [...tags.keys()]
        .filter((tag) => !this.tags.has(tag))
        .map((tag) => ({ tag, reason: this.#reasonToRemove(tag) }))
        .sort(byTag),
      keptManifests: [...this.manifests].sort(),
      removedManifests,
      removedHistory: [...this.tags.keys()].flatMap((tag) =>
        (tags.get(tag)?.history ?? []).filter((digest) => gone.has(digest)).map((digest) => ({ tag, digest })),
      ),
      removedLayerLinks,
      doubts: this.#doubts(),
      keptBlobs: [...needed].map((digest) => layerLinks.get(digest) ?? digest),
    };
  }

  #doubts(): RepositoryPlan["doubts"] {
    const counts: RepositoryPlan["doubts"] = {};
    if (this.#everything) return counts;
    for (const { doubt } of this.#ages.values()) if (doubt !== null) counts[doubt] = (counts[doubt] ?? 0) + 1;
    return counts;
  }

  #reasonToRemove(tag: string): string {
    return this.#fallbackTags.has(tag) ? "its subject goes" : `older than the newest ${this.#rule?.keepNewest}`;
  }

  #inOrderOfRemoval(): Digest[] {
    const { manifests } = this.#graph;
    const done = new Set<Digest>([...this.manifests, ...(this.#graph.hidden ?? [])]);
    const order: Digest[] = [];
    const visit = (digest: Digest): void => {
      const node = manifests.get(digest);
      if (node === undefined || done.has(digest)) return;
      done.add(digest);
      for (const reference of node.references) visit(reference);
      order.push(digest);
    };
    for (const digest of [...manifests.keys()].sort()) visit(digest);
    return order.reverse();
  }
}

/** The fallback tags of everything that is here, or was when a clean-up began. */
const subjectsIn = ({ manifests, hidden, removed = new Set() }: RepositoryGraph): string[] =>
  [...manifests.keys(), ...removed].filter((digest) => !hidden?.has(digest)).map(fallbackTag);

const reasonToKeep = (
  tag: string,
  pushedAt: number,
  rule: RetentionRule,
  protect: string[],
  newest: ReadonlySet<string>,
  now: number,
): string | null => {
  const protecting = protect.find((pattern) => matchesPattern(pattern, tag));
  if (protecting !== undefined) return `protected by ${protecting}`;
  const keeping = rule.keep?.find((pattern) => matchesPattern(pattern, tag));
  if (keeping !== undefined) return `kept by ${keeping}`;
  if (newest.has(tag)) return `among the newest ${rule.keepNewest}`;
  return isYoung(pushedAt, rule.keepYoungerThanHours, now) ? `younger than ${rule.keepYoungerThanHours} hours` : null;
};

const isYoung = (since: number, hours: number | undefined, now: number): boolean =>
  hours !== undefined && since > now - hours * 3_600_000;

/**
 * The newest `count` tags, and any others as old as the last of them: after a copy their order is unknown. Tags of unknown age
 * are not counted.
 */
const newestOf = (tags: ReadonlyMap<string, TagAge>, count: number): Set<string> => {
  const known = [...tags].flatMap(([tag, { at }]) => (at === null ? [] : [{ tag, at }]));
  const last = known.map(({ at }) => at).sort((a, b) => b - a)[count - 1] ?? Number.NEGATIVE_INFINITY;
  return new Set(known.filter(({ at }) => at >= last).map(({ tag }) => tag));
};

/** Why nothing is removed from a repository, whatever its tags are; null if its rule decides. */
const reasonForAll = ({ untagged }: RepositoryGraph, rule: RetentionRule | undefined): string | null => {
  if (rule === undefined) return "no rule is for this repository";
  return untagged === true && rule.untaggedOlderThanHours === undefined ? "it was never tagged" : null;
};

const byTag = (left: TagDecision, right: TagDecision): number => compareText(left.tag, right.tag);
