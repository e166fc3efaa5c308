import type { AlertingRule, Severity, Subject } from "../monitoring/alert";
import { CERTAIN } from "../monitoring/families/catalog";
import { HOST_WATCH_MINUTES } from "../monitoring/metrics";
import { type Documented, documentedRules } from "../monitoring/rules";
import { patience } from "../registry/probe/probe";
import { allowedAge } from "../site/maintenance";
import { hasRegistry, type MonitoredSite } from "../site/schema";

const MINUTE = 60;
/** As the rules of the probe have it: silent for so many periods is late. */
const LATE = 4;

/** How soon an alert fires in the worst case. */
export interface Delay {
  readonly alert: string;
  readonly severity: Severity;
  /** What it is counted from. */
  readonly from: string;
  /** Seconds, but for one scrape and one evaluation. */
  readonly atMost: number;
}

/** What a delay is made of, all in seconds. */
interface Parts {
  /** Between two reports. */
  readonly period: number;
  /** From the beginning of a fault to the report of the run that begins after it. */
  readonly seen: number;
  /** The same, of a catalog that cannot be read. */
  readonly inaccessible: number;
  /** How long the condition has to hold. */
  readonly pending: number;
}

const FAULT = "the fault";
const SILENCE = "the last report";
const TOLD = "the report that is missing or refused";
const TASK = "the end of the task";

/** By the alert. */
const DELAYS: Readonly<Record<string, readonly [from: string, atMost: (parts: Parts) => number]>> = {
  // Two runs have to report it, which are a period apart.
  RegistryManifestIntegrityFailure: [FAULT, ({ seen, period }) => seen + period],
  RegistryIntegrityWalkIncomplete: [FAULT, ({ seen, period }) => seen + period],
  RegistryWorkloadImageMissing: [FAULT, ({ seen, period }) => seen + period],
  RegistryWorkloadsUnknown: [FAULT, ({ seen, period }) => seen + period],
  RegistryCatalogInaccessible: [FAULT, ({ inaccessible }) => inaccessible],
  RegistryCatalogEmpty: [FAULT, ({ seen, pending }) => seen + pending],
  RegistryMassLoss: [FAULT, ({ seen, pending }) => seen + pending],
  RegistryIntegrityCoverageLost: [FAULT, ({ seen, pending }) => seen + pending],
  RegistryRepositoriesWithoutTags: [FAULT, ({ seen, pending }) => seen + pending],
  RegistryCertificateExpiresSoon: [FAULT, ({ seen, pending }) => seen + pending],
  RegistryCertificateExpiryImminent: [FAULT, ({ seen, pending }) => seen + pending],
  RegistryIntegrityProbeSlow: [FAULT, ({ seen, pending }) => seen + pending],
  RegistryIntegrityPushFailed: [TOLD, ({ pending }) => pending],
  RegistryIntegrityProbeStale: [SILENCE, ({ period, pending }) => LATE * period + pending],
  RegistryIntegrityProbeAbsent: [TOLD, ({ pending }) => pending],
  RegistryIntegrityProbeDead: [SILENCE, ({ period, pending }) => LATE * period + pending],
  RegistryIntegrityLabelsOverwritten: [FAULT, ({ pending }) => pending],
  RegistryReportsAbsent: [TOLD, ({ pending }) => pending],
  RegistryMaintenanceFailed: [TASK, ({ period, pending }) => period + pending],
  RegistryMaintenanceStale: [TOLD, ({ pending }) => pending],
  RegistryMaintenancePushFailed: [TOLD, ({ pending }) => pending],
  RegistryBlobsCorrupt: [TASK, ({ period, pending }) => period + pending],
  RegistryDiskSpaceLow: [FAULT, ({ period, pending }) => period + pending],
  RegistryDiskFull: [FAULT, ({ period, pending }) => period + pending],
  RegistryCleanUpFailed: ["the end of the run", ({ pending }) => pending],
  RegistryCleanUpStale: ["the last success", ({ period, pending }) => period + pending],
  RegistryCleanUpAbsent: ["the deployment", ({ pending }) => pending],
  RegistryHostDrifted: [FAULT, ({ period, pending }) => period + pending],
  RegistryResolverDown: [FAULT, ({ period, pending }) => period + pending],
  RegistryHostUnwatched: [SILENCE, ({ period, pending }) => LATE * period + pending],
};

const UNITS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: MINUTE };

/** Seconds of a duration as the rules write it. */
const secondsOf = (duration: string): number => {
  const [, count = "", unit = ""] = /^(\d+)(ms|s|m)$/.exec(duration) ?? [];
  const size = UNITS[unit];
  if (size === undefined) throw new Error(`${JSON.stringify(duration)} is no duration of a rule`);
  return Number(count) * size;
};

const partsOf = (site: MonitoredSite, { for: pending }: AlertingRule, subject: Subject): Parts => {
  const reports = (period: number): Parts => ({
    period,
    seen: period,
    inaccessible: period,
    pending: secondsOf(pending),
  });
  if (subject.kind === "host") return reports(HOST_WATCH_MINUTES * MINUTE);
  if (subject.kind === "clean-up") {
    const { cleanUp } = subject.service;
    return reports(cleanUp === undefined ? 0 : allowedAge([cleanUp.schedule]));
  }
  if (subject.probe === undefined)
    return reports((hasRegistry(site) ? (site.registry.maintenance?.disk.everyMinutes ?? 0) : 0) * MINUTE);
  const { periodMinutes, deadlineSeconds } = subject.probe;
  const period = periodMinutes * MINUTE;
  const patient = patience(deadlineSeconds);
  return {
    ...reports(period),
    seen: period + deadlineSeconds,
    // One run is certain where it asks for long enough; otherwise there have to be two.
    inaccessible: period + patient + (patient >= CERTAIN ? 0 : period),
  };
};

const delayOf = (site: MonitoredSite, { rule, about }: Documented): Delay => {
  const delay = DELAYS[rule.alert];
  if (delay === undefined) throw new Error(`the alert ${rule.alert} has no worst case; write it in handbook/delay.ts`);
  const [from, atMost] = delay;
  return {
    alert: rule.alert,
    severity: rule.labels.severity,
    from,
    atMost: Math.max(...about.map((subject) => atMost(partsOf(site, rule, subject)))),
  };
};

/** How soon each alert of a site fires in the worst case, over all that it is about; in the order of the rules. */
export const delaysOf = (site: MonitoredSite): Delay[] => {
  const delays = new Map<string, Delay>();
  for (const documented of documentedRules(site)) {
    const delay = delayOf(site, documented);
    const known = delays.get(delay.alert);
    if (known === undefined || known.atMost < delay.atMost) delays.set(delay.alert, delay);
  }
  return [...delays.values()];
};
