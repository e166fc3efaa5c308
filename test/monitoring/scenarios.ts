import type { MetricName, PushgatewayMetricName } from "../../monitoring/metrics";
import type { Probe } from "../../site/monitoring";
import { probedService, type Site, serviceInstance } from "../../site/schema";

type Metric = MetricName | PushgatewayMetricName;

/** The value at a minute since 1970, when the tests of promtool begin; undefined where the series does not exist. */
type Values = (minute: number) => number | undefined;
type State = Readonly<Partial<Record<Metric, Values>>>;

const always =
  (value: number | undefined): Values =>
  () =>
    value;

/** What an alert is about, and how it says so. */
export interface Scenario {
  /** Values that make it fire, only just. */
  readonly broken: State;
  /** Values that do not, only just. Default: the healthy ones, which are at the edge already where there is one. */
  readonly fine?: State;
  /** The description of the alert that fires. */
  readonly says: string;
  /** Labels of the alert beside alertname and severity. Default: those of the pushed series. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Labels of the series. Default: those that the probe pushed. */
  readonly seriesLabels?: Readonly<Record<string, string>>;
}

const MINUTE = 60;
const DAY = 24 * 60 * MINUTE;

/** Seconds as Prometheus' humanizeDuration writes them. */
const humanized = (seconds: number): string => {
  const units: [string, number][] = [
    ["d", Math.floor(seconds / DAY)],
    ["h", Math.floor(seconds / 3600) % 24],
    ["m", Math.floor(seconds / MINUTE) % 60],
    ["s", seconds % MINUTE],
  ];
  return units
    .slice(units.findIndex(([, count]) => count > 0))
    .map(([unit, count]) => `${count}${unit}`)
    .join(" ");
};

/** The labels of a probe's metrics, as Prometheus has them with honor_labels. */
export const pushedLabels = (site: Site, probe: Probe): Readonly<Record<string, string>> => ({
  job: probe.name,
  instance: serviceInstance(site, probedService(site, probe)),
});

/** A registry about which there is nothing to say, each value as near to the edge as it may be. */
export const healthy = (probe: Probe): State => {
  const period = probe.periodMinutes;
  return {
    registry_manifest_integrity_failures: always(0),
    registry_manifest_integrity_catalog_accessible: always(1),
    registry_manifest_integrity_repos_checked: always(10),
    // Half of the most that was seen.
    registry_manifest_integrity_tags_checked: (minute) => (minute === 0 ? 100 : 50),
    registry_manifest_integrity_walk_complete: always(1),
    registry_manifest_integrity_repositories_without_tags: always(0),
    // At most four periods old.
    registry_manifest_integrity_last_run_timestamp: (minute) =>
      (Math.floor(minute / period) * period - 3 * period - 1) * MINUTE,
    registry_manifest_integrity_run_duration_seconds: always((period * MINUTE) / 2),
    registry_manifest_integrity_certificate_expiry_timestamp_seconds: (minute) => minute * MINUTE + 14 * DAY,
    push_time_seconds: always(1_000),
    push_failure_time_seconds: always(1_000),
  };
};

/** By alert: how to make it fire. */
export const scenarios = (site: Site, probe: Probe): Record<string, Scenario> => {
  const period = probe.periodMinutes;
  const labels = pushedLabels(site, probe);
  const { instance } = labels;
  const pushgateway = { instance: "pushgateway:9091", exported_instance: instance ?? "", exported_job: probe.name };
  return {
    RegistryManifestIntegrityFailure: {
      broken: { registry_manifest_integrity_failures: always(1) },
      says: `Broken objects in ${instance}: 1, missing 1, truncated 2. Pulls of the images that hold them fail. Collect no garbage before they are repaired.`,
    },
    RegistryIntegrityWalkIncomplete: {
      broken: { registry_manifest_integrity_walk_complete: always(0) },
      says: `The last runs over ${instance} ended before they had seen everything: a part of its images is unverified.`,
    },
    RegistryCatalogEmpty: {
      broken: { registry_manifest_integrity_repos_checked: always(0) },
      fine: { registry_manifest_integrity_repos_checked: always(1) },
      says: `The catalog of ${instance} is empty, and it was not before: its data is gone, or another registry answers in its place.`,
    },
    RegistryIntegrityCoverageLost: {
      broken: { registry_manifest_integrity_tags_checked: always(49) },
      says: `Only 49 of the repositories or tags of ${instance} are left of what was there within 7d. Silence this after a planned clean-up.`,
    },
    RegistryRepositoriesWithoutTags: {
      broken: { registry_manifest_integrity_repositories_without_tags: always(1) },
      says: `Repositories without tags in ${instance}: 1. Each was never tagged, as after a push that did not end, or has lost its tags.`,
    },
    RegistryCertificateExpiresSoon: {
      broken: {
        registry_manifest_integrity_certificate_expiry_timestamp_seconds: (minute) => minute * MINUTE + 14 * DAY - 1,
      },
      says: `The certificate of ${instance} expires in ${humanized(14 * DAY - 1)}.`,
    },
    RegistryCertificateExpiryImminent: {
      broken: {
        registry_manifest_integrity_certificate_expiry_timestamp_seconds: (minute) => minute * MINUTE + 3 * DAY - 1,
      },
      fine: {
        registry_manifest_integrity_certificate_expiry_timestamp_seconds: (minute) => minute * MINUTE + 3 * DAY,
      },
      says: `The certificate of ${instance} expires in ${humanized(3 * DAY - 1)}; from then on every pull and push fails.`,
    },
    RegistryCatalogInaccessible: {
      broken: { registry_manifest_integrity_catalog_accessible: always(0) },
      says: `The catalog of ${instance} could not be read. Pulls and pushes are likely to fail, and nothing else about the registry is known.`,
    },
    RegistryIntegrityProbeStale: {
      broken: {
        registry_manifest_integrity_last_run_timestamp: (minute) => (minute - 4 * period) * MINUTE - 1,
      },
      says: `The last report about ${instance} is ${humanized(4 * period * MINUTE + 1)} old: whatever it said, it no longer says anything about now.`,
    },
    RegistryIntegrityProbeAbsent: {
      broken: { registry_manifest_integrity_last_run_timestamp: always(undefined) },
      says: `No report about ${instance} is stored: the probe has never pushed, or the Pushgateway has forgotten it and the probe does not run.`,
    },
    RegistryIntegrityLabelsOverwritten: {
      broken: { registry_manifest_integrity_last_run_timestamp: (minute) => minute * MINUTE },
      fine: { registry_manifest_integrity_last_run_timestamp: always(undefined) },
      labels: pushgateway,
      seriesLabels: pushgateway,
      says: `The metrics of ${instance} arrive as those of pushgateway:9091, so no other alert about it can fire. Set honor_labels: true in the scrape of the Pushgateway.`,
    },
    RegistryIntegrityPushFailed: {
      broken: { push_failure_time_seconds: always(1_001) },
      says: `The last report about ${instance} was refused 1970-01-01 00:16:41 +0000 UTC: what is stored is older than it looks.`,
    },
    RegistryIntegrityProbeSlow: {
      broken: { registry_manifest_integrity_run_duration_seconds: always((period * MINUTE) / 2 + 1) },
      says: `A run over ${instance} takes ${humanized((period * MINUTE) / 2 + 1)}: it loads the registry more than a guest should, and soon it will not finish before the next.`,
    },
  };
};
