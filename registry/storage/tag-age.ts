import type { RetentionRule } from "../../site/retention";
import type { RepositoryGraph, Tag } from "./graph";

/** The age of a tag, as far as known. */
export interface TagAge {
  /** Milliseconds since the epoch, comparable only with other tags of the repository; null if unknown. */
  at: number | null;
  doubt: Doubt | null;
}

/** Why the time of a tag's link does not show when the tag was pushed. */
export type Doubt =
  /** It was written by a copy that did not preserve times: the push was some time before. */
  | "copied"
  /** It is in the future: a clock was or is wrong. */
  | "future"
  /** It is before the image was created. */
  | "before-image"
  /** With `order: "created"`: the image does not say when it was created. */
  | "no-date";

const SECOND = 1000;

/** The clocks of two machines may differ by this much. */
const AHEAD = 300 * SECOND;

/** If a push is this long before its image's creation, its time is wrong; time zones and builders' clocks differ by less. */
const BEFORE_IMAGE = 86_400 * SECOND;

/** Pushes, or copied files, that are this close together form a group. */
const TOGETHER = 60 * SECOND;

/** Consecutive links are copied within this time. */
const COPYING = 0.5 * SECOND;

/** The fraction of neighbors in time that may be out of order: pushes run in parallel, and images are tagged again. */
const STRAYS = 0.2;

/**
 * The ages by which the tags of a repository are compared.
 *
 * @param order by push time, or by creation time of the images
 * @param now milliseconds since the epoch
 */
export const agesOf = (graph: RepositoryGraph, order: RetentionRule["order"], now: number): Map<string, TagAge> =>
  order === "created" ? byCreation(graph) : byPush(graph, now);

const byCreation = (graph: RepositoryGraph): Map<string, TagAge> =>
  new Map(
    [...graph.tags].map(([tag, { digest }]) => {
      const at = graph.createdAt?.(digest) ?? null;
      return [tag, { at, doubt: at === null ? "no-date" : null }];
    }),
  );

const byPush = (graph: RepositoryGraph, now: number): Map<string, TagAge> => {
  const ages = new Map<string, TagAge>();
  const dated: [string, Tag][] = [];
  for (const [tag, pushed] of graph.tags) {
    const created = graph.createdAt?.(pushed.digest) ?? null;
    if (pushed.pushedAt > now + AHEAD) ages.set(tag, { at: null, doubt: "future" });
    else if (created !== null && pushed.pushedAt < created - BEFORE_IMAGE) {
      ages.set(tag, { at: null, doubt: "before-image" });
    } else dated.push([tag, pushed]);
  }
  for (const group of together(dated)) {
    const last = group.at(-1)?.[1].pushedAt ?? 0;
    const copied = isCopied(graph, group);
    for (const [tag, { pushedAt }] of group) {
      // Everything copied was pushed earlier, in an unknown order.
      ages.set(tag, copied ? { at: last, doubt: "copied" } : { at: pushedAt, doubt: null });
    }
  }
  return ages;
};

/** Tags ordered by time, in groups separated by pauses. */
const together = (tags: [string, Tag][]): [string, Tag][][] => {
  const groups: [string, Tag][][] = [];
  let before = Number.NEGATIVE_INFINITY;
  for (const each of tags.toSorted(([, a], [, b]) => a.pushedAt - b.pushedAt)) {
    const { pushedAt } = each[1];
    if (pushedAt - before < TOGETHER) groups.at(-1)?.push(each);
    else groups.push([each]);
    before = pushedAt;
  }
  return groups;
};

/**
 * Whether a group of tags that are close together in time was written by a copy.
 *
 * A push writes the manifest's link and then the tag's: ordered by time the two alternate, and the manifests have the same order
 * as their tags. A copy goes folder by folder: all manifests, then all tags, or vice versa, each in the order of their names. If
 * the manifests' links are inconclusive, the creation dates of the images decide.
 */
const isCopied = (graph: RepositoryGraph, group: [string, Tag][]): boolean => {
  const [first, last] = [group[0]?.[1].pushedAt ?? 0, group.at(-1)?.[1].pushedAt ?? 0];
  // Tags with the same time have the same age, whoever wrote them.
  if (first === last) return false;
  const lastPushes = new Map<string, number>();
  for (const { digest, pushedAt } of graph.tags.values()) {
    lastPushes.set(digest, Math.max(pushedAt, lastPushes.get(digest) ?? 0));
  }
  // A manifest's link is written again with each of its tags.
  const pushes = group.filter(([, { digest, pushedAt }]) => lastPushes.get(digest) === pushedAt);
  const linked = pushes
    .map(([, { digest, pushedAt }]) => ({ tag: pushedAt, other: graph.manifests.get(digest)?.linkedAt ?? null }))
    .filter(hasOther)
    // A later link was written by another push of the digest.
    .filter(({ other }) => other <= last + TOGETHER);
  if (linked.length >= 2 && linked.length * 2 >= pushes.length) {
    const links = linked.map(({ other }) => other);
    const tags = linked.map(({ tag }) => tag);
    if (Math.max(...links) <= Math.min(...tags)) return true;
    if (Math.min(...links) >= Math.max(...tags)) return (last - first) / (group.length - 1) < COPYING;
    return isOtherOrder(linked);
  }
  if (pushes.some((push) => isCopiedWithTags(graph, push, group))) return true;
  const made = group
    .map(([, { digest, pushedAt }]) => ({ tag: pushedAt, other: graph.createdAt?.(digest) ?? null }))
    .filter(hasOther);
  return isOtherOrder(made);
};

/**
 * Whether the link of a manifest with several tags was not written by the push of the last tag, that is, between the previous
 * tag's link and its own. If it has the same time as the last tag's, as files written in quick succession do, the pace decides.
 */
const isCopiedWithTags = (
  graph: RepositoryGraph,
  [, { digest, pushedAt }]: [string, Tag],
  group: [string, Tag][],
): boolean => {
  const linkedAt = graph.manifests.get(digest)?.linkedAt ?? null;
  const before = group.filter(([, tag]) => tag.digest === digest && tag.pushedAt < pushedAt).at(-1)?.[1].pushedAt;
  if (linkedAt === null || before === undefined || linkedAt > pushedAt + TOGETHER) return false;
  return linkedAt <= before || (linkedAt >= pushedAt && pushedAt - before < COPYING);
};

interface Times {
  tag: number;
  other: number;
}

const hasOther = (times: { tag: number; other: number | null }): times is Times => times.other !== null;

/** Whether objects ordered by their tags' times are unordered otherwise. */
const isOtherOrder = (times: Times[]): boolean => {
  const turned = times.filter(({ other }, at) => other < (times[at - 1]?.other ?? Number.NEGATIVE_INFINITY)).length;
  return turned > (times.length - 1) * STRAYS;
};

const WORDS: Record<Doubt, string> = {
  copied: "its time is that of a copy",
  future: "its time lies in the future",
  "before-image": "its time lies before its image was made",
  "no-date": "its image does not say when it was made",
};

/** The reason for keeping a tag because of a doubt. */
export const reasonOfDoubt = (doubt: Doubt): string => `${WORDS[doubt]}, so nobody can tell how old it is`;
