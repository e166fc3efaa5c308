import type { CleanUpMetricName } from "../../monitoring/metrics";
import type { Push, Sample } from "../probe/samples";
import type { RemotePruneReport } from "../remote/prune";

/** How a run ended. */
export interface Ended {
  /** Null where it refused or failed before it knew what it had done. */
  report: RemotePruneReport | null;
  /** Seconds. */
  duration: number;
  /** Unix time, in seconds. */
  at: number;
}

/** Whether everything that was to go is gone or needed again, and what is left is whole. */
export const isDone = ({ problems, remaining }: Pick<RemotePruneReport, "problems" | "remaining">): boolean =>
  problems.length + remaining.length === 0;

type Values = [CleanUpMetricName, number][];

/** How a run went. What it does not know stays as an earlier one has told it: the last success above all. */
export const pushOf = ({ report, duration, at }: Ended): Push => {
  const success = report !== null && isDone(report);
  const values: Values = [
    ["registry_clean_up_success", success ? 1 : 0],
    ["registry_clean_up_last_run_timestamp_seconds", at],
    ["registry_clean_up_run_duration_seconds", duration],
    ...(success ? ([["registry_clean_up_last_success_timestamp_seconds", at]] satisfies Values) : []),
    ...(report === null ? [] : countsOf(report)),
  ];
  return { method: "POST", samples: values.map(([name, value]): Sample => ({ name, value })) };
};

const countsOf = ({ remove, spared, skipped }: RemotePruneReport): Values => {
  const tags = spared.filter(({ tag }) => tag !== null).length;
  return [
    ["registry_clean_up_removed_tags", remove.tags.length - tags],
    ["registry_clean_up_removed_manifests", remove.manifests.length - (spared.length - tags)],
    ["registry_clean_up_spared", spared.length],
    ["registry_clean_up_skipped_repositories", skipped.length],
  ];
};
