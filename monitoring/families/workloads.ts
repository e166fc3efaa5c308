import type { Alert, Family } from "../alert";
import { RUNS_BACK, repeatedly } from "../evidence";
import { duration } from "../promql";
import { aboutEach, authoritativeWatchesOf, REGISTRY, reported, type Watch } from "../watched";

const MISSING = "RegistryWorkloadImageMissing";
const UNKNOWN = "RegistryWorkloadsUnknown";

const IMAGES = "registry_workload_images";
/** The states of an image that cannot be pulled again. */
const LOST = "broken|missing";

const lost = (watch: Watch): string =>
  `sum by (${REGISTRY}, shard) (${reported(watch, IMAGES, undefined, { state: { pattern: LOST } })})`;

/** A query for a description: the highest numbers reported recently, by state. */
const counts = (window: string): string =>
  `printf "sum by (state) (max_over_time(${IMAGES}{cluster=%q,job=%q,instance=%q,state=~\\"${LOST}\\"}[${window}])) > 0" $labels.cluster $labels.job $labels.instance | query | sortByLabel "state"`;

const alertsAbout = (watch: Watch): Alert[] => {
  // Only one pod queries the cluster.
  const one = { ...watch, shards: 1 };
  const window = duration(RUNS_BACK * watch.period);
  return [
    {
      name: MISSING,
      severity: "critical",
      expr: repeatedly(one, { series: lost, well: "== 0", failing: "> 0", worst: "max" }, MISSING),
      after: 0,
      summary: "An image that runs cannot be pulled again",
      description: `Images that pods and CronJobs of the cluster need, and {{ $labels.instance }} does not have whole{{ range ${counts(window)} }}, {{ .Labels.state }} {{ .Value | printf "%.0f" }}{{ end }}: the next start on another node fails. The log of the probe names them.`,
      ...aboutEach(watch),
    },
    {
      name: UNKNOWN,
      severity: "warning",
      expr: repeatedly(
        one,
        { series: (of) => reported(of, "registry_workload_known"), well: "== 1", failing: "== 0", worst: "min" },
        UNKNOWN,
      ),
      after: 0,
      summary: "It is not known what runs of the registry's images",
      description:
        "The last runs over {{ $labels.instance }} did not learn all that runs in the cluster, or could not report it: nobody knows whether it can be pulled again, and a clean-up that waits for the report refuses to remove anything.",
      ...aboutEach(watch),
    },
  ];
};

/** Whether the images in use in the cluster can be pulled again. */
export const workloadAlerts: Family = {
  name: "registry-workloads",
  alerts: (site) => authoritativeWatchesOf(site, ({ probe }) => probe.workloads).flatMap(alertsAbout),
};
