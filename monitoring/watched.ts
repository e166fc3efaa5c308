import type { Probe } from "../site/monitoring";
import { isExternal, type MonitoredSite, type ProbedService, probedService, serviceInstance } from "../site/schema";
import { type Alert, clusterLabel, MINUTE, type Subject } from "./alert";
import type { MetricName, PushgatewayMetricName } from "./metrics";
import { anyOf, duration, type Matcher, matchers, selector } from "./promql";

/** A monitored registry, as its rules need it. */
export interface Watched {
  readonly probe: Probe;
  readonly service: ProbedService;
  /** Label of its metrics. */
  readonly instance: string;
  /** An additional label of its metrics, if several clusters share a Prometheus: one must not hide gaps in another. */
  readonly cluster: Readonly<Record<string, string>>;
}

/**
 * Monitored registries that share a rule, which differs in their names only. Every duration is a multiple of the period, because
 * a pushed value stays until the next run replaces it: a condition that holds for two periods was seen by two runs.
 */
export interface Watch {
  /** At least one. */
  readonly registries: readonly Watched[];
  /** Seconds between two runs. */
  readonly period: number;
  /** Pods that report, each about its part of the registry. */
  readonly shards: number;
}

/** Identifies a registry, whichever pod or Pushgateway its report went through. */
export const REGISTRY = "cluster, job, instance";

const watched = (site: MonitoredSite): Watched[] =>
  site.monitoring.probes.map((probe) => {
    const service = probedService(site, probe);
    return { probe, service, instance: serviceInstance(site, service), cluster: clusterLabel(site) };
  });

const grouped = (registries: readonly Watched[]): Watch[] => {
  const watches = new Map<string, Watch>();
  for (const each of registries) {
    const { periodMinutes, shards } = each.probe;
    const key = `${periodMinutes} ${shards}`;
    const { registries = [] } = watches.get(key) ?? {};
    watches.set(key, { registries: [...registries, each], period: periodMinutes * MINUTE, shards });
  }
  return [...watches.values()];
};

/** All monitored registries. */
export const watchesOf = (site: MonitoredSite, isMeant: (each: Watched) => boolean = () => true): Watch[] =>
  grouped(watched(site).filter(isMeant));

/** Those of them that are reached over HTTPS. */
export const encryptedWatchesOf = (site: MonitoredSite): Watch[] =>
  watchesOf(site, ({ service }) =>
    isExternal(service) ? service.url.startsWith("https:") : service.role === "private",
  );

/** The registries that are authoritative for their contents: a cache may lack anything. */
export const authoritativeWatchesOf = (
  site: MonitoredSite,
  isMeant: (each: Watched) => boolean = () => true,
): Watch[] => watchesOf(site, (each) => each.service.role === "private" && isMeant(each));

/** Common parts of all alerts about a watch: its registries, and how often they are checked. */
export const aboutEach = ({ registries, period }: Watch): Pick<Alert, "about" | "labels"> => ({
  labels: { every: duration(period) },
  about: registries.map(subjectOf),
});

export const subjectOf = ({ probe, service }: Watched): Subject =>
  isExternal(service) ? { kind: "external", service, probe } : { kind: "service", service, probe };

/** The current shards: groups that former shards left in the Pushgateway are ignored. */
const shardsOf = ({ probe: { shards } }: Watched): Matcher =>
  shards === 1 ? "" : anyOf(Array.from({ length: shards }, (_, index) => String(index)));

/** Includes the probe's name: groups that a probe with a former name left there are ignored. */
const labelsOf = (each: Watched): Record<string, Matcher> => ({
  ...each.cluster,
  job: each.probe.name,
  instance: each.instance,
  shard: shardsOf(each),
});

/**
 * What the probes of a watch report for a metric.
 *
 * @param over what to do with each series; default: use its current value
 * @param labels select among its series; default: all of them
 */
export const reported = (
  { registries }: Watch,
  metric: MetricName | PushgatewayMetricName,
  over: (series: string) => string = (series) => series,
  labels: Readonly<Record<string, Matcher>> = {},
): string => {
  const selectors = registries.map((each) => over(selector(metric, { ...labelsOf(each), ...labels })));
  return selectors.length === 1 ? selectors.join() : `(${selectors.join(" or ")})`;
};

/** For each registry that reports no value of a metric, one series with the registry's labels. */
export const unreported = ({ registries }: Watch, metric: MetricName): string =>
  registries.map((each) => `absent(${selector(metric, labelsOf(each))})`).join(" or ");

/** The registries of a watch for which an alert is firing. */
export const firing = ({ registries }: Watch, alertname: string): string => {
  const selectors = registries.map(
    ({ probe, instance, cluster }) =>
      `ALERTS${matchers({ alertname, alertstate: "firing", ...cluster, job: probe.name, instance })}`,
  );
  return `max by (${REGISTRY}) (${selectors.join(" or ")})`;
};
