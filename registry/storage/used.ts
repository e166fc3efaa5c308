import type { RetentionPolicy } from "../../site/retention";
import { compareText } from "../../text/compare-text";
import { type FoundReport, type InUse, inUseOf, mistrustOf, NOTHING_IN_USE } from "../in-use/protection";
import type { Digest } from "../oci/digest";
import type { RepositoryGraph } from "./graph";
import { StorageRefusal } from "./refusal";

/**
 * What a clean-up must keep because it is in use, from the reports that the policy requires.
 *
 * @param now milliseconds since the epoch
 * @throws StorageRefusal `in-use` if it is not known what is in use
 */
export const protectedInUse = (
  { protectInUse }: RetentionPolicy,
  reports: readonly FoundReport[],
  now: number,
): InUse => {
  const mistrust = mistrustOf(protectInUse, reports, now);
  if (mistrust !== null) throw new StorageRefusal("in-use", mistrust.message, mistrust.hint);
  return inUseOf(reports.filter(({ cluster }) => protectInUse?.clusters.includes(cluster)));
};

/**
 * The manifests of a repository that are in use, and all those that lead to them, with the clusters that report them. A node may
 * name the image of its platform instead of the index that was pulled, or only its config.
 */
export const usedIn = ({ manifests }: Pick<RepositoryGraph, "manifests">, inUse: InUse): InUse => {
  if (inUse.size === 0) return NOTHING_IN_USE;
  const parents = new Map<Digest, Digest[]>();
  const used = new Map<Digest, readonly string[]>();
  const pending: Digest[] = [];
  const use = (digest: Digest, clusters: readonly string[]): void => {
    const known = used.get(digest) ?? [];
    const all = [...new Set([...known, ...clusters])].sort(compareText);
    if (all.length === known.length) return;
    used.set(digest, all);
    pending.push(digest);
  };
  for (const [digest, { references }] of manifests) {
    for (const reference of references) {
      if (manifests.has(reference)) parents.set(reference, [...(parents.get(reference) ?? []), digest]);
      else use(digest, inUse.get(reference) ?? []);
    }
    use(digest, inUse.get(digest) ?? []);
  }
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const parent of parents.get(next) ?? []) use(parent, used.get(next) ?? []);
  }
  return used;
};
