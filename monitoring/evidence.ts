import { duration } from "./promql";
import { firing, REGISTRY, reported, type Watch } from "./watched";

/**
 * A value stays in the Pushgateway until the next run replaces it. Time is counted in fifteenths of a period, so that the
 * same numbers hold for every period: one report stands for fifteen of them.
 */
const PARTS = 15;

/** How many runs back a fault is remembered. */
export const RUNS_BACK = 6;
/** How many good runs in a row end an alert. */
const GOOD_RUNS = 3;

/** The values of an expression in the last runs. */
const lately = ({ period }: Watch, expression: string, runs: number): string =>
  `(${expression})[${duration(runs * period)}:${duration(period / PARTS)}]`;

/** What is reported when all is well; with anything else it tells a fault. */
interface Signal {
  /** One series of each shard. */
  readonly series: (watch: Watch) => string;
  readonly well: "== 0" | "== 1";
  readonly fault: "> 0" | "== 0";
  /** What counts where two series are about the same, as for a while after the Pushgateway has become another pod. */
  readonly worst: "max" | "min";
}

/** Of each shard that reports the fault. */
const faulty = (watch: Watch, { series, fault }: Signal): string =>
  `max by (${REGISTRY}, shard) (${series(watch)} ${fault})`;

/** When each shard that reports the fault did so. */
const reports = (watch: Watch, signal: Signal): string =>
  `max by (${REGISTRY}, shard) (${reported(watch, "registry_manifest_integrity_last_run_timestamp")}) and ${faulty(watch, signal)}`;

/** The registries all of whose shards report that all is well, and nothing else says otherwise. */
const well = (watch: Watch, { series, well, worst }: Signal): string =>
  watch.shards === 1
    ? `${worst} by (${REGISTRY}) (${series(watch)}) ${well}`
    : `count by (${REGISTRY}) (${worst} by (${REGISTRY}, shard) (${series(watch)}) ${well}) == ${watch.shards}`;

/**
 * The registries of which two of the last six runs reported a fault, one after the other or not, until three good runs in
 * a row said otherwise. A single bad report does not count, unless nothing newer comes for a whole period more: it stands
 * for one period, give or take the length of a walk, hence both the runs and the time. Where nothing is reported any more,
 * what fires goes on: a gap is no all-clear.
 *
 * @param alertname of the alert that this is the condition of
 */
export const repeatedly = (
  watch: Watch,
  signal: Signal,
  alertname: string,
  otherwise: readonly string[] = [],
): string => {
  const fault = faulty(watch, signal);
  const seen = [
    `count_over_time(${lately(watch, fault, RUNS_BACK)}) > ${PARTS} and changes(${lately(watch, reports(watch, signal), RUNS_BACK)}) > 0`,
    `count_over_time(${lately(watch, fault, 2)}) >= ${2 * PARTS - 1}`,
    ...otherwise,
  ];
  const allClear = `count_over_time(${lately(watch, well(watch, signal), GOOD_RUNS)}) >= ${GOOD_RUNS * PARTS - 1}`;
  return `(max by (${REGISTRY}) (${seen.join(" or ")}) or ${firing(watch, alertname)}) unless ${allClear}`;
};
