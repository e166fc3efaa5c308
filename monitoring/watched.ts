import type { Probe } from "../site/monitoring";
import { isExternal, type MonitoredSite, type ProbedService, probedService, serviceInstance } from "../site/schema";
import { type Alert, clusterLabel, MINUTE, type Subject } from "./alert";
import type { MetricName, PushgatewayMetricName } from "./metrics";
import { anyOf, duration, type Matcher, matchers, selector } from "./promql";

/** A registry that is probed, as the rules about it need it. */
export interface Watched {
  readonly probe: Probe;
  readonly service: ProbedService;
  /** Label of its metrics. */
  readonly instance: string;
  /** What its metrics have besides, where several clusters share a Prometheus: one is not to hide what another lacks. */
  readonly cluster: Readonly<Record<string, string>>;
}

/**
 * Probed registries that the same rule can be about: it differs in their names alone. Every duration is a multiple of the
 * period, because a pushed value stays until the next run replaces it: what holds for two periods was seen by two runs.
 */
export interface Watch {
  /** At least one. */
  readonly registries: readonly Watched[];
  /** Seconds between two runs. */
  readonly period: number;
  /** Pods that report, each with a part of the registry. */
  readonly shards: number;
}

/** What tells one registry from another, whatever pod or Pushgateway its report came through. */
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

/** Every registry that is probed. */
export const watchesOf = (site: MonitoredSite, isMeant: (each: Watched) => boolean = () => true): Watch[] =>
  grouped(watched(site).filter(isMeant));

/** Of those, the ones that are asked over HTTPS. */
export const encryptedWatchesOf = (site: MonitoredSite): Watch[] =>
  watchesOf(site, ({ service }) =>
    isExternal(service) ? service.url.startsWith("https:") : service.role === "private",
  );

/** The registries that are authoritative for what they hold: a cache may lack anything. */
export const authoritativeWatchesOf = (
  site: MonitoredSite,
  isMeant: (each: Watched) => boolean = () => true,
): Watch[] => watchesOf(site, (each) => each.service.role === "private" && isMeant(each));

/** What every alert about a watch says besides: its registries, and how often they are looked at. */
export const aboutEach = ({ registries, period }: Watch): Pick<Alert, "about" | "labels"> => ({
  labels: { every: duration(period) },
  about: registries.map(subjectOf),
});

export const subjectOf = ({ probe, service }: Watched): Subject =>
  isExternal(service) ? { kind: "external", service, probe } : { kind: "service", service, probe };

/** The shards that there are now: what others have left in the Pushgateway is of nobody. */
const shardsOf = ({ probe: { shards } }: Watched): Matcher =>
  shards === 1 ? "" : anyOf(Array.from({ length: shards }, (_, index) => String(index)));

/** By the probe too: what a probe of another name has left there is of nobody either. */
const labelsOf = (each: Watched): Record<string, Matcher> => ({
  ...each.cluster,
  job: each.probe.name,
  instance: each.instance,
  shard: shardsOf(each),
});

/**
 * What the probes of a watch report of a metric.
 *
 * @param over what to take of each series; default: its value now
 * @param labels that tell its series apart; default: all of them
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

/** One series, with the labels of the registry, for each that reports no value of a metric. */
export const unreported = ({ registries }: Watch, metric: MetricName): string =>
  registries.map((each) => `absent(${selector(metric, labelsOf(each))})`).join(" or ");

/** Those of a watch for which an alert is firing. */
export const firing = ({ registries }: Watch, alertname: string): string => {
  const selectors = registries.map(
    ({ probe, instance, cluster }) =>
      `ALERTS${matchers({ alertname, alertstate: "firing", ...cluster, job: probe.name, instance })}`,
  );
  return `max by (${REGISTRY}) (${selectors.join(" or ")})`;
};
