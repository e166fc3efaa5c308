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

/** Every family, in the order in which their alerts are documented. */
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
 * One rule of what differs in its condition alone: two with the same name and labels would be one alert with two
 * conditions, and promtool warns of them.
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
    // What a site has nothing of cannot go wrong there.
    documented: merged(alerts(site).filter(({ about }) => about.length > 0)).map((alert) => ({
      rule: ruleOf(site, alert),
      about: alert.about,
    })),
  }));

/** Every rule of a site, with what it is about. */
export const documentedRules = (site: MonitoredSite): Documented[] =>
  documentedFamilies(site).flatMap(({ documented }) => documented);

/** The alerts of a site: one group for each family that has any. */
export const rulesFor = (site: MonitoredSite): RuleGroup[] =>
  documentedFamilies(site)
    .map(({ name, documented }) => ({ name, rules: documented.map(({ rule }) => rule) }))
    .filter(({ rules }) => rules.length > 0);
