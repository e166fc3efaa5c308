import type { AlertingRule, RuleGroup } from "../../monitoring/alert";
import type { MetricName } from "../../monitoring/metrics";

const rule = (alert: string, metric: MetricName, condition: (metric: string) => string, pending: string) =>
  ({
    alert: `Origin${alert}`,
    expr: condition(metric),
    for: pending,
    labels: { severity: "critical" },
    annotations: { summary: "", description: "", runbook_url: "" },
  }) satisfies AlertingRule;

/** The three alerts that the product started with, unchanged: each corresponds to a current alert with a new prefix. */
export const ORIGIN: RuleGroup = {
  name: "origin",
  rules: [
    rule(
      "RegistryManifestIntegrityFailure",
      "registry_manifest_integrity_failures",
      (failures) => `${failures} > 0`,
      "30m",
    ),
    rule(
      "RegistryIntegrityProbeStale",
      "registry_manifest_integrity_last_run_timestamp",
      (lastRun) => `time() - ${lastRun} > 3600`,
      "15m",
    ),
    rule(
      "RegistryCatalogInaccessible",
      "registry_manifest_integrity_catalog_accessible",
      (accessible) => `${accessible} == 0`,
      "15m",
    ),
  ],
};
