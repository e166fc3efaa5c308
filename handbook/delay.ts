import type { AlertingRule, Severity, Subject } from "../monitoring/alert";
import { CERTAIN } from "../monitoring/families/catalog";
import { HOST_WATCH_MINUTES } from "../monitoring/metrics";
import { type Documented, documentedRules } from "../monitoring/rules";
import { patience } from "../registry/probe/probe";
import { allowedAge } from "../site/maintenance";
import { hasRegistry, type MonitoredSite } from "../site/schema";

const MINUTE = 60;
/** As in the probe's rules: this many periods without a report is late. */
const LATE = 4;

/** The longest time until an alert fires. */
export interface Delay {
  readonly alert: string;
  readonly severity: Severity;
  /** The event from which it is counted. */
  readonly from: string;
  /** Seconds, except for one scrape and one evaluation. */
  readonly atMost: number;
}

/** The parts of a delay, all in seconds. */
interface Parts {
  /** Time between two reports. */
  readonly period: number;
  /** From the beginning of a failure to the report of the run that starts after it. */
  readonly seen: number;
  /** The same, for an unreadable catalog. */
  readonly inaccessible: number;
  /** How long the condition must hold. */
  readonly pending: number;
}

const FAILURE = "the failure";
const SILENCE = "the last report";
const TOLD = "the report that is missing or refused";
const TASK = "the end of the task";

/** By alert name. */
const DELAYS: Readonly<Record<string, readonly [from: string, atMost: (parts: Parts) => number]>> = {
  // Two runs, one period apart, must report it.
  RegistryManifestIntegrityFailure: [FAILURE, ({ seen, period }) => seen + period],
  RegistryIntegrityWalkIncomplete: [FAILURE, ({ seen, period }) => seen + period],
  RegistryWorkloadImageMissing: [FAILURE, ({ seen, period }) => seen + period],
  RegistryWorkloadsUnknown: [FAILURE, ({ seen, period }) => seen + period],
  RegistryCatalogInaccessible: [FAILURE, ({ inaccessible }) => inaccessible],
  RegistryCatalogEmpty: [FAILURE, ({ seen, pending }) => seen + pending],
  RegistryMassLoss: [FAILURE, ({ seen, pending }) => seen + pending],
  RegistryIntegrityCoverageLost: [FAILURE, ({ seen, pending }) => seen + pending],
  RegistryRepositoriesWithoutTags: [FAILURE, ({ seen, pending }) => seen + pending],
  RegistryCertificateExpiresSoon: [FAILURE, ({ seen, pending }) => seen + pending],
  RegistryCertificateExpiryImminent: [FAILURE, ({ seen, pending }) => seen + pending],
  RegistryIntegrityProbeSlow: [FAILURE, ({ seen, pending }) => seen + pending],
  RegistryIntegrityPushFailed: [TOLD, ({ pending }) => pending],
  RegistryIntegrityProbeStale: [SILENCE, ({ period, pending }) => LATE * period + pending],
  RegistryIntegrityProbeAbsent: [TOLD, ({ pending }) => pending],
  RegistryIntegrityProbeDead: [SILENCE, ({ period, pending }) => LATE * period + pending],
  RegistryIntegrityLabelsOverwritten: [FAILURE, ({ pending }) => pending],
  RegistryReportsAbsent: [TOLD, ({ pending }) => pending],
  RegistryMaintenanceFailed: [TASK, ({ period, pending }) => period + pending],
  RegistryMaintenanceStale: [TOLD, ({ pending }) => pending],
  RegistryMaintenancePushFailed: [TOLD, ({ pending }) => pending],
  RegistryBlobsCorrupt: [TASK, ({ period, pending }) => period + pending],
  RegistryDiskSpaceLow: [FAILURE, ({ period, pending }) => period + pending],
  RegistryDiskFull: [FAILURE, ({ period, pending }) => period + pending],
  RegistryCleanUpFailed: ["the end of the run", ({ pending }) => pending],
  RegistryCleanUpStale: ["the last success", ({ period, pending }) => period + pending],
  RegistryCleanUpAbsent: ["the deployment", ({ pending }) => pending],
  RegistryHostDrifted: [FAILURE, ({ period, pending }) => period + pending],
  RegistryResolverDown: [FAILURE, ({ period, pending }) => period + pending],
  RegistryHostUnwatched: [SILENCE, ({ period, pending }) => LATE * period + pending],
};

const UNITS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: MINUTE };

/** Seconds in a duration as written in the rules. */
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
    // One run is certain if it retries for long enough; otherwise two are needed.
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

/** The longest time until each of a site's alerts fires, over everything that it is about; in the order of the rules. */
export const delaysOf = (site: MonitoredSite): Delay[] => {
  const delays = new Map<string, Delay>();
  for (const documented of documentedRules(site)) {
    const delay = delayOf(site, documented);
    const known = delays.get(delay.alert);
    if (known === undefined || known.atMost < delay.atMost) delays.set(delay.alert, delay);
  }
  return [...delays.values()];
};
