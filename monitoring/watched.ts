import type { Probe } from "../site/monitoring";
import { isExternal, type MonitoredSite, type ProbedService, probedService, serviceInstance } from "../site/schema";
import { MINUTE, type Subject } from "./alert";
import type { MetricName, PushgatewayMetricName } from "./metrics";
import { selector } from "./promql";

/** A registry that is probed, as the rules about it need it. */
export interface Watched {
  readonly probe: Probe;
  readonly service: ProbedService;
  /** Label of its metrics. */
  readonly instance: string;
}

/**
 * Probed registries that the same rule can be about: it differs in their names alone. Every duration is a multiple of the
 * period, because a pushed value stands until the next run replaces it: what holds for two periods was seen by two runs.
 */
export interface Watch {
  /** At least one. */
  readonly registries: readonly Watched[];
  /** Seconds between two runs. */
  readonly period: number;
  /** Pods that report, each with a part of the registry. */
  readonly shards: number;
}

const watched = (site: MonitoredSite): Watched[] =>
  site.monitoring.probes.map((probe) => {
    const service = probedService(site, probe);
    return { probe, service, instance: serviceInstance(site, service) };
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
export const watchesOf = (site: MonitoredSite): Watch[] => grouped(watched(site));

/** The registries that are authoritative for what they hold: a cache may lack anything. */
export const authoritativeWatchesOf = (site: MonitoredSite): Watch[] =>
  grouped(watched(site).filter(({ service }) => service.role === "private"));

export const subjectOf = ({ probe, service }: Watched): Subject =>
  isExternal(service) ? { kind: "external", service, probe } : { kind: "service", service, probe };

/** By the probe too: what a probe of another name has left in the Pushgateway is of nobody. */
const labelsOf = ({ probe, instance }: Watched): Record<string, string> => ({ job: probe.name, instance });

/** What the probes of a watch report of a metric. */
export const reported = ({ registries }: Watch, metric: MetricName | PushgatewayMetricName): string => {
  const selectors = registries.map((each) => selector(metric, labelsOf(each)));
  return selectors.length === 1 ? selectors.join() : `(${selectors.join(" or ")})`;
};

/** One series, with the labels of the registry, for each that reports no value of a metric. */
export const unreported = ({ registries }: Watch, metric: MetricName): string =>
  registries.map((each) => `absent(${selector(metric, labelsOf(each))})`).join(" or ");
