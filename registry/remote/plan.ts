import type { RetentionPolicy, RetentionRule } from "../../site/retention";
import { compareText } from "../../text/compare-text";
import type { FoundReport } from "../in-use/protection";
import { servedReports } from "../in-use/served-reports";
import type { RegistryClient } from "../oci/client";
import type { Digest } from "../oci/digest";
import { drain } from "../oci/drain";
import { RegistryError } from "../oci/errors";
import { readListing } from "../oci/listing";
import { isRepository } from "../oci/reference";
import { ReferrersApi } from "../oci/referrers";
import { catalogRefused } from "../oci/walk";
import type { LinkedManifest, RepositoryGraph, Tag } from "../storage/graph";
import { matchesPattern } from "../storage/policy";
import { StorageRefusal } from "../storage/refusal";
import { planRetention, type RepositoryPlan } from "../storage/retention";
import { protectedInUse } from "../storage/used";
import type { Listed, PackageListing } from "./package-listing";
import { RemoteRepository, type RepositoryState, Unlisted } from "./repository";

export interface RemotePlanOptions {
  policy: RetentionPolicy;
  /** Milliseconds since the epoch. */
  now: number;
  /** Only these, even if the catalog does not list them. @default all in the catalog */
  repositories?: readonly string[];
  /** Manifests of each repository that may have lost their tags to an interrupted run. @default none */
  orphans?: ReadonlyMap<string, ReadonlySet<Digest>>;
  /** @default the registry has no listing of its own */
  listing?: PackageListing;
}

/** The plan for one repository, with its input. */
export interface PlannedRepository {
  remote: RemoteRepository;
  look: RepositoryState;
  graph: RepositoryGraph;
  plan: RepositoryPlan;
}

export interface RemotePlan {
  repositories: PlannedRepository[];
  /** Repositories from which nothing is removed, with the reason. */
  skipped: ReadonlyMap<string, string>;
  /** Whether the registry lists manifests without tags. */
  untagged: Untagged;
  /** What the clusters report as in use. */
  reports: FoundReport[];
}

/** "hidden": the registry has no such listing; "refused": it has one, but denies this account access. */
export type Untagged = "listed" | "hidden" | "refused";

/**
 * How long a manifest stays that is only in the registry's own listing, if the rule does not say: a manifest without tags may
 * belong to a push in progress, and pushes are not stopped here.
 */
const UNFINISHED_PUSH_HOURS = 24;

/**
 * Plans what a registry keeps and what goes, as far as HTTP reveals it.
 *
 * @throws RegistryError when the registry as a whole is unavailable
 * @throws StorageRefusal `policy` if it requires what the registry does not reveal, `in-use` if it is not known what is in use
 */
export const planRemote = async (client: RegistryClient, options: RemotePlanOptions): Promise<RemotePlan> => {
  await client.ping();
  const { policy, repositories = [], listing } = options;
  const reports = await servedReports(client, policy.protectInUse?.clusters ?? [], options.now);
  const inUse = protectedInUse(policy, reports, options.now);
  const names = repositories.length > 0 ? [...new Set(repositories)] : await catalog(client);
  const referrers = new ReferrersApi(client);
  const skipped = new Map<string, string>();
  // Before the tags: what is pushed in the meantime then has a tag, and is not an orphan.
  const { untagged, listed } = await listingOf(names, listing);
  const manifests = new Map<string, ReadonlySet<Digest>>();
  const read: { remote: RemoteRepository; look: RepositoryState; graph: RepositoryGraph }[] = [];
  await drain(names.toReversed(), client.concurrency, async (name) => {
    const rule = policy.rules.find(({ repositories: pattern }) => matchesPattern(pattern, name));
    if (rule?.order === "pushed" && untagged !== "listed") throw pushesUnknown(client.url, name);
    const remote = new RemoteRepository(client, referrers, name);
    const known = listed.get(name) ?? null;
    const look = await lookAt(remote, skipped);
    const orphans = options.orphans?.get(name) ?? new Set();
    if (rule !== undefined && !skipped.has(name)) {
      const reason = await readAll(remote, look, [...(known?.digests.keys() ?? []), ...orphans]);
      const isUntagged = look.tags.size === 0 && (known === null || rule.untaggedOlderThanHours === undefined);
      if (reason !== null) skipped.set(name, reason);
      else if (isUntagged && orphans.size === 0) skipped.set(name, "no tag is in it");
    }
    if (rule?.untaggedOlderThanHours === undefined) {
      manifests.set(name, new Set(unfinished(remote, look, known, orphans, options.now)));
    }
    read.push({
      remote,
      look,
      graph: { ...(await graphOf(remote, look, known, rule, options.now)), removed: orphans },
    });
  });
  read.sort((a, b) => compareText(a.graph.name, b.graph.name));
  const plans = planRetention(
    read.map(({ graph }) => graph),
    asFarAsKnown(policy, untagged === "listed"),
    options.now,
    { repositories: skipped, blobs: new Set(), manifests },
    inUse,
  );
  return {
    repositories: read.map((each, at) => ({ ...each, plan: plans[at] as RepositoryPlan })),
    skipped,
    untagged,
    reports,
  };
};

/** The registry's own listing, provided that it covers all repositories. */
const listingOf = async (
  names: readonly string[],
  listing: PackageListing | undefined,
): Promise<{ untagged: Untagged; listed: ReadonlyMap<string, Listed> }> => {
  const listed = new Map<string, Listed>();
  for (const name of names) {
    const answer = (await listing?.of(name)) ?? null;
    if (answer === null) return { untagged: "hidden", listed: new Map() };
    if (answer === "refused") return { untagged: "refused", listed: new Map() };
    listed.set(name, answer);
  }
  return { untagged: names.length === 0 ? "hidden" : "listed", listed };
};

const catalog = async (client: RegistryClient): Promise<string[]> => {
  const { names, failure } = await readListing("repositories", isRepository, (next) => client.catalog(next));
  if (failure === null) return names;
  throw (
    client.unusable ??
    catalogRefused(client.url.host, failure) ??
    new RegistryError(
      "unreachable",
      `the catalog of ${client.url.host} cannot be read: ${failure.detail}`,
      "run it again",
    )
  );
};

const lookAt = async (remote: RemoteRepository, skipped: Map<string, string>): Promise<RepositoryState> => {
  try {
    return await remote.look();
  } catch (error) {
    if (!(error instanceof Unlisted)) throw error;
    skipped.set(remote.name, error.message);
    return { tags: new Map(), unread: new Map() };
  }
};

/**
 * Reads everything that tags lead to, and what may have no tag.
 *
 * @returns why nothing may be removed from the repository; null if all of it was read
 */
const readAll = async (
  remote: RemoteRepository,
  look: RepositoryState,
  untagged: readonly Digest[],
): Promise<string | null> => {
  await remote.readBelow(look.tags.values());
  const advice = "warden verify tells more";
  for (const [tag, { detail }] of look.unread) return `the tag ${tag} ${detail}: ${advice}`;
  for (const [digest, { detail }] of remote.failures) return `${digest} ${detail}: ${advice}`;
  await remote.readBelow(untagged);
  await remote.readSubjects();
  // Without a tag it may be gone, or lack its parts.
  for (const [digest, { reason, detail }] of remote.failures) {
    if (reason !== "missing") return `${digest} ${detail}: ${advice}`;
  }
  return null;
};

/** The repository's contents in the planner's form. Times are those of the listing or, without one, of the images. */
const graphOf = async (
  remote: RemoteRepository,
  look: RepositoryState,
  listed: Listed | null,
  rule: RetentionRule | undefined,
  now: number,
): Promise<RepositoryGraph> => {
  const byDate = listed === null || rule?.order === "created";
  const dates = new Map<Digest, number | null>();
  if (byDate) {
    const pending = [...new Set(look.tags.values())];
    await drain(pending, CONFIGS_AT_ONCE, async (digest) => {
      dates.set(digest, await remote.created(digest));
    });
  }
  const tags = new Map<string, Tag>();
  for (const [tag, digest] of look.tags) {
    const pushedAt = listed === null ? (dates.get(digest) ?? 0) : (listed.tags.get(tag) ?? now);
    tags.set(tag, { digest, pushedAt, history: [] });
  }
  const times = lastUse(remote, tags, listed);
  const manifests = new Map<Digest, LinkedManifest>();
  for (const [digest, { references, subject }] of remote.manifests) {
    manifests.set(digest, { linkedAt: times.get(digest) ?? 0, references, subject });
  }
  return {
    name: remote.name,
    tags,
    manifests,
    hidden: remote.hidden,
    layerLinks: new Map(),
    unlinked: new Set(),
    ...(byDate && { createdAt: (digest: Digest) => dates.get(digest) ?? null }),
  };
};

/** The client admits no more anyway. */
const CONFIGS_AT_ONCE = 8;

/** When a manifest was last pushed, directly or with a tag that leads to it. */
const lastUse = (
  remote: RemoteRepository,
  tags: ReadonlyMap<string, Tag>,
  listed: Listed | null,
): Map<Digest, number> => {
  const times = new Map(listed?.digests ?? []);
  for (const { digest, pushedAt } of tags.values()) {
    for (const each of closure(remote, [digest])) times.set(each, Math.max(pushedAt, times.get(each) ?? 0));
  }
  return times;
};

/** Manifests that only the listing has and that may belong to a push in progress; if nothing is tagged, all of them. */
const unfinished = (
  remote: RemoteRepository,
  { tags }: RepositoryState,
  listed: Listed | null,
  orphans: ReadonlySet<Digest>,
  now: number,
): Digest[] => {
  const tagged = closure(remote, tags.values());
  const since = tags.size === 0 ? Number.NEGATIVE_INFINITY : now - UNFINISHED_PUSH_HOURS * 3_600_000;
  return [...(listed?.digests ?? [])].flatMap(([digest, at]) =>
    at > since && !tagged.has(digest) && !orphans.has(digest) ? [digest] : [],
  );
};

/** Manifests with everything below them, all referrers of any of these, and what those refer to, as far as it was read. */
export const closure = (remote: RemoteRepository, digests: Iterable<Digest>): Set<Digest> => {
  const found = new Set<Digest>();
  const pending = [...digests];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const node = remote.manifests.get(next);
    if (node === undefined || found.has(next)) continue;
    found.add(next);
    pending.push(...node.children, ...remote.referrersOf(next));
    if (node.subject !== null) pending.push(node.subject);
  }
  return found;
};

/** The policy without the parts that depend on what the registry does not reveal. */
const asFarAsKnown = (policy: RetentionPolicy, listed: boolean): RetentionPolicy =>
  listed ? policy : { ...policy, rules: policy.rules.map((rule) => ({ ...rule, order: "created" })) };

const pushesUnknown = ({ host }: URL, repository: string): StorageRefusal =>
  new StorageRefusal(
    "policy",
    `${host} does not tell when the tags of ${repository} were pushed`,
    "leave out the order, or give --order created: the images' own dates decide then",
  );
