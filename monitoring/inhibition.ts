/** An inhibition of Alertmanager. https://prometheus.io/docs/alerting/latest/configuration/#inhibit_rule */
export interface InhibitRule {
  readonly source_matchers: readonly string[];
  readonly target_matchers: readonly string[];
  readonly equal: readonly string[];
}

/**
 * The one inhibition that loses nothing: while the catalog of a registry cannot be read, what the last walk found in
 * it is no news. A warning never mutes a critical alert.
 */
export const INHIBIT_RULES: readonly InhibitRule[] = [
  {
    source_matchers: ['alertname="RegistryCatalogInaccessible"'],
    target_matchers: ['alertname="RegistryManifestIntegrityFailure"'],
    equal: ["instance"],
  },
];
