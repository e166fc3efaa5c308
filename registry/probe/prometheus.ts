import type { Report } from "../oci/walk";
import { exposition, NOTHING_STORED, pushOf } from "./samples";

/** What a walk knows beside its report. */
export interface Circumstances {
  /** Value of the label `instance`. */
  instance: string;
  /** Whether the catalog was asked for. */
  catalog: boolean;
  /** Unix time of its end, in seconds. */
  ended: number;
  /** Unix time, in seconds; null without TLS. */
  certificateExpiry: number | null;
}

/**
 * The report as Prometheus text, with the metrics of the probe: for the textfile collector of a node exporter, where there
 * is no Pushgateway.
 *
 * https://github.com/prometheus/node_exporter#textfile-collector
 */
export const prometheus = (report: Report, circumstances: Circumstances): string => {
  const { instance, catalog, ended, certificateExpiry } = circumstances;
  const { catalogRead, durationSeconds, counts } = report;
  const { requests, bytes } = counts;
  // Of a cache the probe tells less, because it walks less.
  const role = "private";
  const run = {
    role,
    report,
    catalogAccessible: catalog ? catalogRead : null,
    duration: durationSeconds,
    requests,
    bytes,
  } as const;
  const { samples } = pushOf({ ...run, ended, certificateExpiry, workloads: null }, NOTHING_STORED);
  return exposition(samples.map((sample) => ({ ...sample, labels: { instance, ...sample.labels } })));
};
