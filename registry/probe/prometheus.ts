import type { Report } from "../oci/walk";
import { exposition, NOTHING_STORED, probePush } from "./samples";

/** What a walk knows in addition to its report. */
export interface Circumstances {
  /** Value of the label `instance`. */
  instance: string;
  /** Whether the catalog was requested. */
  catalog: boolean;
  /** Unix time of the walk's end, in seconds. */
  ended: number;
  /** Unix time, in seconds; null without TLS. */
  certificateExpiry: number | null;
}

/**
 * The report as Prometheus text, with the metrics of the probe: for the textfile collector of a node exporter, if there is no
 * Pushgateway.
 *
 * https://github.com/prometheus/node_exporter#textfile-collector
 */
export const prometheus = (report: Report, circumstances: Circumstances): string => {
  const { instance, catalog, ended, certificateExpiry } = circumstances;
  const { catalogRead, durationSeconds, counts } = report;
  const { requests, bytes } = counts;
  // For a cache the probe reports less, but only because it does not walk it.
  const role = "private";
  const run = {
    role,
    report,
    catalogAccessible: catalog ? catalogRead : null,
    duration: durationSeconds,
    requests,
    bytes,
  } as const;
  const { samples } = probePush({ ...run, ended, certificateExpiry, workloads: null }, NOTHING_STORED);
  return exposition(samples.map((sample) => ({ ...sample, labels: { instance, ...sample.labels } })));
};
