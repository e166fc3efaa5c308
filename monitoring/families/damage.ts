import type { Alert, Family } from "../alert";
import { RUNS_BACK, repeatedly } from "../evidence";
import type { MetricName } from "../metrics";
import { duration } from "../promql";
import { aboutEach, authoritativeWatchesOf, reported, type Watch } from "../watched";

const DAMAGE = "RegistryManifestIntegrityFailure";
const INCOMPLETE = "RegistryIntegrityWalkIncomplete";

/** A query for a description, about the alert's registry: the most that its shards reported recently. */
const most = (metric: MetricName, by: string, window: string): string =>
  `printf "sum by (${by}) (max by (${by}, shard) (max_over_time(${metric}{cluster=%q,job=%q,instance=%q}[${window}]))) > 0" $labels.cluster $labels.job $labels.instance | query`;

const damage = (watch: Watch): string => {
  const window = duration(RUNS_BACK * watch.period);
  const count = most("registry_manifest_integrity_failures", "instance", window);
  const reasons = most("registry_manifest_integrity_failures_by_reason", "reason", window);
  return `Broken objects in {{ $labels.instance }}{{ with ${count} }} in the last ${window}: up to {{ . | first | value | printf "%.0f" }}{{ else }} when its probe last reported{{ end }}{{ range ${reasons} | sortByLabel "reason" }}, {{ .Labels.reason }} {{ .Value | printf "%.0f" }}{{ end }}. Pulls of the images that hold them fail. Collect no garbage before they are repaired.`;
};

const alertsAbout = (watch: Watch): Alert[] => {
  return [
    {
      name: DAMAGE,
      severity: "critical",
      expr: repeatedly(
        watch,
        {
          series: (of) => reported(of, "registry_manifest_integrity_failures"),
          well: "== 0",
          failing: "> 0",
          worst: "max",
        },
        DAMAGE,
      ),
      after: 0,
      summary: "The registry serves images that cannot be pulled",
      description: damage(watch),
      ...aboutEach(watch),
    },
    {
      name: INCOMPLETE,
      severity: "warning",
      expr: repeatedly(
        watch,
        {
          series: (of) => reported(of, "registry_manifest_integrity_walk_complete"),
          well: "== 1",
          failing: "== 0",
          worst: "min",
        },
        INCOMPLETE,
      ),
      after: 0,
      summary: "The integrity probe does not reach all of the registry",
      description:
        "The last runs over {{ $labels.instance }} ended before they had seen everything: a part of its images is unverified.",
      ...aboutEach(watch),
    },
  ];
};

/** Whether the contents of a registry can be pulled. */
export const damageAlerts: Family = {
  name: "registry-damage",
  alerts: (site) => authoritativeWatchesOf(site).flatMap(alertsAbout),
};
