/**
 * Every metric that the product exports, by name: rules, dashboards and the probe all take the names from here, so a typo is a
 * type error and a renamed metric cannot leave a rule behind. The first six names are those of the original program, kept
 * because existing dashboards use them.
 *
 * Naming: https://prometheus.io/docs/practices/naming/
 */
export const METRICS = {
  registry_manifest_integrity_failures: "distinct broken objects found by the last walk",
  registry_manifest_integrity_catalog_accessible: "1 when the catalog could be read, 0 otherwise",
  registry_manifest_integrity_catalog_inaccessible_seconds:
    "how long the last run asked for the catalog in vain, 0 when it was read",
  registry_manifest_integrity_repos_checked: "repositories checked by the last walk",
  registry_manifest_integrity_tags_checked: "tags checked by the last walk",
  registry_manifest_integrity_indexes_checked: "image indexes checked by the last walk",
  registry_manifest_integrity_last_run_timestamp: "unix time of the last run, whatever it found (seconds)",
  registry_manifest_integrity_failures_by_reason: "distinct broken objects found by the last walk, by reason",
  registry_manifest_integrity_manifests_checked: "image manifests checked by the last walk, indexes excluded",
  registry_manifest_integrity_blobs_checked: "configs and layers checked by the last walk",
  registry_manifest_integrity_repositories_without_tags:
    "repositories that the catalog lists and that have no list of tags, by the last walk",
  registry_manifest_integrity_walk_complete: "1 when the last walk reached everything, 0 otherwise",
  registry_manifest_integrity_last_complete_walk_timestamp_seconds:
    "unix time of the last walk that reached everything",
  registry_manifest_integrity_last_success_timestamp_seconds: "unix time of the last complete walk without a finding",
  registry_manifest_integrity_run_duration_seconds: "duration of the last run",
  registry_manifest_integrity_run_requests: "http requests sent by the last run",
  registry_manifest_integrity_run_bytes: "body bytes received by the last run",
  registry_manifest_integrity_certificate_expiry_timestamp_seconds:
    "unix time at which the registry's certificate expires",
  registry_workload_images:
    "images that pods and CronJobs of the cluster need from the registry, by what it has of them: intact, broken, missing or unknown",
  registry_workload_known:
    "1 when the last run learned of every image that runs and reported it where it may, 0 otherwise",
} as const;

export type MetricName = keyof typeof METRICS;

/**
 * Metrics that a Pushgateway itself adds to each group.
 *
 * https://github.com/prometheus/pushgateway#about-metric-inconsistencies
 */
export const PUSHGATEWAY_METRICS = {
  push_time_seconds: "unix time of the last push that was taken",
  push_failure_time_seconds: "unix time of the last push that was refused, 0 when there was none",
} as const;

export type PushgatewayMetricName = keyof typeof PUSHGATEWAY_METRICS;

/** The Pushgateway job of the following metrics, with the labels `instance` and `task`. */
export const MAINTENANCE_JOB = "registry-maintenance";

/**
 * What the maintenance on the registry host reports about each registry and task. The host pushes everything again with
 * each check of the disk, so that a Pushgateway that lost its data gets it back.
 */
export const MAINTENANCE_METRICS = {
  registry_maintenance_success: "1 when the last run did all of its work, 0 otherwise",
  registry_maintenance_last_run_timestamp_seconds: "unix time of the end of the last run, whatever came of it",
  registry_maintenance_last_success_timestamp_seconds:
    "unix time of the end of the last run that did all of its work; before the first, of the delivery",
  registry_maintenance_allowed_age_seconds: "how old the last success may become, by the schedule of the task",
  registry_maintenance_run_duration_seconds: "duration of the last run",
  registry_maintenance_freed_bytes: "bytes of the disk that the last run freed of blobs, measured before and after",
  registry_maintenance_corrupt_blobs:
    "blobs on the disk that do not hash to their name, as the last scrub has found so far",
  registry_maintenance_scrub_progress_ratio: "how much of the blobs' bytes the scrub has read, from 0 to 1",
  registry_maintenance_repositories_left: "repositories with tags that the last clean-up left",
  registry_maintenance_tags_left: "tags that the last clean-up left",
  registry_maintenance_disk_free_bytes: "bytes that are available on the disk of the registry's data",
  registry_maintenance_disk_size_bytes: "size of the disk of the registry's data (bytes)",
} as const;

export type MaintenanceMetricName = keyof typeof MAINTENANCE_METRICS;

/** The Pushgateway job of the following metrics, with the label `instance`. */
export const CLEAN_UP_JOB = "registry-clean-up";

/** What the clean-up of a registry over HTTP reports. */
export const CLEAN_UP_METRICS = {
  registry_clean_up_success:
    "1 when the last run did all of its work, 0 when it refused, failed or left something broken",
  registry_clean_up_last_run_timestamp_seconds: "unix time of the end of the last run, whatever came of it",
  registry_clean_up_last_success_timestamp_seconds: "unix time of the end of the last run that did all of its work",
  registry_clean_up_run_duration_seconds: "duration of the last run",
  registry_clean_up_removed_tags: "tags that the last run removed",
  registry_clean_up_removed_manifests: "manifests that the last run removed",
  registry_clean_up_spared:
    "tags and manifests that the last run planned to remove and left, because they were needed again",
  registry_clean_up_skipped_repositories:
    "repositories that the last run left alone, because something of them is damaged",
} as const;

export type CleanUpMetricName = keyof typeof CLEAN_UP_METRICS;

/** The Pushgateway job of the following metrics, with the label `host`. */
export const HOST_JOB = "registry-warden-host";

/** What each managed host reports about itself. */
export const HOST_METRICS = {
  registry_warden_host_as_delivered: "1 when the host is as the delivery left it, 0 otherwise",
  registry_warden_resolver_up: "1 when the resolver answered this host for the names of the site, 0 otherwise",
  registry_warden_host_last_run_timestamp_seconds: "unix time of the last look at the host (seconds)",
} as const;

/** Time between two reports of a host. */
export const HOST_WATCH_MINUTES = 10;

export type HostMetricName = keyof typeof HOST_METRICS;
