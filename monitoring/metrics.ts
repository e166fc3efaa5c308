/**
 * Every metric the product exports, by name: rules, dashboards and the probe all take a name from here, so a typo is a
 * type error and a renamed metric cannot leave a rule behind. The first six are the origin's names, kept because
 * dashboards of others are built on them.
 *
 * Naming: https://prometheus.io/docs/practices/naming/
 */
export const METRICS = {
  registry_manifest_integrity_failures: "distinct broken objects found by the last walk",
  registry_manifest_integrity_catalog_accessible: "1 when the catalogue could be read, 0 otherwise",
  registry_manifest_integrity_repos_checked: "repositories checked by the last walk",
  registry_manifest_integrity_tags_checked: "tags checked by the last walk",
  registry_manifest_integrity_indexes_checked: "image indexes checked by the last walk",
  registry_manifest_integrity_last_run_timestamp: "unix time of the last run, whatever it found (seconds)",
  registry_manifest_integrity_failures_by_reason: "distinct broken objects found by the last walk, by reason",
  registry_manifest_integrity_manifests_checked: "image manifests checked by the last walk, indexes excluded",
  registry_manifest_integrity_blobs_checked: "configs and layers checked by the last walk",
  registry_manifest_integrity_walk_complete: "1 when the last walk reached everything, 0 otherwise",
  registry_manifest_integrity_last_complete_walk_timestamp_seconds:
    "unix time of the last walk that reached everything",
  registry_manifest_integrity_last_success_timestamp_seconds: "unix time of the last complete walk without a finding",
  registry_manifest_integrity_run_duration_seconds: "duration of the last run",
  registry_manifest_integrity_run_requests: "http requests sent by the last run",
  registry_manifest_integrity_run_bytes: "body bytes received by the last run",
  registry_manifest_integrity_certificate_expiry_timestamp_seconds:
    "unix time at which the registry's certificate expires",
} as const;

export type MetricName = keyof typeof METRICS;

/**
 * Metrics that a Pushgateway adds to each group of its own accord.
 *
 * https://github.com/prometheus/pushgateway#about-metric-inconsistencies
 */
export const PUSHGATEWAY_METRICS = {
  push_time_seconds: "unix time of the last push that was taken",
  push_failure_time_seconds: "unix time of the last push that was refused, 0 when there was none",
} as const;

export type PushgatewayMetricName = keyof typeof PUSHGATEWAY_METRICS;
