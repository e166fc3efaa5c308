import type { RetentionPolicy } from "../../site/retention";
import { compareText } from "../../text/compare-text";
import { type FoundReport, type InUse, inUseOf } from "../in-use/protection";
import type { Digest } from "../oci/digest";
import { damageIn, markedBy, neededBy, refuseCollected, refuseDamage } from "./damage";
import { Unreadable } from "./disk";
import type { Finding } from "./finding";
import { Folder, within } from "./folder";
import { readBlobFolder } from "./foreign";
import { digestInterner, type RepositoryGraph, readGraph } from "./graph";
import { dropCollectedJournals, Journal } from "./journal";
import type { StorageLayout } from "./layout";
import { notItsOwn } from "./left-alone";
import { type Lock, lockFolder } from "./lock";
import { StoreReader } from "./reader";
import { StorageRefusal } from "./refusal";
import { garbageOf, refuseOtherMounts, removalsOf, remove } from "./removal";
import { planRetention, type RepositoryPlan } from "./retention";
import { scan } from "./scan";
import { oneStore, roleOf } from "./store";
import { storedReports } from "./stored-reports";
import type { Doubt } from "./tag-age";
import { protectedInUse, usedIn } from "./used";

/** A plan for a registry, regardless of how the registry was read. */
export interface RetentionReport {
  policy: RetentionPolicy;
  applied: boolean;
  /** The tags that stay. */
  kept: TagOfRepository[];
  /** Repositories that are left alone, with the reason. */
  skipped: { repository: string; reason: string }[];
  /** Tags whose push time is unknown, and that therefore did not count in any decision. */
  doubts: { repository: string; doubt: Doubt; tags: number }[];
  /** What is in use according to the clusters' reports in the registry. */
  inUse: {
    /** By cluster. */
    reports: ClusterInUse[];
    /** What goes although it is in use, because nothing protects it. */
    removed: RemovedInUse[];
  };
}

export interface PruneReport extends RetentionReport {
  root: string;
  keep: { tags: number; manifests: number; blobs: number; bytes: number };
  remove: {
    tags: TagOfRepository[];
    manifests: { repository: string; digest: Digest }[];
    /** Blobs that the registry's garbage collection will free, including existing garbage. */
    blobs: number;
    bytes: number;
  };
  /** Paths of entries in the store that stop the registry's garbage collection, or that are not followed. */
  foreign: string[];
  /** The folder with the removed links, until the garbage collection has run; null if nothing was removed. */
  journal: string | null;
}

export interface ClusterInUse {
  cluster: string;
  /** When the cluster was queried: ISO 8601, UTC; null if its report is unusable. */
  time: string | null;
  digests: number;
  /** Whether the policy protects what runs there. */
  protected: boolean;
  /** Why the report is unusable; null if it is usable. */
  problem: string | null;
}

export interface RemovedInUse {
  repository: string;
  digest: Digest;
  clusters: readonly string[];
}

export interface TagOfRepository {
  repository: string;
  tag: string;
  reason: string;
}

/** What a registry keeps, worked out from the contents of its store. */
interface Prune {
  layout: StorageLayout;
  /** In the order of the plans. */
  graphs: RepositoryGraph[];
  plans: RepositoryPlan[];
  report: PruneReport;
}

/**
 * Plans what a store keeps and what goes. Nothing is changed.
 *
 * @param now milliseconds since the epoch
 * @throws StorageRefusal when there is no store of a private registry, or it is damaged
 */
export const planPrune = async (root: string, policy: RetentionPolicy, now: number): Promise<PruneReport> =>
  (await plan(root, policy, now)).report;

/**
 * Carries out the plan. It may be interrupted at any time: each removal is a single rename, no manifest goes before those
 * that name it, and running it again completes the work. Only links are removed: the blobs are left to the registry's own
 * garbage collection, and until that runs, everything can be restored from the journal.
 *
 * @param requireQuiet throws a StorageRefusal when something may write to the store; called before each batch, with an
 *   existing repository
 * @throws StorageRefusal as planPrune, and when the store is locked, is not writable, or something may write to it
 */
export const applyPrune = async (
  root: string,
  policy: RetentionPolicy,
  now: number,
  requireQuiet: (layout: StorageLayout, repository: string) => Promise<void>,
): Promise<PruneReport> => {
  const store = privateStore(root);
  const repository = aRepository(store);
  await requireQuiet(store, repository);
  return locked(root, policy, now, store, () => requireQuiet(store, repository));
};

const locked = async (
  root: string,
  policy: RetentionPolicy,
  now: number,
  store: StorageLayout,
  requireQuiet: () => Promise<void>,
): Promise<PruneReport> => {
  const lock = await lockStore(store);
  try {
    const { layout, graphs, plans, report } = await plan(root, policy, now);
    const hasData = (digest: Digest) => new StoreReader(layout).sizeNow(digest) !== null;
    const removals = removalsOf(layout, graphs, plans);
    dropCollectedJournals(layout, hasData);
    if (removals.length === 0) {
      const unfinished = Journal.unfinished(layout);
      unfinished?.complete();
      return { ...report, applied: true, journal: unfinished?.folder ?? null };
    }
    refuseOtherMounts(layout, removals);
    const journal = Journal.begin(layout, now, report, garbageOf(graphs, plans, hasData));
    try {
      for (let done = 0; done < removals.length; done += BATCH) {
        lock.check();
        await requireQuiet();
        remove(layout, removals.slice(done, done + BATCH), journal);
      }
      journal.complete();
    } finally {
      journal.close();
    }
    return { ...report, applied: true, journal: journal.folder };
  } finally {
    await lock.release();
  }
};

/** Removals between two checks that the registry is quiet; takes some milliseconds. */
const BATCH = 100;

const plan = async (root: string, policy: RetentionPolicy, now: number): Promise<Prune> => {
  const layout = privateStore(root);
  const reports = storedReports(new StoreReader(layout), policy.protectInUse?.clusters ?? [], now);
  const inUse = protectedInUse(policy, reports, now);
  const { findings, unreadable } = await scan(layout.root, { role: "private" });
  if (unreadable[0] !== undefined) throw new Unreadable(unreadable[0]);
  const reader = new StoreReader(layout);
  const intern = digestInterner();
  const graphs = [...reader.repositories()]
    .map((repository) => readGraph(reader, repository, intern))
    .sort((a, b) => compareText(a.name, b.name));
  const { plans, skipped, damaged } = planAround(root, reader, findings, graphs, { policy, now, inUse });
  refuseCollected(
    graphs,
    plans.filter(({ name }) => !damaged.has(name)),
  );
  const report = describe(root, policy, reader, plans, skipped, findings);
  return { layout, graphs, plans, report: { ...report, inUse: describeInUse(policy, reports, graphs, plans) } };
};

/** The input of a plan. */
interface Wanted {
  policy: RetentionPolicy;
  now: number;
  inUse: InUse;
}

/**
 * Plans while leaving alone what must not be touched: repositories that share folders, and damaged ones, together with
 * everything that shares their blobs, so that the collection removes none of it.
 *
 * @throws StorageRefusal `damaged` if the collection would remove some of it nevertheless
 */
const planAround = (
  root: string,
  reader: StoreReader,
  findings: Finding[],
  graphs: RepositoryGraph[],
  { policy, now, inUse }: Wanted,
): { plans: RepositoryPlan[]; skipped: ReadonlyMap<string, string>; damaged: ReadonlySet<string> } => {
  const skipped = notItsOwn(reader, findings);
  const damaged = new Set<string>();
  let blobs: ReadonlySet<Digest> = new Set();
  for (;;) {
    const plans = planRetention(graphs, policy, now, { repositories: skipped, blobs }, inUse);
    const damage = damageIn(findings, plans);
    const fresh = damage.filter(({ repository }) => repository !== null && !damaged.has(repository));
    for (const { repository, kind } of fresh) {
      damaged.add(repository ?? "");
      skipped.set(repository ?? "", `it is damaged (${kind}): warden diagnose tells what to do`);
    }
    const held = neededBy(
      reader,
      graphs.filter(({ name }) => damaged.has(name)),
    );
    if (fresh.length > 0 || held.size > blobs.size) {
      blobs = held;
      continue;
    }
    const marked = markedBy(reader, graphs, plans);
    if ([...held].some((digest) => !marked.has(digest)) || damage.some(({ repository }) => repository === null)) {
      refuseDamage(root, damage);
    }
    return { plans, skipped, damaged };
  }
};

const privateStore = (root: string): StorageLayout => {
  const store = oneStore(root);
  if (roleOf(store) === "proxy") {
    throw new StorageRefusal(
      "proxy",
      `${root} belongs to a pull-through cache`,
      "leave it to the cache, which removes what was not asked for in a week",
    );
  }
  return store.layout;
};

/** Any of its repositories; for an empty store an arbitrary name. */
const aRepository = (layout: StorageLayout): string => {
  const [first] = new StoreReader(layout).repositories();
  return first?.name ?? "warden";
};

/** Only one warden at a time may change a store. */
export const lockStore = async (layout: StorageLayout): Promise<Lock> => {
  Folder.make(layout, layout.warden).close();
  const lock = await lockFolder(layout.warden);
  return {
    check: () => lock.check(),
    async release() {
      await lock.release();
      // Stays if it contains a journal.
      within(Folder.root(layout), (root) => root.removeEmpty(layout.warden.slice(layout.root.length + 1)));
    },
  };
};

const describe = (
  root: string,
  policy: RetentionPolicy,
  reader: StoreReader,
  plans: RepositoryPlan[],
  skipped: ReadonlyMap<string, string>,
  findings: Finding[],
): Omit<PruneReport, "inUse"> => {
  const needed = new Set(plans.flatMap(({ keptBlobs }) => keptBlobs));
  const keep = { blobs: 0, bytes: 0 };
  const remove = { blobs: 0, bytes: 0 };
  for (const folder of reader.blobFolders()) {
    for (const digest of readBlobFolder(reader, folder).blobs) {
      const size = reader.blobSize(digest);
      if (size === null) continue;
      const side = needed.has(digest) ? keep : remove;
      side.blobs++;
      side.bytes += size;
    }
  }
  const kept = keptTagsOf(plans);
  return {
    root,
    policy,
    keep: {
      tags: kept.length,
      manifests: plans.reduce((sum, { keptManifests }) => sum + keptManifests.length, 0),
      ...keep,
    },
    remove: {
      tags: plans.flatMap(({ name, removedTags }) => removedTags.map((tag) => ({ repository: name, ...tag }))),
      manifests: plans.flatMap(({ name, removedManifests }) =>
        removedManifests.toSorted().map((digest) => ({ repository: name, digest })),
      ),
      ...remove,
    },
    applied: false,
    kept,
    skipped: describeSkipped(skipped),
    doubts: describeDoubts(plans),
    foreign: findings.flatMap(({ path }) => path ?? []),
    journal: null,
  };
};

export const keptTagsOf = (plans: readonly RepositoryPlan[]): TagOfRepository[] =>
  plans.flatMap(({ name, keptTags }) => keptTags.map((tag) => ({ repository: name, ...tag })));

/** Sorted by repository. */
export const describeSkipped = (skipped: ReadonlyMap<string, string>): RetentionReport["skipped"] =>
  [...skipped]
    .map(([repository, reason]) => ({ repository, reason }))
    .sort((a, b) => compareText(a.repository, b.repository));

export const describeDoubts = (plans: readonly RepositoryPlan[]): RetentionReport["doubts"] =>
  plans.flatMap(({ name, doubts }) =>
    Object.entries(doubts).map(([doubt, tags]) => ({ repository: name, doubt: doubt as Doubt, tags })),
  );

/** The clusters' reports, and what goes although it is in use. @param graphs in the order of the plans */
export const describeInUse = (
  { protectInUse }: RetentionPolicy,
  reports: readonly FoundReport[],
  graphs: readonly RepositoryGraph[],
  plans: readonly RepositoryPlan[],
): RetentionReport["inUse"] => {
  const inUse = inUseOf(reports);
  return {
    reports: reports.map(({ cluster, report, problem }) => ({
      cluster,
      time: report === null ? null : new Date(report.time).toISOString(),
      digests: report?.digests.length ?? 0,
      protected: protectInUse?.clusters.includes(cluster) ?? false,
      problem,
    })),
    removed: plans.flatMap(({ name, removedManifests }, at) => {
      const used = usedIn(graphs[at] as RepositoryGraph, inUse);
      return removedManifests.toSorted().flatMap((digest) => {
        const clusters = used.get(digest);
        return clusters === undefined ? [] : [{ repository: name, digest, clusters }];
      });
    }),
  };
};
