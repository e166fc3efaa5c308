/** An inhibition rule of Alertmanager. https://prometheus.io/docs/alerting/latest/configuration/#inhibit_rule */
export interface InhibitRule {
  readonly source_matchers: readonly string[];
  readonly target_matchers: readonly string[];
  readonly equal: readonly string[];
}

/** An alert that is the cause, the alerts that follow from it, and the labels that identify a common cause. */
interface CauseWithEffects {
  readonly cause: string;
  readonly effects: readonly string[];
  readonly same: "registry" | "host" | "everything";
}

/** All include the cluster: a failure in one says nothing about another. A label that is absent from both is equal. */
const EQUAL = {
  registry: ["cluster", "instance"],
  host: ["cluster", "host"],
  everything: ["cluster"],
} as const;

/** One cause, one page. A warning never mutes a critical alert. */
export const CAUSES: readonly CauseWithEffects[] = [
  {
    // The results of the last walk are not news while nothing can be read.
    cause: "RegistryCatalogInaccessible",
    effects: [
      "RegistryManifestIntegrityFailure",
      "RegistryIntegrityWalkIncomplete",
      "RegistryWorkloadImageMissing",
      "RegistryWorkloadsUnknown",
      "RegistryIntegrityProbeSlow",
      "RegistryCatalogEmpty",
      "RegistryMassLoss",
      "RegistryIntegrityCoverageLost",
      "RegistryRepositoriesWithoutTags",
      "RegistryCleanUpFailed",
    ],
    same: "registry",
  },
  // A clean-up refuses as long as the images in use are unknown.
  { cause: "RegistryWorkloadsUnknown", effects: ["RegistryCleanUpFailed"], same: "registry" },
  // A host that is down runs no maintenance.
  {
    cause: "RegistryCatalogInaccessible",
    effects: ["RegistryMaintenanceStale", "RegistryMaintenanceFailed"],
    same: "host",
  },
  {
    cause: "RegistryCatalogEmpty",
    effects: ["RegistryMassLoss", "RegistryIntegrityCoverageLost"],
    same: "registry",
  },
  { cause: "RegistryMassLoss", effects: ["RegistryIntegrityCoverageLost"], same: "registry" },
  // The maintenance stops at damage that a scan finds as well.
  { cause: "RegistryManifestIntegrityFailure", effects: ["RegistryMaintenanceFailed"], same: "registry" },
  { cause: "RegistryIntegrityWalkIncomplete", effects: ["RegistryIntegrityProbeSlow"], same: "registry" },
  { cause: "RegistryCertificateExpiryImminent", effects: ["RegistryCertificateExpiresSoon"], same: "registry" },
  {
    cause: "RegistryIntegrityLabelsOverwritten",
    effects: [
      "RegistryReportsAbsent",
      "RegistryIntegrityProbeAbsent",
      "RegistryIntegrityProbeStale",
      "RegistryIntegrityProbeDead",
      "RegistryMaintenanceStale",
      "RegistryCleanUpAbsent",
    ],
    same: "everything",
  },
  {
    cause: "RegistryReportsAbsent",
    effects: [
      "RegistryIntegrityProbeAbsent",
      "RegistryIntegrityProbeStale",
      "RegistryMaintenanceStale",
      "RegistryCleanUpAbsent",
    ],
    same: "everything",
  },
  {
    cause: "RegistryIntegrityProbeDead",
    effects: ["RegistryIntegrityProbeAbsent", "RegistryIntegrityProbeStale", "RegistryIntegrityPushFailed"],
    same: "registry",
  },
  { cause: "RegistryIntegrityProbeDead", effects: ["RegistryReportsAbsent"], same: "everything" },
  { cause: "RegistryIntegrityProbeAbsent", effects: ["RegistryIntegrityProbeStale"], same: "registry" },
  { cause: "RegistryIntegrityPushFailed", effects: ["RegistryIntegrityProbeStale"], same: "registry" },
  {
    cause: "RegistryDiskFull",
    effects: ["RegistryDiskSpaceLow", "RegistryMaintenanceFailed", "RegistryMaintenanceStale"],
    same: "host",
  },
];

/** To be copied into Alertmanager's configuration. */
export const INHIBIT_RULES: readonly InhibitRule[] = CAUSES.map(({ cause, effects, same }) => ({
  source_matchers: [`alertname="${cause}"`],
  target_matchers: [`alertname=~"${effects.join("|")}"`],
  equal: EQUAL[same],
}));
