import type { Alert, Family } from "../alert";
import { selector } from "../promql";
import { reported, subjectOf, unreported, type Watch, watchesOf } from "../watched";

const LAST_RUN = "registry_manifest_integrity_last_run_timestamp";

/** No report of a registry, or of a part of it: an expression without series is silent. */
const missing = (watch: Watch): string =>
  watch.shards === 1
    ? unreported(watch, LAST_RUN)
    : `count by (job, instance) (${reported(watch, LAST_RUN)}) < ${watch.shards} or ${unreported(watch, LAST_RUN)}`;

const overwritten = ({ registries }: Watch): string =>
  registries.map(({ instance }) => selector(LAST_RUN, { exported_instance: instance })).join(" or ");

const alertsAbout = (watch: Watch): Alert[] => {
  const { period } = watch;
  const about = watch.registries.map(subjectOf);
  return [
    {
      name: "RegistryIntegrityProbeStale",
      severity: "warning",
      expr: `time() - ${reported(watch, LAST_RUN)} > ${4 * period}`,
      after: period,
      summary: "The registry's integrity probe has stopped reporting",
      description:
        "The last report about {{ $labels.instance }} is {{ $value | humanizeDuration }} old: whatever it said, it no longer says anything about now.",
      about,
    },
    {
      // A Pushgateway forgets everything when it restarts.
      name: "RegistryIntegrityProbeAbsent",
      severity: "warning",
      expr: missing(watch),
      after: 2 * period,
      summary: "Nothing is known about the registry's integrity",
      description:
        "No report about {{ $labels.instance }} is stored: the probe has never pushed, or the Pushgateway has forgotten it and the probe does not run.",
      about,
    },
    {
      name: "RegistryIntegrityLabelsOverwritten",
      severity: "warning",
      expr: overwritten(watch),
      after: period,
      summary: "The scrape of the Pushgateway overwrites the registry's name",
      description:
        "The metrics of {{ $labels.exported_instance }} arrive as those of {{ $labels.instance }}, so no other alert about it can fire. Set honor_labels: true in the scrape of the Pushgateway.",
      about,
    },
    {
      name: "RegistryIntegrityPushFailed",
      severity: "warning",
      expr: `${reported(watch, "push_failure_time_seconds")} > ${reported(watch, "push_time_seconds")}`,
      after: 2 * period,
      summary: "The Pushgateway refuses the probe's report",
      description:
        "The last report about {{ $labels.instance }} was refused {{ $value | humanizeTimestamp }}: what is stored is older than it looks.",
      about,
    },
    {
      name: "RegistryIntegrityProbeSlow",
      severity: "warning",
      expr: `${reported(watch, "registry_manifest_integrity_run_duration_seconds")} > ${period / 2}`,
      after: 2 * period,
      summary: "The integrity probe takes more than half of its period",
      description:
        "A run over {{ $labels.instance }} takes {{ $value | humanizeDuration }}: it loads the registry more than a guest should, and soon it will not finish before the next.",
      about,
    },
  ];
};

/** Whether what the other alerts are made of still arrives. */
export const probeAlerts: Family = {
  name: "registry-probe",
  alerts: (site) => watchesOf(site).flatMap(alertsAbout),
};
