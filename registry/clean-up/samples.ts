import type { CleanUpMetricName } from "../../monitoring/metrics";
import type { Push, Sample } from "../probe/samples";
import { isDone, type RemotePruneReport } from "../remote/prune";

/** How a run ended. */
export interface Ended {
  /** Null if it refused or failed before it knew its result. */
  report: RemotePruneReport | null;
  /** Seconds. */
  duration: number;
  /** Unix time, in seconds. */
  at: number;
}

type Values = [CleanUpMetricName, number][];

/** The metrics of a run. Unknown ones keep the value of an earlier run, above all the last success. */
export const cleanUpPush = ({ report, duration, at }: Ended): Push => {
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
