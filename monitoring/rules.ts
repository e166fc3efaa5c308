import type { ExternalRegistry, Probe } from "../site/monitoring";
import type { Service } from "../site/registry";
import { isExternal, probedService, type Site, serviceInstance } from "../site/schema";
import { maintenanceAlerts } from "./maintenance-alerts";
import type { MetricName } from "./metrics";
import { selector } from "./promql";

/** critical: act now. warning: a ticket. https://github.com/kubernetes-monitoring/kubernetes-mixin */
export type Severity = "critical" | "warning";

/** An alerting rule. https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/ */
export interface AlertingRule {
  readonly alert: string;
  /** PromQL. */
  readonly expr: string;
  /** How long the expression has to hold, for example "30m". */
  readonly for: string;
  readonly labels: { readonly severity: Severity };
  readonly annotations: {
    readonly summary: string;
    /** A Go template of Prometheus. */
    readonly description: string;
    readonly runbook_url: string;
  };
}

/** Rules that are evaluated together, all about one registry. The name is unique in a site. */
export interface RuleGroup {
  readonly name: string;
  readonly rules: readonly AlertingRule[];
}

/** An alert before it is known where its page is. */
export interface Alert {
  readonly name: string;
  readonly severity: Severity;
  readonly expr: string;
  /** Seconds. */
  readonly after: number;
  readonly summary: string;
  readonly description: string;
}

const MINUTE = 60;
const DAY = 24 * 60 * MINUTE;

/** A duration as Prometheus reads it. */
const duration = (seconds: number): string => (seconds % MINUTE === 0 ? `${seconds / MINUTE}m` : `${seconds}s`);

const BY_REASON: MetricName = "registry_manifest_integrity_failures_by_reason";

/** How long the most that was ever seen counts as what should be there: a loss on a Friday is still open on Monday. */
const MEMORY = "7d";

/** No report of a registry, or of a part of it: an expression without series is silent. */
const missing = (series: string, shards: number): string =>
  shards === 1 ? `absent(${series})` : `count by (instance) (${series}) < ${shards} or absent(${series})`;

/**
 * What goes wrong with any registry, or with the probe itself. Every duration is a multiple of the probe's period,
 * because a pushed value stands until the next run replaces it: what holds for two periods was seen by two runs.
 *
 * @param instance the registry as its metrics name it
 * @param period seconds between two runs
 * @param shards pods that report, each with a part of the registry
 */
const availability = (instance: string, period: number, shards: number): Alert[] => {
  const lastRun = selector("registry_manifest_integrity_last_run_timestamp", { instance });
  const own = (metric: Parameters<typeof selector>[0]) => selector(metric, { instance });
  return [
    {
      name: "RegistryCatalogInaccessible",
      severity: "critical",
      expr: `${own("registry_manifest_integrity_catalog_accessible")} == 0`,
      after: period,
      summary: "The registry does not list its repositories",
      description:
        "The catalog of {{ $labels.instance }} could not be read. Pulls and pushes are likely to fail, and nothing else about the registry is known.",
    },
    {
      name: "RegistryIntegrityProbeStale",
      severity: "warning",
      expr: `time() - ${lastRun} > ${4 * period}`,
      after: period,
      summary: "The registry's integrity probe has stopped reporting",
      description:
        "The last report about {{ $labels.instance }} is {{ $value | humanizeDuration }} old: whatever it said, it no longer says anything about now.",
    },
    {
      // A Pushgateway forgets everything when it restarts.
      name: "RegistryIntegrityProbeAbsent",
      severity: "warning",
      expr: missing(lastRun, shards),
      after: 2 * period,
      summary: "Nothing is known about the registry's integrity",
      description:
        "No report about {{ $labels.instance }} is stored: the probe has never pushed, or the Pushgateway has forgotten it and the probe does not run.",
    },
    {
      name: "RegistryIntegrityLabelsOverwritten",
      severity: "warning",
      expr: selector("registry_manifest_integrity_last_run_timestamp", { exported_instance: instance }),
      after: period,
      summary: "The scrape of the Pushgateway overwrites the registry's name",
      description:
        "The metrics of {{ $labels.exported_instance }} arrive as those of {{ $labels.instance }}, so no other alert about it can fire. Set honor_labels: true in the scrape of the Pushgateway.",
    },
    {
      name: "RegistryIntegrityPushFailed",
      severity: "warning",
      expr: `${own("push_failure_time_seconds")} > ${own("push_time_seconds")}`,
      after: 2 * period,
      summary: "The Pushgateway refuses the probe's report",
      description:
        "The last report about {{ $labels.instance }} was refused {{ $value | humanizeTimestamp }}: what is stored is older than it looks.",
    },
    {
      name: "RegistryIntegrityProbeSlow",
      severity: "warning",
      expr: `${own("registry_manifest_integrity_run_duration_seconds")} > ${period / 2}`,
      after: 2 * period,
      summary: "The integrity probe takes more than half of its period",
      description:
        "A run over {{ $labels.instance }} takes {{ $value | humanizeDuration }}: it loads the registry more than a guest should, and soon it will not finish before the next.",
    },
  ];
};

/** What goes wrong with the content of a registry that is authoritative for it. A cache may lack anything. */
const integrity = (instance: string, period: number): Alert[] => {
  const own = (metric: Parameters<typeof selector>[0]) => selector(metric, { instance });
  const repositories = own("registry_manifest_integrity_repos_checked");
  const tags = own("registry_manifest_integrity_tags_checked");
  const certificateExpiry = own("registry_manifest_integrity_certificate_expiry_timestamp_seconds");
  return [
    {
      name: "RegistryManifestIntegrityFailure",
      severity: "critical",
      expr: `${own("registry_manifest_integrity_failures")} > 0`,
      after: 2 * period,
      summary: "The registry serves images that cannot be pulled",
      description: `Broken objects in {{ $labels.instance }}: {{ $value }}{{ range printf "${BY_REASON}{instance=%q} > 0" $labels.instance | query | sortByLabel "reason" }}, {{ .Labels.reason }} {{ .Value }}{{ end }}. Pulls of the images that hold them fail. Collect no garbage before they are repaired.`,
    },
    {
      name: "RegistryIntegrityWalkIncomplete",
      severity: "warning",
      expr: `${own("registry_manifest_integrity_walk_complete")} == 0`,
      after: 2 * period,
      summary: "The integrity probe does not reach all of the registry",
      description:
        "The last runs over {{ $labels.instance }} ended before they had seen everything: a part of its images is unverified.",
    },
    {
      // A proxy in front that talks to another registry answers 200 with an empty list: no failure anywhere.
      name: "RegistryCatalogEmpty",
      severity: "critical",
      expr: `sum by (instance) (${repositories}) == 0 and on () max_over_time(${repositories}[${MEMORY}]) > 0`,
      after: 2 * period,
      summary: "The registry lists no repository any more",
      description:
        "The catalog of {{ $labels.instance }} is empty, and it was not before: its data is gone, or another registry answers in its place.",
    },
    {
      // A registry goes on listing a repository whose tags are gone, so one that is missing was lost. Tags come and go.
      name: "RegistryIntegrityCoverageLost",
      severity: "warning",
      expr: `${repositories} < max_over_time(${repositories}[${MEMORY}]) or ${tags} < 0.5 * max_over_time(${tags}[${MEMORY}])`,
      after: 2 * period,
      summary: "The integrity probe sees less of the registry than before",
      description: `Only {{ $value }} of the repositories or tags of {{ $labels.instance }} are left of what was there within ${MEMORY}. Silence this after a planned clean-up.`,
    },
    {
      // A push that ends early, or images that nobody tags, leave such a repository behind: nothing is lost then.
      name: "RegistryRepositoriesWithoutTags",
      severity: "warning",
      expr: `${own("registry_manifest_integrity_repositories_without_tags")} > 0`,
      after: DAY,
      summary: "The registry lists repositories that have no tags",
      description:
        "Repositories without tags in {{ $labels.instance }}: {{ $value }}. Each was never tagged, as after a push that did not end, or has lost its tags.",
    },
    {
      name: "RegistryCertificateExpiresSoon",
      severity: "warning",
      expr: `${certificateExpiry} - time() < ${14 * DAY}`,
      after: 2 * period,
      summary: "The registry's certificate was not renewed",
      description: "The certificate of {{ $labels.instance }} expires in {{ $value | humanizeDuration }}.",
    },
    {
      name: "RegistryCertificateExpiryImminent",
      severity: "critical",
      expr: `${certificateExpiry} - time() < ${3 * DAY}`,
      after: 2 * period,
      summary: "The registry's certificate is about to expire",
      description:
        "The certificate of {{ $labels.instance }} expires in {{ $value | humanizeDuration }}; from then on every pull and push fails.",
    },
  ];
};

const alertsFor = (site: Site, probe: Probe): Alert[] => {
  const service = probedService(site, probe);
  const instance = serviceInstance(site, service);
  const period = probe.periodMinutes * MINUTE;
  const anywhere = availability(instance, period, probe.shards);
  return service.role === "private" ? [...integrity(instance, period), ...anywhere] : anywhere;
};

const runbook = (site: Site, alert: string): string => `${site.monitoring.runbooks.replace(/\/$/, "")}/${alert}.md`;

const group = (site: Site, name: string, alerts: readonly Alert[]): RuleGroup => ({
  name,
  rules: alerts.map(({ name, severity, expr, after, summary, description }) => ({
    alert: name,
    expr,
    for: duration(after),
    labels: { severity },
    annotations: { summary, description, runbook_url: runbook(site, name) },
  })),
});

/** A group of rules, and what they are about. The maintenance reports without a probe, and of the site's own services. */
export type Watch = { readonly group: RuleGroup } & (
  | { readonly service: Service; readonly probe: Probe | undefined }
  | { readonly service: ExternalRegistry; readonly probe: Probe }
);

/** Everything of a site that is watched: first the probes, then the maintenance of each registry, in the site's order. */
export const watchesOf = (site: Site): Watch[] => {
  const { maintenance, services } = site.registry;
  return [
    ...site.monitoring.probes.map((probe): Watch => {
      const service = probedService(site, probe);
      const watched = { group: group(site, probe.name, alertsFor(site, probe)), probe };
      return isExternal(service) ? { ...watched, service } : { ...watched, service };
    }),
    ...(maintenance === undefined
      ? []
      : services.map((service) => ({
          // No probe can be called so: a slash is in no label.
          group: group(
            site,
            `registry-maintenance/${service.name}`,
            maintenanceAlerts(serviceInstance(site, service), maintenance),
          ),
          service,
          probe: undefined,
        }))),
  ];
};

/** The alerts of a site. */
export const rulesFor = (site: Site): RuleGroup[] => watchesOf(site).map(({ group }) => group);
