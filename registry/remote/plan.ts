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
  /** Only these, listed or not. @default all that the catalog lists */
  repositories?: readonly string[];
  /** Manifests of each repository that may have lost their tags to a run that was ended early. @default none */
  orphans?: ReadonlyMap<string, ReadonlySet<Digest>>;
  /** @default the registry has no listing of its own */
  listing?: PackageListing;
}

/** What becomes of one repository, with what it was worked out from. */
export interface PlannedRepository {
  remote: RemoteRepository;
  look: RepositoryState;
  graph: RepositoryGraph;
  plan: RepositoryPlan;
}

export interface RemotePlan {
  repositories: PlannedRepository[];
  /** Repositories of which nothing goes, with the reason. */
  skipped: ReadonlyMap<string, string>;
  /** Whether the registry tells what no tag leads to. */
  untagged: Untagged;
  /** What clusters say runs in them. */
  reports: FoundReport[];
}

/** "hidden": the registry has no such list; "refused": it has one that is not shown to this account. */
export type Untagged = "listed" | "hidden" | "refused";

/**
 * How long a manifest stays that only the registry's own listing knows, where the rule says nothing: what no tag leads to
 * may be the beginning of a push, and nobody stops the pushes here.
 */
const UNFINISHED_PUSH_HOURS = 24;

/**
 * Plans what a registry keeps and what goes, as far as it tells over HTTP.
 *
 * @throws RegistryError when the registry as a whole cannot be asked
 * @throws StorageRefusal `policy` where it asks for what the registry does not tell, `in-use` where what runs is not known
 */
export const planRemote = async (client: RegistryClient, options: RemotePlanOptions): Promise<RemotePlan> => {
  await client.ping();
  const { policy, repositories = [], listing } = options;
  const reports = await servedReports(client, policy.protectInUse?.clusters ?? [], options.now);
  const inUse = protectedInUse(policy, reports, options.now);
  const names = repositories.length > 0 ? [...new Set(repositories)] : await catalog(client);
  const referrers = new ReferrersApi(client);
  const skipped = new Map<string, string>();
  // Before the tags: what is pushed meanwhile has a tag by then, and is no orphan.
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

/** What the registry's own listing holds: of all repositories, or it does not count. */
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
  const { names, fault } = await readListing("repositories", isRepository, (next) => client.catalog(next));
  if (fault === null) return names;
  throw (
    client.unusable ??
    catalogRefused(client.url.host, fault) ??
    new RegistryError(
      "unreachable",
      `the catalog of ${client.url.host} cannot be read: ${fault.detail}`,
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
 * Reads all that tags lead to, and what may have no tag.
 *
 * @returns why nothing of the repository may go; null where all of it was read
 */
const readAll = async (
  remote: RemoteRepository,
  look: RepositoryState,
  untagged: readonly Digest[],
): Promise<string | null> => {
  await remote.readBelow(look.tags.values());
  const advice = "warden verify tells more";
  for (const [tag, { detail }] of look.unread) return `the tag ${tag} ${detail}: ${advice}`;
  for (const [digest, { detail }] of remote.faults) return `${digest} ${detail}: ${advice}`;
  await remote.readBelow(untagged);
  // Without a tag it may be gone, or lack its parts.
  for (const [digest, { reason, detail }] of remote.faults) {
    if (reason !== "missing") return `${digest} ${detail}: ${advice}`;
  }
  return null;
};

/** What was read, as the planner takes it. Times are those of the listing, else those of the images. */
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
    layerLinks: new Map(),
    unlinked: new Set(),
    ...(byDate && { createdAt: (digest: Digest) => dates.get(digest) ?? null }),
  };
};

/** The client lets so many through anyway. */
const CONFIGS_AT_ONCE = 8;

/** When a manifest was last pushed by itself or with a tag that leads to it. */
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

/** What only the listing knows and may be the beginning of a push; where nothing is tagged, all of it. */
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

/** Manifests with all below them, all that refers to any of these and what they refer to, as far as it was read. */
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

/** The policy with what the registry does not tell left out. */
const asFarAsKnown = (policy: RetentionPolicy, listed: boolean): RetentionPolicy =>
  listed ? policy : { ...policy, rules: policy.rules.map((rule) => ({ ...rule, order: "created" })) };

const pushesUnknown = ({ host }: URL, repository: string): StorageRefusal =>
  new StorageRefusal(
    "policy",
    `${host} does not tell when the tags of ${repository} were pushed`,
    "leave out the order, or give --order created: the images' own dates decide then",
  );
