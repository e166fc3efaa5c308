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
  /** How long the expression must hold, for example "30m". */
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

/** What an alert is about: one for each series that can trigger it. */
export type Subject =
  | { readonly kind: "service"; readonly service: Service; readonly probe: Probe | undefined }
  | { readonly kind: "external"; readonly service: ExternalRegistry; readonly probe: Probe }
  | { readonly kind: "clean-up"; readonly service: ExternalRegistry; readonly probe: Probe }
  | { readonly kind: "host"; readonly host: ManagedHost };

/** An alert without the address of its page. */
export interface Alert {
  readonly name: string;
  readonly severity: Severity;
  readonly expr: string;
  /** Seconds. */
  readonly after: number;
  readonly summary: string;
  readonly description: string;
  /**
   * What Alertmanager needs to know beyond the labels of the series.
   * @default nothing
   */
  readonly labels?: Readonly<Record<string, string>>;
  /** In the order of the site. */
  readonly about: readonly Subject[];
}

/** Related alerts: one group of rules. A family without alerts in a site has no group. */
export interface Family {
  /** The name of the group. */
  readonly name: string;
  readonly alerts: (site: MonitoredSite) => readonly Alert[];
}

export const MINUTE = 60;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * 60 * MINUTE;

/** Distinguishes the series and alerts of this site from another's, if several clusters share the monitoring. */
export const clusterLabel = ({ monitoring: { cluster } }: MonitoredSite): Readonly<Record<string, string>> =>
  cluster === undefined ? {} : { cluster };

/** Tells Alertmanager which alerts concern the registry host, and so share a cause with the host's own alerts. */
export const hostLabel = (site: MonitoredSite): Readonly<Record<string, string>> =>
  hasRegistry(site) ? { host: registryHost(site).name } : {};
