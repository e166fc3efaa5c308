import type { MonitoredSite } from "../../site/schema";
import { PRIVATE_REGISTRY as PRIVATE } from "../sites";
import type { Event } from "./simulation";
import { site } from "./synthesise";

/** An alert that an event of the month triggers, once and without a gap. */
export interface ExpectedAlert {
  /** Why it is right that it fires, for the table. */
  readonly because: string;
  /** Minute from which its promised delay counts. @default the start of the event */
  readonly from?: number;
  /** The last minute at which it may fire. @default two hours after the end of the event */
  readonly until?: number;
}

/** Something that happens in the month. */
export interface Happening {
  readonly what: string;
  readonly from: number;
  readonly to: number;
  readonly events: readonly Event[];
  /** By the alert's name, `what`, `task` and `instance`; empty for events that must not page anyone. */
  readonly fires: Readonly<Record<string, ExpectedAlert>>;
}

/** A month in the life of a site. */
export interface Month {
  readonly title: string;
  readonly site: MonitoredSite;
  readonly happenings: readonly Happening[];
}

const HOUR = 60;
const DAY = 24 * HOUR;

export const DAYS_IN_MONTH = 30;

/** The minute of a day of the month, which starts on day 1. */
const on = (day: number, time: `${string}:${string}`): number => {
  const [hours = "", minutes = ""] = time.split(":");
  return (day - 1) * DAY + Number(hours) * HOUR + Number(minutes);
};

const days = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

type Times = readonly [from: number, to: number];

/** An event from one minute to another; `events` receives both. */
const happens = (
  what: string,
  [from, to]: Times,
  events: (during: { readonly from: number; readonly to: number }) => readonly Event[],
  fires: Happening["fires"] = {},
): Happening => ({ what, from, to, events: events({ from, to }), fires });

const CACHE = "10.0.20.10:5010";
const FORGE = "git.example.org";

/** The name of an alert about a registry, or about a part of it. */
const about = (instance: string, alert: string, part?: string): string =>
  [alert, ...(part === undefined ? [] : [part]), instance].join(" ");

const ALWAYS: Times = [0, DAYS_IN_MONTH * DAY];

/** What goes on all the time, and occasional restarts: no one is paged for any of it. */
const ROUTINE: readonly Happening[] = [
  happens("a first clean-up, which leaves a tenth, and one each night", ALWAYS, () =>
    days(2, DAYS_IN_MONTH).map(
      (day): Event => ({ kind: "clean-up", instance: PRIVATE, at: on(day, "00:00"), tags: day === 2 ? 10 : 20 }),
    ),
  ),
  happens("pushes by day", ALWAYS, () =>
    days(2, DAYS_IN_MONTH).map(
      (day): Event => ({ kind: "content", instance: PRIVATE, at: on(day, "09:30"), tags: 35 }),
    ),
  ),
  happens("what a probe of a former name has left behind", ALWAYS, ({ from }) => [
    {
      kind: "left behind",
      at: from,
      labels: { job: "the-old-name", instance: PRIVATE },
      values: { registry_manifest_integrity_failures: 7, registry_manifest_integrity_last_run_timestamp: 60 },
    },
  ]),
  happens("pods that start late", [on(2, "09:00"), on(2, "12:00")], (during) => [
    { kind: "pod late", instance: PRIVATE, minutes: 4, ...during },
  ]),
  happens("a clock that is ahead, and put right", [on(2, "14:00"), on(3, "04:00")], (during) => [
    { kind: "clock skew", instance: PRIVATE, seconds: 120, ...during },
  ]),
  happens("a clock that is behind", [on(3, "05:00"), on(3, "07:00")], (during) => [
    { kind: "clock skew", instance: PRIVATE, seconds: -120, ...during },
  ]),
  happens("a registry that restarts", [on(3, "14:00"), on(3, "14:04")], (during) => [
    { kind: "registry down", instance: PRIVATE, ...during },
  ]),
  happens("a registry host that restarts", [on(3, "16:15"), on(3, "16:19")], (during) => [
    { kind: "host down", ...during },
  ]),
  happens("a Pushgateway that restarts and has kept everything", [on(3, "18:00"), on(3, "18:03")], (during) => [
    { kind: "pushgateway down", persists: true, ...during },
  ]),
  happens("a Pushgateway that is replaced and has forgotten everything", [on(3, "20:10"), on(3, "20:12")], (during) => [
    { kind: "pushgateway down", newPod: true, ...during },
  ]),
  // Even with five minutes between scrapes each report is seen at least once, as it is with one minute.
  happens("a Pushgateway that crashes again and again", [on(3, "22:05"), on(3, "23:05")], ({ from }) =>
    days(0, 2).map((each): Event => ({ kind: "pushgateway down", from: from + 20 * each, to: from + 20 * each + 2 })),
  ),
  happens("a Prometheus that restarts", [on(4, "03:00"), on(4, "03:10")], (during) => [
    { kind: "scrape gap", ...during },
  ]),
  happens("damage that one run alone reports", [on(4, "05:59"), on(4, "06:01")], (during) => [
    { kind: "damage", instance: PRIVATE, ...during },
  ]),
];

const BROKEN = "images cannot be pulled";
const UNREADABLE = "nobody can pull or push";
const UNSEEN = "a part of the images is unverified meanwhile";
const NO_REPORTS = "no report arrives";
const OLD = "the last report is too old to say anything about now";

/** No more reports about a registry. */
const silence = (instance: string): Happening["fires"] => ({
  [about(instance, "RegistryIntegrityProbeStale")]: { because: OLD },
  [about(instance, "RegistryIntegrityProbeDead")]: { because: "for hours nobody would know of a loss" },
});

/** No more reports at all. */
const noReports = (...instances: readonly string[]): Happening["fires"] => ({
  RegistryReportsAbsent: { because: NO_REPORTS },
  RegistryMaintenanceStale: { because: "nothing is heard of the maintenance either" },
  ...Object.fromEntries(
    instances.map((each) => [about(each, "RegistryIntegrityProbeAbsent"), { because: NO_REPORTS }]),
  ),
  ...Object.assign({}, ...instances.map(silence)),
});

const unreadable = (instance: string): Happening["fires"] => ({
  [about(instance, "RegistryCatalogInaccessible")]: { because: UNREADABLE },
  [about(instance, "RegistryIntegrityWalkIncomplete")]: { because: UNSEEN },
  // The only registry that the cluster pulls from.
  ...(instance === PRIVATE
    ? { [about(instance, "RegistryWorkloadsUnknown")]: { because: "nobody knows whether what runs could be pulled" } }
    : {}),
});

const damaged = (instance: string): Happening["fires"] => ({
  [about(instance, "RegistryManifestIntegrityFailure")]: { because: BROKEN },
});

/** Until the nightly clean-up has reported what is there. */
const untilNight = (day: number): number => on(day + 1, "00:30");

const oneRegistry: Month = {
  title: "one registry",
  site: site("reference", ({ registry }) => {
    registry.services = registry.services.filter(({ role }: { role: string }) => role === "private");
    delete registry.ui;
    delete registry.images.ui;
    delete registry.maintenance.caches;
  }),
  happenings: [
    ...ROUTINE,
    happens(
      "a certificate that is renewed two days before its end",
      [0, on(19, "00:00")],
      ({ from, to }) => [
        { kind: "certificate issued", instance: PRIVATE, at: from, days: 20 },
        { kind: "certificate issued", instance: PRIVATE, at: to, days: 90 },
      ],
      {
        [about(PRIVATE, "RegistryCertificateExpiresSoon")]: { because: "it was due", from: on(7, "00:00") },
        [about(PRIVATE, "RegistryCertificateExpiryImminent")]: {
          because: "three days are left",
          from: on(18, "00:00"),
        },
      },
    ),
    happens(
      "an image that lost a manifest",
      [on(5, "10:07"), on(5, "13:00")],
      (during) => [{ kind: "damage", instance: PRIVATE, ...during }],
      damaged(PRIVATE),
    ),
    happens(
      "damage that every second run sees",
      [on(6, "08:00"), on(6, "12:00")],
      (during) => [{ kind: "damage", instance: PRIVATE, every: 2, ...during }],
      damaged(PRIVATE),
    ),
    happens(
      "damage, and a Pushgateway that forgets it",
      [on(7, "08:05"), on(7, "12:00")],
      ({ from, to }) => [
        { kind: "damage", instance: PRIVATE, from, to },
        { kind: "pushgateway down", from: from + 2 * HOUR, to: from + 2 * HOUR + 3, newPod: true },
      ],
      damaged(PRIVATE),
    ),
    happens(
      "damage, and nothing is scraped for an hour",
      [on(8, "08:05"), on(8, "12:00")],
      ({ from, to }) => [
        { kind: "damage", instance: PRIVATE, from, to },
        { kind: "scrape gap", from: from + 2 * HOUR, to: from + 3 * HOUR },
      ],
      {
        ...damaged(PRIVATE),
        RegistryReportsAbsent: { because: NO_REPORTS, from: on(8, "10:05") },
        [about(PRIVATE, "RegistryIntegrityProbeAbsent")]: { because: NO_REPORTS, from: on(8, "10:05") },
        RegistryMaintenanceStale: { because: "nothing is heard of the maintenance either", from: on(8, "10:05") },
      },
    ),
    happens(
      "a registry that is down",
      [on(9, "07:50"), on(9, "10:00")],
      (during) => [{ kind: "registry down", instance: PRIVATE, ...during }],
      unreadable(PRIVATE),
    ),
    happens(
      "a catalog that every second run cannot read",
      [on(10, "08:00"), on(10, "12:00")],
      (during) => [{ kind: "registry down", instance: PRIVATE, every: 2, ...during }],
      unreadable(PRIVATE),
    ),
    happens(
      "walks of which every second one does not get through",
      [on(11, "08:00"), on(11, "12:00")],
      (during) => [{ kind: "walk stuck", instance: PRIVATE, every: 2, ...during }],
      { [about(PRIVATE, "RegistryIntegrityWalkIncomplete")]: { because: UNSEEN } },
    ),
    happens(
      "a new password that the probe is not given for an hour",
      [on(12, "09:00"), on(12, "10:00")],
      (during) => [{ kind: "registry down", instance: PRIVATE, ...during }],
      unreadable(PRIVATE),
    ),
    happens(
      "a probe that does not run by night",
      [on(13, "20:00"), on(14, "06:00")],
      (during) => [{ kind: "probe down", instance: PRIVATE, ...during }],
      silence(PRIVATE),
    ),
    happens(
      "a Pushgateway that is gone for five hours",
      [on(15, "08:00"), on(15, "13:00")],
      (during) => [{ kind: "pushgateway down", ...during }],
      noReports(PRIVATE),
    ),
    happens(
      "a scrape that overwrites the labels",
      [on(16, "08:00"), on(16, "13:00")],
      (during) => [{ kind: "labels overwritten", ...during }],
      {
        "RegistryIntegrityLabelsOverwritten pushgateway:9091": { because: "no other alert knows its registry" },
        ...noReports(PRIVATE),
      },
    ),
    happens(
      "a registry host that is off for three hours",
      [on(17, "08:05"), on(17, "11:05")],
      (during) => [{ kind: "host down", ...during }],
      {
        ...unreadable(PRIVATE),
        RegistryMaintenanceStale: {
          because: "its last report is older than four of its periods",
          from: on(17, "09:05"),
        },
      },
    ),
    happens(
      "a disk that fills up, and is emptied",
      [on(19, "08:00"), on(19, "14:00")],
      ({ from, to }) => [
        { kind: "disk", free: 0.09, from, to: from + 3 * HOUR },
        { kind: "disk", free: 0.01, from: from + 3 * HOUR, to },
      ],
      {
        RegistryDiskSpaceLow: { because: "a tenth is not left" },
        RegistryDiskFull: { because: "pushes fail", from: on(19, "11:00") },
      },
    ),
    happens(
      "a scan that finds damage",
      [on(20, "00:00"), on(21, "00:00")],
      (during) => [{ kind: "maintenance fails", instance: PRIVATE, task: "scan", ...during }],
      { [about(PRIVATE, "RegistryMaintenanceFailed", "scan")]: { because: "the disk holds something broken" } },
    ),
    happens(
      "a blob that rots, and a Pushgateway that forgets it",
      [on(21, "08:00"), on(21, "14:00")],
      ({ from, to }) => [
        { kind: "corrupt", instance: PRIVATE, blobs: 1, from, to },
        { kind: "pushgateway down", from: from + 2 * HOUR, to: from + 2 * HOUR + 2 },
      ],
      { [about(PRIVATE, "RegistryBlobsCorrupt", "scrub")]: { because: BROKEN } },
    ),
    happens(
      "reports that are refused",
      [on(22, "08:00"), on(22, "10:00")],
      (during) => [
        { kind: "says", instance: PRIVATE, values: { push_failure_time_seconds: 1e9 }, ...during },
        { kind: "says", instance: PRIVATE, task: "disk", values: { push_failure_time_seconds: 1e9 }, ...during },
      ],
      {
        [about(PRIVATE, "RegistryIntegrityPushFailed")]: { because: "what is stored is older than it looks" },
        [about(PRIVATE, "RegistryMaintenancePushFailed", "disk")]: { because: "what is stored is older than it looks" },
      },
    ),
    happens(
      "walks that take nine minutes",
      [on(22, "14:00"), on(22, "18:00")],
      (during) => [{ kind: "slow", instance: PRIVATE, minutes: 9, ...during }],
      { [about(PRIVATE, "RegistryIntegrityProbeSlow")]: { because: "they take more than half of the period" } },
    ),
    happens(
      "a repository that is lost",
      [on(23, "10:00"), on(24, "00:00")],
      ({ from }) => [{ kind: "content", instance: PRIVATE, at: from, repositories: 9 }],
      {
        [about(PRIVATE, "RegistryIntegrityCoverageLost", "repositories")]: {
          because: "one that was there is not, and no clean-up took it",
          until: untilNight(23),
        },
      },
    ),
    happens(
      "most of it is lost, and restored",
      [on(24, "12:00"), on(24, "16:00")],
      ({ from, to }) => [
        { kind: "content", instance: PRIVATE, at: from, repositories: 2, tags: 4 },
        { kind: "content", instance: PRIVATE, at: to, repositories: 9, tags: 35 },
      ],
      Object.fromEntries(
        ["RegistryMassLoss", "RegistryIntegrityCoverageLost"].flatMap((alert) =>
          ["repositories", "tags"].map((what) => [about(PRIVATE, alert, what), { because: "most of it is gone" }]),
        ),
      ),
    ),
    happens(
      "a catalog that is empty: another registry answers",
      [on(25, "12:00"), on(25, "14:00")],
      ({ from, to }) => [
        { kind: "content", instance: PRIVATE, at: from, repositories: 0, tags: 0 },
        { kind: "content", instance: PRIVATE, at: to, repositories: 9, tags: 35 },
      ],
      {
        [about(PRIVATE, "RegistryCatalogEmpty")]: { because: "it was not empty before" },
        ...Object.fromEntries(
          ["RegistryMassLoss", "RegistryIntegrityCoverageLost"].flatMap((alert) =>
            ["repositories", "tags"].map((what) => [about(PRIVATE, alert, what), { because: "nothing is left" }]),
          ),
        ),
      },
    ),
    happens(
      "a repository without tags for two days",
      [on(26, "10:00"), on(28, "10:00")],
      (during) => [
        {
          kind: "says",
          instance: PRIVATE,
          values: { registry_manifest_integrity_repositories_without_tags: 1 },
          ...during,
        },
      ],
      { [about(PRIVATE, "RegistryRepositoriesWithoutTags")]: { because: "it was so for a day" } },
    ),
    happens(
      "an image that runs and is not there any more",
      [on(28, "14:00"), on(28, "17:00")],
      (during) => [{ kind: "images lost", instance: PRIVATE, missing: 1, ...during }],
      { [about(PRIVATE, "RegistryWorkloadImageMissing")]: { because: "its next start on another node fails" } },
    ),
    happens(
      "a cluster that does not tell what runs",
      [on(28, "20:00"), on(28, "22:00")],
      (during) => [{ kind: "workloads unknown", instance: PRIVATE, ...during }],
      { [about(PRIVATE, "RegistryWorkloadsUnknown")]: { because: "a clean-up would not know what is needed" } },
    ),
    happens(
      "damage on the last day",
      [on(29, "15:00"), on(29, "18:00")],
      (during) => [{ kind: "damage", instance: PRIVATE, ...during }],
      damaged(PRIVATE),
    ),
  ],
};

const threeRegistries: Month = {
  title: "three registries: a private one in three shards, a pull-through cache, and a foreign one",
  site: site("reference", ({ registry, monitoring }) => {
    registry.services = registry.services.filter(({ name }: { name: string }) => ["private", "ghcr"].includes(name));
    delete registry.ui;
    delete registry.images.ui;
    Object.assign(monitoring.probes[0], { shards: 3 });
    monitoring.externalRegistries = [{ name: "forge", url: `https://${FORGE}`, role: "private" }];
    monitoring.probes.push(
      { name: "cache", service: "ghcr", periodMinutes: 15, deadlineSeconds: 300 },
      { name: "forge-probe", service: "forge", periodMinutes: 15, deadlineSeconds: 600 },
    );
  }),
  happenings: [
    ...ROUTINE,
    happens("a shard too many, from when there were four", ALWAYS, ({ from }) => [
      {
        kind: "left behind",
        at: from,
        labels: { job: "registry-integrity-probe", instance: PRIVATE, shard: "3" },
        values: {
          registry_manifest_integrity_failures: 7,
          registry_manifest_integrity_repos_checked: 100,
          registry_manifest_integrity_last_run_timestamp: 60,
        },
      },
    ]),
    happens("certificates that are renewed in time", ALWAYS, () =>
      [PRIVATE, FORGE].flatMap((instance) =>
        [1, 11, 21].map((day): Event => ({ kind: "certificate issued", instance, at: on(day, "00:00"), days: 30 })),
      ),
    ),
    happens(
      "an image in one shard that lost a manifest",
      [on(5, "10:07"), on(5, "13:00")],
      (during) => [{ kind: "damage", instance: PRIVATE, ...during }],
      damaged(PRIVATE),
    ),
    happens(
      "the same in every second run, and a Pushgateway that forgets it",
      [on(6, "08:00"), on(6, "12:00")],
      ({ from, to }) => [
        { kind: "damage", instance: PRIVATE, every: 2, from, to },
        { kind: "pushgateway down", from: from + 2 * HOUR, to: from + 2 * HOUR + 3, newPod: true },
      ],
      damaged(PRIVATE),
    ),
    happens(
      "a cache that is down",
      [on(7, "08:00"), on(7, "10:00")],
      (during) => [{ kind: "registry down", instance: CACHE, ...during }],
      { [about(CACHE, "RegistryCatalogInaccessible")]: { because: UNREADABLE } },
    ),
    happens(
      "a cache that every second run cannot reach",
      [on(8, "08:00"), on(8, "12:00")],
      (during) => [{ kind: "registry down", instance: CACHE, every: 2, ...during }],
      { [about(CACHE, "RegistryCatalogInaccessible")]: { because: UNREADABLE } },
    ),
    happens(
      "a pod of one shard that does not run",
      [on(9, "08:00"), on(9, "14:00")],
      (during) => [{ kind: "probe down", instance: PRIVATE, shard: 1, ...during }],
      silence(PRIVATE),
    ),
    happens(
      "a Pushgateway that forgets everything while one shard does not run",
      [on(10, "08:00"), on(10, "14:00")],
      ({ from, to }) => [
        { kind: "probe down", instance: PRIVATE, shard: 1, from, to },
        { kind: "pushgateway down", from: from + 5, to: from + 7 },
      ],
      {
        ...silence(PRIVATE),
        [about(PRIVATE, "RegistryIntegrityProbeAbsent")]: { because: "a part of it is unseen", from: on(10, "08:07") },
      },
    ),
    happens(
      "a registry host that is off for three hours",
      [on(11, "08:05"), on(11, "11:05")],
      (during) => [{ kind: "host down", ...during }],
      {
        ...unreadable(PRIVATE),
        [about(CACHE, "RegistryCatalogInaccessible")]: { because: UNREADABLE },
        RegistryMaintenanceStale: {
          because: "its last report is older than four of its periods",
          from: on(11, "09:05"),
        },
      },
    ),
    happens(
      "damage at the foreign registry",
      [on(12, "10:07"), on(12, "13:00")],
      (during) => [{ kind: "damage", instance: FORGE, objects: 3, ...during }],
      damaged(FORGE),
    ),
    happens(
      "a new password of the foreign registry that the probe is not given",
      [on(13, "09:00"), on(13, "11:00")],
      (during) => [{ kind: "registry down", instance: FORGE, ...during }],
      unreadable(FORGE),
    ),
    happens(
      "a repository that its owner deletes there",
      [on(14, "10:00"), on(15, "10:00")],
      ({ from }) => [{ kind: "content", instance: FORGE, at: from, repositories: 9 }],
      {
        [about(FORGE, "RegistryIntegrityCoverageLost", "repositories")]: {
          because: "nothing tells whether it was deleted: it is news for a day",
        },
      },
    ),
    happens(
      "most of what was there is lost",
      [on(17, "10:00"), on(18, "10:00")],
      ({ from, to }) => [
        { kind: "content", instance: FORGE, at: from, repositories: 1, tags: 3 },
        { kind: "content", instance: FORGE, at: to, repositories: 9, tags: 100 },
      ],
      Object.fromEntries(
        ["RegistryMassLoss", "RegistryIntegrityCoverageLost"].flatMap((alert) =>
          ["repositories", "tags"].map((what) => [about(FORGE, alert, what), { because: "most of it is gone" }]),
        ),
      ),
    ),
    happens(
      "a Pushgateway that is gone for five hours",
      [on(20, "08:00"), on(20, "13:00")],
      (during) => [{ kind: "pushgateway down", ...during }],
      noReports(PRIVATE, CACHE, FORGE),
    ),
    happens(
      "a repository in one shard that is lost",
      [on(22, "10:00"), on(23, "00:00")],
      ({ from }) => [{ kind: "content", instance: PRIVATE, at: from, repositories: 9 }],
      {
        [about(PRIVATE, "RegistryIntegrityCoverageLost", "repositories")]: {
          because: "one that was there is not, and no clean-up took it",
          until: untilNight(22),
        },
      },
    ),
    happens(
      "two failures of two registries at once",
      [on(25, "10:00"), on(25, "12:00")],
      (during) => [
        { kind: "damage", instance: PRIVATE, ...during },
        { kind: "registry down", instance: FORGE, ...during },
      ],
      { ...damaged(PRIVATE), ...unreadable(FORGE) },
    ),
  ],
};

export const MONTHS: readonly Month[] = [oneRegistry, threeRegistries];

/** The events of a month; everything else in the site must stay without alerts. */
export const eventsOf = ({ happenings }: Month): Event[] => happenings.flatMap(({ events }) => events);

export const MINUTES = DAYS_IN_MONTH * DAY;
