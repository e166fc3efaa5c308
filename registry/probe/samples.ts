import { CLEAN_UP_METRICS, type CleanUpMetricName, METRICS, type MetricName } from "../../monitoring/metrics";
import { catalogFailure, type Failure, REASONS } from "../oci/failure";
import { IMAGE_STATES } from "../oci/images";
import type { Role } from "../oci/repository";
import type { Report } from "../oci/walk";
import type { WorkloadRun } from "./workloads";

/** One value of one series. */
export interface Sample {
  name: MetricName | CleanUpMetricName;
  labels?: Record<string, string>;
  value: number;
}

/** The result of a run of the probe, with or without a walk. */
export interface ProbeRun {
  role: Role;
  /** Null when no walk began. */
  report: Report | null;
  /** Null if the catalog was not requested. */
  catalogAccessible: boolean | null;
  /** Seconds. */
  duration: number;
  requests: number;
  /** Body bytes received. */
  bytes: number;
  /** Unix time of the run's end, in seconds. */
  ended: number;
  /** Unix time, in seconds; null without TLS. */
  certificateExpiry: number | null;
  /** The images in use in the cluster; null if they are not verified. */
  workloads: Pick<WorkloadRun, "images" | "known"> | null;
}

/** What the Pushgateway still has from earlier runs; null if it has nothing. */
export interface Stored {
  catalogAccessible: number | null;
  failures: number | null;
  repositories: number | null;
  tags: number | null;
  lastSuccess: number | null;
}

export const NOTHING_STORED: Stored = {
  catalogAccessible: null,
  failures: null,
  repositories: null,
  tags: null,
  lastSuccess: null,
};

/** An unreadable catalog has a metric of its own; it is not a broken object. */
const countsAsFailure = ({ object, reason }: Failure): boolean => object !== "catalog" || reason === "coverage";

const failureSamples = (report: Report): Sample[] => {
  const failures = report.failures.filter(countsAsFailure);
  return [
    { name: "registry_manifest_integrity_failures", value: failures.length },
    ...REASONS.map((reason) => ({
      name: "registry_manifest_integrity_failures_by_reason" as const,
      labels: { reason },
      value: failures.filter((failure) => failure.reason === reason).length,
    })),
  ];
};

const catalogSamples = (accessible: boolean, inaccessible: number): Sample[] => [
  { name: "registry_manifest_integrity_catalog_accessible", value: accessible ? 1 : 0 },
  { name: "registry_manifest_integrity_catalog_inaccessible_seconds", value: inaccessible },
];

/** Metrics that apply to any registry, whatever it contains. */
const availabilitySamples = (run: ProbeRun): Sample[] => {
  const samples: Sample[] = [
    // A run that could not read the catalog did nothing but request it.
    ...(run.catalogAccessible === null
      ? []
      : catalogSamples(run.catalogAccessible, run.catalogAccessible ? 0 : run.duration)),
    { name: "registry_manifest_integrity_last_run_timestamp", value: run.ended },
    { name: "registry_manifest_integrity_run_duration_seconds", value: run.duration },
    { name: "registry_manifest_integrity_run_requests", value: run.requests },
    { name: "registry_manifest_integrity_run_bytes", value: run.bytes },
  ];
  if (run.certificateExpiry !== null) {
    const name = "registry_manifest_integrity_certificate_expiry_timestamp_seconds";
    samples.push({ name, value: run.certificateExpiry });
  }
  return samples;
};

/** For unknown images nothing is pushed, so that existing alerts about them continue. */
const workloadSamples = (workloads: ProbeRun["workloads"]): Sample[] => {
  if (workloads === null) return [];
  const { images, known } = workloads;
  return [
    { name: "registry_workload_known", value: known ? 1 : 0 },
    ...(images === null
      ? []
      : IMAGE_STATES.map((state) => ({
          name: "registry_workload_images" as const,
          labels: { state },
          value: images[state],
        }))),
  ];
};

const coverageSamples = ({ counts, warnings }: Report): Sample[] => [
  { name: "registry_manifest_integrity_repos_checked", value: counts.repositories },
  { name: "registry_manifest_integrity_tags_checked", value: counts.tags },
  { name: "registry_manifest_integrity_indexes_checked", value: counts.indexes },
  { name: "registry_manifest_integrity_manifests_checked", value: counts.manifests },
  { name: "registry_manifest_integrity_blobs_checked", value: counts.blobs },
  { name: "registry_manifest_integrity_repositories_without_tags", value: warnings.length },
];

/** What is sent to the Pushgateway: replacing everything in the registry's group, or adding to it. */
export interface Push {
  method: "PUT" | "POST";
  samples: Sample[];
}

/** What a walk can report as soon as it has begun: the catalog is readable again. */
export const CATALOG_IS_BACK: Push = { method: "POST", samples: catalogSamples(true, 0) };

/**
 * A complete walk replaces everything. An incomplete one adds how the run went, and may raise the number of failures but never
 * lower it: a single time-out must not look like a repair, and a first walk that did not see everything must not report that
 * nothing is broken. A cache is not walked, so the only result is whether it answers: a number of failures would suggest that
 * its contents had been checked.
 *
 * @param stored null when it could not be read
 */
export const probePush = (run: ProbeRun, stored: Stored | null): Push => {
  const { report, ended } = run;
  const samples = availabilitySamples(run);
  if (run.role === "proxy") return { method: run.catalogAccessible ? "PUT" : "POST", samples };
  samples.push({ name: "registry_manifest_integrity_walk_complete", value: report?.complete ? 1 : 0 });
  samples.push(...workloadSamples(run.workloads));
  if (!report?.complete) {
    const failures = report?.failures.filter(countsAsFailure).length ?? 0;
    const raised = stored !== null && failures > (stored.failures ?? 0) && report !== null;
    return { method: "POST", samples: raised ? [...samples, ...failureSamples(report)] : samples };
  }
  const lastSuccess = report.failures.length === 0 ? ended : (stored?.lastSuccess ?? null);
  samples.push(...failureSamples(report), ...coverageSamples(report), {
    name: "registry_manifest_integrity_last_complete_walk_timestamp_seconds",
    value: ended,
  });
  if (lastSuccess !== null) {
    samples.push({ name: "registry_manifest_integrity_last_success_timestamp_seconds", value: lastSuccess });
  }
  return { method: "PUT", samples };
};

/** A registry keeps listing a repository whose tags are gone; tags come and go, but not half of them between two runs. */
const TAGS_LOST = 0.5;

/** A complete walk that saw much less than the last one reports this loss of coverage as a failure. */
export const withCoverage = (report: Report, stored: Stored | null): Report => {
  if (!report.complete || stored === null) return report;
  const { repositories, tags } = report.counts;
  const lost: string[] = [];
  if (repositories < (stored.repositories ?? 0))
    lost.push(`${repositories} repositories, ${stored.repositories} before`);
  if (tags < TAGS_LOST * (stored.tags ?? 0)) lost.push(`${tags} tags, ${stored.tags} before`);
  if (lost.length === 0 || report.failures.some(({ reason }) => reason === "coverage")) return report;
  const detail = `the walk was shown less than the last one: ${lost.join("; ")}`;
  const failure = catalogFailure({ reason: "coverage", status: 200, detail });
  return { ...report, failures: [failure, ...report.failures] };
};

const label = ([name, value]: [string, string]): string =>
  `${name}="${value.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n")}"`;

const HELP = { ...METRICS, ...CLEAN_UP_METRICS };

/** The text format 0.0.4. https://prometheus.io/docs/instrumenting/exposition_formats/ */
export const exposition = (samples: readonly Sample[]): string => {
  const names = [...new Set(samples.map(({ name }) => name))];
  const lines = names.flatMap((name) => [
    `# HELP ${name} ${HELP[name]}`,
    `# TYPE ${name} gauge`,
    ...samples
      .filter((sample) => sample.name === name)
      .map(({ labels, value }) => {
        const pairs = Object.entries(labels ?? {}).map(label);
        return `${name}${pairs.length > 0 ? `{${pairs.join(",")}}` : ""} ${value}`;
      }),
  ]);
  return `${lines.join("\n")}\n`;
};
