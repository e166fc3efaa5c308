import type { MonitoredSite } from "../site/schema";
import { type Alert, type AlertingRule, type Family, MINUTE, type RuleGroup, type Subject } from "./alert";
import { catalogAlerts } from "./families/catalog";
import { certificateAlerts } from "./families/certificate";
import { coverageAlerts } from "./families/coverage";
import { damageAlerts } from "./families/damage";
import { maintenanceAlerts } from "./families/maintenance";
import { probeAlerts } from "./families/probe";

/** Every family, in the order in which their alerts are documented. */
const FAMILIES: readonly Family[] = [
  damageAlerts,
  coverageAlerts,
  certificateAlerts,
  catalogAlerts,
  probeAlerts,
  maintenanceAlerts,
];

/** A duration as Prometheus reads it. */
const duration = (seconds: number): string => (seconds % MINUTE === 0 ? `${seconds / MINUTE}m` : `${seconds}s`);

const runbook = (site: MonitoredSite, alert: string): string =>
  `${site.monitoring.runbooks.replace(/\/$/, "")}/${alert}.md`;

const ruleOf = (site: MonitoredSite, { name, severity, expr, after, summary, description }: Alert): AlertingRule => ({
  alert: name,
  expr,
  for: duration(after),
  labels: { severity },
  annotations: { summary, description, runbook_url: runbook(site, name) },
});

/** A rule, and what it is about. */
export interface Documented {
  readonly rule: AlertingRule;
  readonly about: readonly Subject[];
}

/** Every rule of a site, with what it is about. */
export const documentedRules = (site: MonitoredSite): Documented[] =>
  FAMILIES.flatMap(({ alerts }) => alerts(site)).map((alert) => ({ rule: ruleOf(site, alert), about: alert.about }));

/** The alerts of a site: one group for each family that has any. */
export const rulesFor = (site: MonitoredSite): RuleGroup[] =>
  FAMILIES.map(({ name, alerts }) => ({ name, rules: alerts(site).map((alert) => ruleOf(site, alert)) })).filter(
    ({ rules }) => rules.length > 0,
  );
