import type { MonitoredSite } from "../../site/schema";
import { type Alert, clusterLabel, type Family, HOUR } from "../alert";
import { MAINTENANCE_JOB } from "../metrics";
import { anyOf, lastKnown, selector } from "../promql";
import { aboutEach, REGISTRY, reported, subjectOf, unreported, type Watch, watchesOf } from "../watched";

const LAST_RUN = "registry_manifest_integrity_last_run_timestamp";
const LAST_SUCCESS = "registry_maintenance_last_success_timestamp_seconds";

/** A probe that has not reported for this long is dead. Seconds. */
const DEAD = 3 * HOUR;

/** No report from a registry, or from one of its shards: an expression without series never fires. */
const missing = (watch: Watch): string =>
  watch.shards === 1
    ? unreported(watch, LAST_RUN)
    : `count by (${REGISTRY}) (max by (${REGISTRY}, shard) (${reported(watch, LAST_RUN)})) < ${watch.shards} or ${unreported(watch, LAST_RUN)}`;

/** The time since the report of the shard that is furthest behind; the last known one if there is none now. */
const late = (watch: Watch): string =>
  `time() - min by (${REGISTRY}) (max by (${REGISTRY}, shard) (${reported(watch, LAST_RUN, (series) => `last_over_time(${series}[1d])`)})) > ${4 * watch.period}`;

const alertsAbout = (watch: Watch): Alert[] => {
  const { period } = watch;
  const last = (metric: Parameters<typeof reported>[1]) =>
    lastKnown((over) => `max by (${REGISTRY}, shard) (${reported(watch, metric, over)})`);
  return [
    {
      name: "RegistryIntegrityProbeStale",
      severity: "warning",
      expr: late(watch),
      after: period,
      summary: "The registry's integrity probe has stopped reporting",
      description:
        "The last report about {{ $labels.instance }} is {{ $value | humanizeDuration }} old: whatever it said, it no longer says anything about now.",
      ...aboutEach(watch),
    },
    {
      // A Pushgateway forgets everything when it restarts.
      name: "RegistryIntegrityProbeAbsent",
      severity: "warning",
      expr: missing(watch),
      after: 2 * period,
      summary: "Nothing is known about the registry's integrity",
      description:
        "No report about {{ $labels.instance }} is stored, or none about a part of it: the probe has never pushed, or the Pushgateway has forgotten it and the probe does not run.",
      ...aboutEach(watch),
    },
    {
      name: "RegistryIntegrityProbeDead",
      severity: "critical",
      expr: `${late(watch)} or ${missing(watch)}`,
      after: Math.max(DEAD, 12 * period),
      summary: "The registry has not been looked at for hours",
      description:
        "Nothing has been heard of {{ $labels.instance }} for hours: images may be lost, and nobody would know.",
      ...aboutEach(watch),
    },
    {
      name: "RegistryIntegrityPushFailed",
      severity: "warning",
      expr: `max by (${REGISTRY}) (${last("push_failure_time_seconds")} > ${last("push_time_seconds")})`,
      after: 2 * period,
      summary: "The Pushgateway refuses the probe's report",
      description:
        "The last report about {{ $labels.instance }} was refused {{ $value | humanizeTimestamp }}: what is stored is older than it looks.",
      ...aboutEach(watch),
    },
    {
      name: "RegistryIntegrityProbeSlow",
      severity: "warning",
      expr: `max by (${REGISTRY}) (${last("registry_manifest_integrity_run_duration_seconds")}) > ${period / 2}`,
      after: 2 * period,
      summary: "The integrity probe takes more than half of its period",
      description:
        "A run over {{ $labels.instance }} takes {{ $value | humanizeDuration }}: it puts too much load on the registry and will soon overrun its interval.",
      ...aboutEach(watch),
    },
  ];
};

/** What affects every report at once, because there is one thing to fix. */
const ofAll = (site: MonitoredSite): Alert[] => {
  const watches = watchesOf(site);
  if (watches.length === 0) return [];
  const period = Math.min(...watches.map((watch) => watch.period));
  const about = watches.flatMap(({ registries }) => registries.map(subjectOf));
  const reporters = [
    [LAST_RUN, anyOf(site.monitoring.probes.map(({ name }) => name))],
    ...(site.registry?.maintenance === undefined ? [] : [[LAST_SUCCESS, MAINTENANCE_JOB] as const]),
  ] as const;
  const overwritten = reporters.map(([metric, job]) => selector(metric, { exported_job: job }));
  return [
    {
      name: "RegistryIntegrityLabelsOverwritten",
      // Nothing else can fire.
      severity: "critical",
      expr: `count by (cluster, job, instance) (${overwritten.join(" or ")})`,
      after: period,
      summary: "The scrape of the Pushgateway overwrites the registry's name",
      description:
        "What the Pushgateway says of the registries arrives as if it were about {{ $labels.instance }}, so no other alert about them can fire. Set honor_labels: true in the scrape of the Pushgateway.",
      about,
    },
    {
      name: "RegistryReportsAbsent",
      severity: "warning",
      expr: reporters
        .map(([metric, job]) => `absent(${selector(metric, { ...clusterLabel(site), job })})`)
        .join(" and on () "),
      // A little earlier than the alerts that it explains.
      after: 2 * period - period / 15,
      summary: "Nothing is known about any registry",
      description:
        "No report about any registry is stored: the Pushgateway is gone, or Prometheus does not scrape it, or it has forgotten everything and nobody reports any more.",
      about,
    },
  ];
};

/** Whether the data behind the other alerts still arrives. */
export const probeAlerts: Family = {
  name: "registry-probe",
  alerts: (site) => [...ofAll(site), ...watchesOf(site).flatMap(alertsAbout)],
};
