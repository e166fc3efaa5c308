import type { MonitoredSite } from "../site/schema";
import { type Alert, type AlertingRule, clusterLabel, type Family, type RuleGroup, type Subject } from "./alert";
import { catalogAlerts } from "./families/catalog";
import { certificateAlerts } from "./families/certificate";
import { cleanUpAlerts } from "./families/clean-up";
import { coverageAlerts } from "./families/coverage";
import { damageAlerts } from "./families/damage";
import { hostAlerts } from "./families/host";
import { maintenanceAlerts } from "./families/maintenance";
import { probeAlerts } from "./families/probe";
import { workloadAlerts } from "./families/workloads";
import { duration } from "./promql";

/** All families, in the order of their documentation. */
const FAMILIES: readonly Family[] = [
  damageAlerts,
  workloadAlerts,
  coverageAlerts,
  certificateAlerts,
  catalogAlerts,
  probeAlerts,
  maintenanceAlerts,
  cleanUpAlerts,
  hostAlerts,
];

const runbook = (site: MonitoredSite, alert: string): string =>
  `${site.monitoring.runbooks.replace(/\/$/, "")}/${alert}.md`;

const ruleOf = (
  site: MonitoredSite,
  { name, severity, expr, after, summary, description, labels }: Alert,
): AlertingRule => ({
  alert: name,
  expr,
  for: duration(after),
  labels: {
    severity,
    ...labels,
    ...clusterLabel(site),
  },
  annotations: { summary, description, runbook_url: runbook(site, name) },
});

/**
 * Merges rules that differ only in their condition: two with the same name and labels would be one alert with two conditions, and
 * promtool warns about them.
 */
const merged = (alerts: readonly Alert[]): Alert[] => {
  const known = new Map<string, Alert>();
  for (const alert of alerts) {
    const { expr, about, ...others } = alert;
    const key = JSON.stringify(others);
    const same = known.get(key);
    known.set(
      key,
      same === undefined ? alert : { ...same, expr: `(${same.expr}) or (${expr})`, about: [...same.about, ...about] },
    );
  }
  return [...known.values()];
};

/** A rule, and what it is about. */
export interface Documented {
  readonly rule: AlertingRule;
  readonly about: readonly Subject[];
}

const documentedFamilies = (site: MonitoredSite): { readonly name: string; readonly documented: Documented[] }[] =>
  FAMILIES.map(({ name, alerts }) => ({
    name,
    // What a site does not have cannot fail.
    documented: merged(alerts(site).filter(({ about }) => about.length > 0)).map((alert) => ({
      rule: ruleOf(site, alert),
      about: alert.about,
    })),
  }));

/** All rules of a site, with what they are about. */
export const documentedRules = (site: MonitoredSite): Documented[] =>
  documentedFamilies(site).flatMap(({ documented }) => documented);

/** The alerts of a site: one group for each family with alerts. */
export const rulesFor = (site: MonitoredSite): RuleGroup[] =>
  documentedFamilies(site)
    .map(({ name, documented }) => ({ name, rules: documented.map(({ rule }) => rule) }))
    .filter(({ rules }) => rules.length > 0);
