import { duration } from "./promql";
import { firing, REGISTRY, reported, type Watch } from "./watched";

/**
 * A value stays in the Pushgateway until the next run replaces it. Time is counted in fifteenths of a period, so that the same
 * numbers apply to every period: one report counts for fifteen of them.
 */
const PARTS = 15;

/** How many runs a failure is remembered for. */
export const RUNS_BACK = 6;
/** How many consecutive good runs end an alert. */
const GOOD_RUNS = 3;

/** The values of an expression during the last runs. */
const lately = ({ period }: Watch, expression: string, runs: number): string =>
  `(${expression})[${duration(runs * period)}:${duration(period / PARTS)}]`;

/** The value that is reported when all is well; any other reports a failure. */
interface Signal {
  /** One series for each shard. */
  readonly series: (watch: Watch) => string;
  readonly well: "== 0" | "== 1";
  readonly failing: "> 0" | "== 0";
  /** Which of two series about the same shard counts, such as after a Pushgateway has moved to another pod. */
  readonly worst: "max" | "min";
}

/** One series for each shard that reports the failure. */
const failingShards = (watch: Watch, { series, failing }: Signal): string =>
  `max by (${REGISTRY}, shard) (${series(watch)} ${failing})`;

/** When each shard that reports the failure did so. */
const reports = (watch: Watch, signal: Signal): string =>
  `max by (${REGISTRY}, shard) (${reported(watch, "registry_manifest_integrity_last_run_timestamp")}) and ${failingShards(watch, signal)}`;

/** The registries for which all shards report that all is well, and nothing contradicts them. */
const well = (watch: Watch, { series, well, worst }: Signal): string =>
  watch.shards === 1
    ? `${worst} by (${REGISTRY}) (${series(watch)}) ${well}`
    : `count by (${REGISTRY}) (${worst} by (${REGISTRY}, shard) (${series(watch)}) ${well}) == ${watch.shards}`;

/**
 * The registries for which two of the last six runs reported a failure, consecutive or not, until three consecutive good runs.
 * A single bad report does not count, unless no newer one arrives for another whole period: a report stands for one period,
 * give or take the length of a walk, hence both the runs and the time. If nothing is reported any more, a firing alert keeps
 * firing: a gap is not an all-clear.
 *
 * @param alertname of the alert with this condition
 */
export const repeatedly = (
  watch: Watch,
  signal: Signal,
  alertname: string,
  otherwise: readonly string[] = [],
): string => {
  const failing = failingShards(watch, signal);
  const seen = [
    `count_over_time(${lately(watch, failing, RUNS_BACK)}) > ${PARTS} and changes(${lately(watch, reports(watch, signal), RUNS_BACK)}) > 0`,
    `count_over_time(${lately(watch, failing, 2)}) >= ${2 * PARTS - 1}`,
    ...otherwise,
  ];
  const allClear = `count_over_time(${lately(watch, well(watch, signal), GOOD_RUNS)}) >= ${GOOD_RUNS * PARTS - 1}`;
  return `(max by (${REGISTRY}) (${seen.join(" or ")}) or ${firing(watch, alertname)}) unless ${allClear}`;
};
