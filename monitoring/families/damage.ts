import type { Alert, Family } from "../alert";
import type { MetricName } from "../metrics";
import { authoritativeWatchesOf, reported, subjectOf, type Watch } from "../watched";

const BY_REASON: MetricName = "registry_manifest_integrity_failures_by_reason";

const alertsAbout = (watch: Watch): Alert[] => {
  const about = watch.registries.map(subjectOf);
  return [
    {
      name: "RegistryManifestIntegrityFailure",
      severity: "critical",
      expr: `${reported(watch, "registry_manifest_integrity_failures")} > 0`,
      after: 2 * watch.period,
      summary: "The registry serves images that cannot be pulled",
      description: `Broken objects in {{ $labels.instance }}: {{ $value }}{{ range printf "${BY_REASON}{instance=%q} > 0" $labels.instance | query | sortByLabel "reason" }}, {{ .Labels.reason }} {{ .Value }}{{ end }}. Pulls of the images that hold them fail. Collect no garbage before they are repaired.`,
      about,
    },
    {
      name: "RegistryIntegrityWalkIncomplete",
      severity: "warning",
      expr: `${reported(watch, "registry_manifest_integrity_walk_complete")} == 0`,
      after: 2 * watch.period,
      summary: "The integrity probe does not reach all of the registry",
      description:
        "The last runs over {{ $labels.instance }} ended before they had seen everything: a part of its images is unverified.",
      about,
    },
  ];
};

/** Whether what a registry holds can be pulled. */
export const damageAlerts: Family = {
  name: "registry-damage",
  alerts: (site) => authoritativeWatchesOf(site).flatMap(alertsAbout),
};
