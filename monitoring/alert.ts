import type { ManagedHost } from "../site/host";
import type { ExternalRegistry, Probe } from "../site/monitoring";
import type { Service } from "../site/registry";
import { hasRegistry, type MonitoredSite, registryHost } from "../site/schema";

/** critical: act now. warning: a ticket. https://github.com/kubernetes-monitoring/kubernetes-mixin */
export type Severity = "critical" | "warning";

/** An alerting rule. https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/ */
export interface AlertingRule {
  readonly alert: string;
  /** PromQL. */
  readonly expr: string;
  /** How long the expression has to hold, for example "30m". */
  readonly for: string;
  readonly labels: { readonly severity: Severity } & Readonly<Record<string, string>>;
  readonly annotations: {
    readonly summary: string;
    /** A Go template of Prometheus. */
    readonly description: string;
    readonly runbook_url: string;
  };
}

/** Rules that are evaluated together. The name is unique in a site. */
export interface RuleGroup {
  readonly name: string;
  readonly rules: readonly AlertingRule[];
}

/** What an alert is about: one of these for each series that can make it fire. */
export type Subject =
  | { readonly kind: "service"; readonly service: Service; readonly probe: Probe | undefined }
  | { readonly kind: "external"; readonly service: ExternalRegistry; readonly probe: Probe }
  | { readonly kind: "clean-up"; readonly service: ExternalRegistry; readonly probe: Probe }
  | { readonly kind: "host"; readonly host: ManagedHost };

/** An alert before it is known where its page is. */
export interface Alert {
  readonly name: string;
  readonly severity: Severity;
  readonly expr: string;
  /** Seconds. */
  readonly after: number;
  readonly summary: string;
  readonly description: string;
  /**
   * What Alertmanager has to know and the series do not say.
   * @default nothing
   */
  readonly labels?: Readonly<Record<string, string>>;
  /** In the order of the site. */
  readonly about: readonly Subject[];
}

/** Alerts that belong together: one group of rules. A family without an alert in a site has no group. */
export interface Family {
  /** Of the group. */
  readonly name: string;
  readonly alerts: (site: MonitoredSite) => readonly Alert[];
}

export const MINUTE = 60;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * 60 * MINUTE;

/** What tells the series and the alerts of this site from another's, where several clusters share what keeps them. */
export const clusterLabel = ({ monitoring: { cluster } }: MonitoredSite): Readonly<Record<string, string>> =>
  cluster === undefined ? {} : { cluster };

/** Tells Alertmanager which alerts are about what runs on the registry host, and so have a cause in common with its own. */
export const hostLabel = (site: MonitoredSite): Readonly<Record<string, string>> =>
  hasRegistry(site) ? { host: registryHost(site).name } : {};
