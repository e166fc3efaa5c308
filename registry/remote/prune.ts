import { setTimeout as sleep } from "node:timers/promises";
import type { RetentionPolicy } from "../../site/retention";
import { compareText } from "../../text/compare-text";
import type { RegistryClient } from "../oci/client";
import type { Digest } from "../oci/digest";
import type { Failure } from "../oci/failure";
import type { RegistryWriter } from "../oci/push";
import {
  describeDoubts,
  describeInUse,
  describeSkipped,
  keptTagsOf,
  type RetentionReport,
  type TagOfRepository,
} from "../storage/prune";
import { walked } from "../storage/repair";
import { RemoteJournal } from "./journal";
import type { PackageListing } from "./package-listing";
import { planRemote, type RemotePlan, type Untagged } from "./plan";
import { type FailedChange, type RemovalRun, RepositoryRemoval, type Spared } from "./removal";

export interface RemotePruneReport extends RetentionReport {
  /** The registry's origin. */
  registry: string;
  /** Whether the registry lists manifests without tags, and push times; if not, the images' creation dates decide. */
  untagged: Untagged;
  keep: { tags: number; manifests: number };
  remove: {
    tags: RemovedTag[];
    manifests: { repository: string; digest: Digest }[];
    /** What the registry can free, according to the descriptors: an upper limit, as other repositories may share blobs. */
    blobs: number;
    bytes: number;
  };
  /** What stays although the plan names it, with the reason; empty without `applied`. */
  spared: Spared[];
  /** Removals that failed; empty without `applied`. */
  problems: FailedChange[];
  /** What is broken afterwards in the repositories with removals; empty without `applied`. */
  remaining: Failure[];
  /** The folder with everything that was removed; null if nothing was. */
  journal: string | null;
}

/** Whether everything to be removed is gone or needed again, and what is left is intact. */
export const isDone = ({ problems, remaining }: Pick<RemotePruneReport, "problems" | "remaining">): boolean =>
  problems.length + remaining.length === 0;

export interface RemovedTag extends TagOfRepository {
  /** "tag": its manifest stays, so it can be removed only if the registry can delete a single tag. */
  by: "digest" | "tag";
}

export interface RemotePruneOptions {
  policy: RetentionPolicy;
  /** Milliseconds since the epoch. */
  now: number;
  /** Only these, even if the catalog does not list them. @default all in the catalog */
  repositories?: readonly string[];
  listing: PackageListing;
  /** The folder of the journals. */
  journals: string;
}

export interface RemoteApplyOptions extends RemotePruneOptions {
  writer: RegistryWriter;
  /** Receives the plan before any of it is carried out. @default none */
  onPlan?: (report: RemotePruneReport) => void;
  /**
   * How long to wait before the final check, in milliseconds: a push whose parts the registry had checked before some of them
   * were removed has written its tag by then. @default 3000
   */
  settle?: number;
}

/** Plans what a registry keeps and what goes, over HTTP. Nothing is changed. @throws as planRemote */
export const planRemotePrune = async (
  client: RegistryClient,
  options: RemotePruneOptions,
): Promise<RemotePruneReport> => {
  const orphans = RemoteJournal.orphans(options.journals, client.url);
  return describe(client, options.policy, await planRemote(client, { ...options, orphans }));
};

/**
 * Carries out the plan, while others may push. It may be interrupted at any time: no manifest is removed before those that name
 * it, each is in the journal before its removal, and running it again completes the work.
 *
 * @throws as planRemote; StorageRefusal when the registry does not support deletion, or another run is active
 */
export const applyRemotePrune = async (
  client: RegistryClient,
  options: RemoteApplyOptions,
): Promise<RemotePruneReport> => {
  const journal = await RemoteJournal.open(options.journals, client.url, options.now);
  let hasRemoved = false;
  try {
    const orphans = RemoteJournal.orphans(options.journals, client.url);
    const plan = await planRemote(client, { ...options, orphans });
    const isWhole = [...orphans.keys()].every((name) => isPlanned(plan, name));
    const planned = describe(client, options.policy, plan);
    options.onPlan?.(planned);
    const report = { ...planned, applied: true };
    const changing = plan.repositories.filter(
      ({ plan: { removedTags, removedManifests } }) => removedTags.length + removedManifests.length > 0,
    );
    if (changing.length === 0) {
      if (isWhole) journal.complete();
      return report;
    }
    journal.begin({
      registry: client.url.origin,
      manifests: Object.fromEntries(changing.map(({ remote, plan }) => [remote.name, plan.removedManifests])),
    });
    const holdsBlobs = plan.untagged !== "hidden";
    const run: RemovalRun = { client, writer: options.writer, journal, holdsBlobs, deletesTags: null };
    const removals = changing.map((each) => new RepositoryRemoval(run, each));
    try {
      for (const removal of removals) await removal.apply();
    } finally {
      hasRemoved = removals.some((each) => each.hasRemoved);
    }
    await sleep(options.settle ?? SETTLE);
    for (const removal of removals) await removal.settle();
    const repositories = removals.map(({ name }) => name);
    const { failures } = await walked(client, {
      blobs: "none",
      catalog: false,
      repositories,
      selection: { kind: "all" },
    });
    const problems = removals.flatMap((each) => each.problems);
    if (problems.length === 0 && isWhole) journal.complete();
    const spared = removals.flatMap((each) => each.spared());
    return { ...report, spared, problems, remaining: failures, journal: hasRemoved ? journal.folder : null };
  } finally {
    if (!hasRemoved) journal.discard();
    await journal.close();
  }
};

const SETTLE = 3000;

/** Whether the plan covers all of a repository. */
const isPlanned = ({ repositories, skipped }: RemotePlan, name: string): boolean =>
  !skipped.has(name) && repositories.some(({ remote }) => remote.name === name);

const describe = ({ url }: RegistryClient, policy: RetentionPolicy, plan: RemotePlan): RemotePruneReport => {
  const { repositories, skipped, untagged } = plan;
  const plans = repositories.map((each) => each.plan);
  const kept = keptTagsOf(plans);
  return {
    registry: url.origin,
    policy,
    untagged,
    keep: {
      tags: kept.length,
      manifests: plans.reduce((sum, { keptManifests }) => sum + keptManifests.length, 0),
    },
    remove: {
      tags: repositories.flatMap(({ remote: { name }, look, plan: { removedTags, removedManifests } }) => {
        const gone = new Set(removedManifests);
        return removedTags.map((tag): RemovedTag => {
          const goes = gone.has(look.tags.get(tag.tag) as Digest);
          return { repository: name, ...tag, by: goes ? "digest" : "tag" };
        });
      }),
      manifests: repositories.flatMap(({ remote: { name }, plan: { removedManifests } }) =>
        removedManifests.toSorted(compareText).map((digest) => ({ repository: name, digest })),
      ),
      ...freed(plan),
    },
    applied: false,
    kept,
    skipped: describeSkipped(skipped),
    doubts: describeDoubts(plans),
    inUse: describeInUse(
      policy,
      plan.reports,
      repositories.map(({ graph }) => graph),
      plans,
    ),
    spared: [],
    problems: [],
    remaining: [],
    journal: null,
  };
};

const freed = ({ repositories }: RemotePlan): { blobs: number; bytes: number } => {
  const needed = new Set(repositories.flatMap(({ plan: { keptBlobs } }) => keptBlobs));
  const sizes = new Map<Digest, number>();
  for (const { remote, plan } of repositories) {
    for (const digest of plan.removedManifests) {
      for (const each of [digest, ...(remote.manifests.get(digest)?.references ?? [])]) {
        const size = remote.sizes.get(each);
        if (size !== undefined && !needed.has(each)) sizes.set(each, size);
      }
    }
  }
  return { blobs: sizes.size, bytes: [...sizes.values()].reduce((sum, size) => sum + size, 0) };
};
