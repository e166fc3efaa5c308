import type { ProtectInUse } from "../../site/retention";
import { compareText } from "../../text/compare-text";
import type { Digest } from "../oci/digest";
import { IN_USE_REPOSITORY, type InUseReport } from "./report";

/** What the registry has under a cluster's tag: a report, or why it has no usable one. */
export type FoundReport = { cluster: string } & (
  | { report: InUseReport; problem: null }
  /** Completes "the report of what runs in home …". */
  | { report: null; problem: string }
);

/** For each digest the clusters that report it as in use, sorted. */
export type InUse = ReadonlyMap<Digest, readonly string[]>;

export const NOTHING_IN_USE: InUse = new Map();

/** The digests in the clusters' reports. */
export const inUseOf = (found: readonly FoundReport[]): InUse => {
  const clusters = new Map<Digest, string[]>();
  for (const { cluster, report } of found.toSorted((a, b) => compareText(a.cluster, b.cluster))) {
    for (const digest of new Set(report?.digests)) {
      const known = clusters.get(digest);
      if (known === undefined) clusters.set(digest, [cluster]);
      else known.push(cluster);
    }
  }
  return clusters;
};

/** Why a clean-up must not rely on what is known about the clusters. */
export interface Mistrust {
  message: string;
  hint: string;
}

const HOUR = 3_600_000;

/**
 * Why too little is known about what is in use to remove anything; null if enough is known, or the policy does not ask for it.
 * There is no guessing: a single missing, malformed or outdated report is enough.
 *
 * @param now milliseconds since the epoch
 */
export const mistrustOf = (
  protect: ProtectInUse | undefined,
  found: readonly FoundReport[],
  now: number,
): Mistrust | null => {
  if (protect === undefined) return null;
  for (const cluster of protect.clusters) {
    const { report = null, problem = MISSING } = found.find((each) => each.cluster === cluster) ?? {};
    const why = report === null ? problem : tooOld(report, protect.maximumAgeHours, now);
    if (why !== null)
      return {
        message: `the report of what runs in ${JSON.stringify(cluster)} ${why}`,
        hint: `let the probe of that cluster push one (workloads of a probe, an account that may push to ${IN_USE_REPOSITORY}), or take the cluster out of retention.protectInUse`,
      };
  }
  return null;
};

/** How many reports of clusters not in the policy are read: nothing depends on them. */
export const MOST_UNNAMED = 20;

export const MISSING = `is missing: ${IN_USE_REPOSITORY} has no such tag`;

const tooOld = ({ time }: InUseReport, hours: number, now: number): string | null => {
  const age = now - time;
  return age > hours * HOUR ? `is ${Math.floor(age / HOUR)} hours old, and may be ${hours}` : null;
};
