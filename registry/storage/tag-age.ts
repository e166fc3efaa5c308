import type { RetentionRule } from "../../site/retention";
import type { RepositoryGraph, Tag } from "./graph";

/** How old a tag is, as far as that can be told. */
export interface TagAge {
  /** Milliseconds since the epoch, only to be compared with the others of the repository; null where nobody can tell. */
  at: number | null;
  doubt: Doubt | null;
}

/** Why the time of a tag's link says nothing of when it was pushed. */
export type Doubt =
  /** It was written by a copy that kept no times: all that is known is that the push was before. */
  | "copied"
  /** It lies in the future: a clock was ahead, now or then. */
  | "future"
  /** It lies before the image was made. */
  | "before-image"
  /** Of `order: "created"`: the image does not say when it was made. */
  | "no-date";

const SECOND = 1000;

/** Clocks of two machines may differ by so much. */
const AHEAD = 300 * SECOND;

/** A push this long before its image was made has lost its time; time zones and clocks of builders are less wrong. */
const BEFORE_IMAGE = 86_400 * SECOND;

/** Pushes, or copied files, so close to one another belong together. */
const TOGETHER = 60 * SECOND;

/** Links are copied faster than that, one after the other. */
const COPYING = 0.5 * SECOND;

/** Of neighbors in time, how many may be in another order elsewhere: pushes go on side by side, images are tagged again. */
const STRAYS = 0.2;

/**
 * The ages by which the tags of a repository are compared.
 *
 * @param order by when they were pushed, or by when their images were made
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
      // Whatever was copied was pushed before, and nobody knows in which order.
      ages.set(tag, copied ? { at: last, doubt: "copied" } : { at: pushedAt, doubt: null });
    }
  }
  return ages;
};

/** Tags in the order of their times, in groups with a pause between them. */
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
 * Whether the times of tags that lie close together are those of a copy.
 *
 * A push writes the manifest's link and then the tag's: in the order of time the two alternate, and the manifests come in
 * the order of their tags. A copy goes folder by folder: all manifests, then all tags, or the other way round, and each in
 * the order of its names. Where the links of the manifests tell nothing, the dates of the images do.
 */
const isCopied = (graph: RepositoryGraph, group: [string, Tag][]): boolean => {
  const [first, last] = [group[0]?.[1].pushedAt ?? 0, group.at(-1)?.[1].pushedAt ?? 0];
  // Of one moment they are of one age, whoever wrote them.
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
    // Later it was pushed again by its digest.
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
 * Whether the link of a manifest that has several tags is not where the push of the last of them wrote it: after the tag
 * before, and before its own. Where it is of one moment with its own, as files are that are written quickly, the pace tells.
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

/** Whether what is in the order of the tags is in no order otherwise. */
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

/** Why a tag stays that a doubt keeps. */
export const reasonOfDoubt = (doubt: Doubt): string => `${WORDS[doubt]}, so nobody can tell how old it is`;
