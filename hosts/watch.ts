import { HOST_JOB, HOST_METRICS, HOST_WATCH_MINUTES, type HostMetricName } from "../monitoring/metrics";
import { hasResolver, type ManagedHost } from "../site/host";
import { type Dns, hasDns, pushgatewayUrlFrom, type Site } from "../site/schema";
import { type DeliveredFile, type DeliveredLink, hostProgram } from "./delivery";
import { GENERATED_COMMENT } from "./generated";
import { reportUrl } from "./report-url";
import { assignments, type Settings } from "./shell";
import { UNITS, unitOf, WATCH_UNIT, watchService, watchTimer } from "./systemd-unit";

const PROGRAM = "/var/lib/registry-warden/watch.sh";

const METRICS = {
  AS_DELIVERED: "registry_warden_host_as_delivered",
  RESOLVER_UP: "registry_warden_resolver_up",
  LAST_RUN: "registry_warden_host_last_run_timestamp_seconds",
} as const satisfies Record<string, HostMetricName>;

/** Where a host's monitoring reports, and as part of which cluster. */
export interface HostReports {
  /** Base URL of the Pushgateway, as the host reaches it. */
  readonly pushgateway: string;
  /**
   * Value of the label `cluster` of its metrics.
   * @default no such label
   */
  readonly cluster?: string;
}

/** The resolvers that a host checks, and the names with which it does. */
export interface WatchedNames {
  readonly nameservers: readonly string[];
  readonly names: Dns;
}

const settings = (
  host: ManagedHost,
  { pushgateway, cluster }: HostReports,
  watched: WatchedNames | undefined,
): Settings => ({
  HOST: host.name,
  GROUP: reportUrl(pushgateway, { job: HOST_JOB, host: host.name, cluster }),
  NAMESERVERS: watched?.nameservers ?? [],
  INTERNAL_NAME: watched?.names.internal.name ?? "",
  INTERNAL_ADDRESS: watched?.names.internal.address ?? "",
  EXTERNAL_NAME: watched?.names.external ?? "",
  ...Object.fromEntries(
    Object.entries(METRICS).flatMap(([name, metric]) => [
      [`METRIC_${name}`, metric],
      [`HELP_${name}`, HOST_METRICS[metric]],
    ]),
  ),
});

/** The timer and the service that are delivered with a host's DNS or with its registries; without the extension. */
export const WITH_NAMES = `${WATCH_UNIT}-host`;
export const WITH_REGISTRIES = unitOf("watch");

/** Whether the delivery of a host's DNS includes its monitoring; otherwise the delivery of the registries does. */
export const isWatchedWithNames = (site: Site, host: ManagedHost): boolean => hasDns(site) && hasResolver(host);

/** The timer and the service that monitor a host, without the extension; the name's prefix assigns them to a delivery. */
export const watchUnit = (site: Site, host: ManagedHost): string =>
  isWatchedWithNames(site, host) ? WITH_NAMES : WITH_REGISTRIES;

/** The part of a delivery that monitors a host. */
export interface WatchDelivery {
  readonly files: readonly DeliveredFile[];
  readonly links: readonly DeliveredLink[];
}

/** Where a site's host reports; undefined if there is no Pushgateway for it. */
export const reportsOf = (site: Site, host: ManagedHost): HostReports | undefined => {
  const pushgateway = pushgatewayUrlFrom(site, host);
  return pushgateway === undefined ? undefined : { pushgateway, cluster: site.monitoring?.cluster };
};

/**
 * The program that checks a host, its settings and its timer; empty if its reports would go nowhere.
 *
 * @param unit without the extension
 */
export const watchDelivery = (
  host: ManagedHost,
  unit: string,
  reports: HostReports | undefined,
  watched?: WatchedNames,
): WatchDelivery => {
  if (reports === undefined) return { files: [], links: [] };
  const file = (path: string, content: string): DeliveredFile => ({ path, mode: "0644", content });
  return {
    files: [
      { ...file(PROGRAM, `#!/usr/bin/env bash\n${hostProgram("watch.sh")}`), shown: "digest" },
      file(
        PROGRAM.replace(/\.sh$/, ".settings"),
        `${GENERATED_COMMENT}\n${assignments(settings(host, reports, watched))}`,
      ),
      file(`${UNITS}/${unit}.service`, watchService(PROGRAM)),
      file(`${UNITS}/${unit}.timer`, watchTimer(HOST_WATCH_MINUTES)),
    ],
    links: [{ path: `${UNITS}/timers.target.wants/${unit}.timer`, target: `../${unit}.timer` }],
  };
};
