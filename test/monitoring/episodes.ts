import type { MonitoredSite } from "../../site/schema";
import { PRIVATE_REGISTRY as PRIVATE } from "../sites";
import type { Event, SimulationOptions } from "./simulation";
import { type SITES, site } from "./synthesise";

/** First and last minute at which an alert fires. */
export type Span = readonly [from: number, to: number];

/** Something that happens to a registry, and every alert that fires because of it: when, and no others. */
export interface Episode extends SimulationOptions {
  readonly what: string;
  /** @default the reference site */
  readonly site?: keyof typeof SITES;
  /** @default 1 */
  readonly shards?: number;
  /** @default none */
  readonly cluster?: string;
  /** Seconds that a run may take: with fewer, an unreadable catalog is retried for a shorter time. @default the site's */
  readonly deadline?: number;
  /** Minutes between two evaluations: fewer evaluations for episodes that last for days. @default with every scrape */
  readonly every?: number;
  /** By alert name, with what distinguishes alerts of the same name. */
  readonly fires: Readonly<Record<string, readonly Span[]>>;
  /** Of the alerts firing at the end, those that are not inhibited by another. @default not checked */
  readonly told?: readonly string[];
}

const HOUR = 60;
const DAY = 24 * HOUR;

const damage = (from: number, to: number, every = 1): Event => ({ kind: "damage", instance: PRIVATE, from, to, every });

const LEFT_BEHIND: readonly Readonly<Record<string, string>>[] = [
  { job: "the-old-name", instance: PRIVATE },
  { job: "registry-integrity-probe", instance: PRIVATE, shard: "3" },
];

/** Runs begin every quarter of an hour, and a walk takes a minute unless stated otherwise. */
export const EPISODES: readonly Episode[] = [
  { what: "all is well", minutes: 4 * HOUR, fires: {} },
  {
    what: "damage just after the walk looked there, and every walk takes as long as it may",
    minutes: 5 * HOUR,
    walk: 12,
    events: [damage(46, 120)],
    fires: { RegistryManifestIntegrityFailure: [[87, 174]], RegistryIntegrityProbeSlow: [[42, 299]] },
  },
  { what: "damage that one run alone reports", minutes: 4 * HOUR, events: [damage(44, 46)], fires: {} },
  {
    what: "damage that one run alone reports, and the next run is late",
    minutes: 4 * HOUR,
    events: [damage(44, 46), { kind: "pod late", instance: PRIVATE, minutes: 4, from: 55, to: 65 }],
    fires: {},
  },
  {
    what: "damage that the last run before the probe stops reports",
    minutes: 4 * HOUR,
    events: [damage(44, 46), { kind: "probe down", instance: PRIVATE, from: 50, to: 100 }],
    fires: { RegistryManifestIntegrityFailure: [[74, 148]] },
  },
  {
    what: "a walk that does not get through in the last run before the probe stops",
    minutes: 4 * HOUR,
    events: [
      { kind: "walk stuck", instance: PRIVATE, from: 44, to: 46 },
      { kind: "probe down", instance: PRIVATE, from: 50, to: 100 },
    ],
    fires: { RegistryIntegrityWalkIncomplete: [[74, 148]] },
  },
  {
    what: "walks that do not get through from the first on",
    minutes: 4 * HOUR,
    events: [{ kind: "walk stuck", instance: PRIVATE, from: 0, to: 60 }],
    fires: { RegistryIntegrityWalkIncomplete: [[16, 103]] },
  },
  {
    what: "damage that every second run reports",
    minutes: 5 * HOUR,
    events: [damage(45, 180, 2)],
    fires: { RegistryManifestIntegrityFailure: [[76, 223]] },
  },
  {
    what: "damage that every third run reports",
    minutes: 5 * HOUR,
    events: [damage(45, 180, 3)],
    fires: { RegistryManifestIntegrityFailure: [[91, 193]] },
  },
  {
    what: "damage, and a Pushgateway that restarts as another pod and forgets everything",
    minutes: 6 * HOUR,
    events: [damage(46, 10 * HOUR), { kind: "pushgateway down", from: 130, to: 132, newPod: true }],
    fires: { RegistryManifestIntegrityFailure: [[76, 359]] },
  },
  {
    what: "damage, and a Pushgateway that does not come back",
    minutes: 400,
    events: [damage(46, 10 * HOUR), { kind: "pushgateway down", from: 130 }],
    fires: {
      RegistryManifestIntegrityFailure: [[76, 399]],
      RegistryReportsAbsent: [[159, 399]],
      RegistryIntegrityProbeAbsent: [[160, 399]],
      RegistryIntegrityProbeStale: [[197, 399]],
      RegistryIntegrityProbeDead: [[310, 399]],
      RegistryMaintenanceStale: [[160, 399]],
    },
    told: ["RegistryIntegrityProbeDead", "RegistryManifestIntegrityFailure"],
  },
  {
    what: "a registry that goes just after its catalog was read",
    minutes: 4 * HOUR,
    events: [{ kind: "registry down", instance: PRIVATE, from: 46, to: 120 }],
    fires: {
      RegistryCatalogInaccessible: [[67, 162]],
      RegistryIntegrityWalkIncomplete: [[80, 163]],
      RegistryWorkloadsUnknown: [[80, 163]],
    },
  },
  {
    what: "images that run and cannot be pulled again, one of them for a part of it, until they can",
    minutes: 4 * HOUR,
    events: [
      { kind: "images lost", instance: PRIVATE, missing: 1, broken: 2, from: 40, to: 70 },
      { kind: "images lost", instance: PRIVATE, broken: 1, from: 70, to: 120 },
    ],
    fires: { RegistryWorkloadImageMissing: [[61, 163]] },
  },
  {
    what: "an image that one run alone does not find",
    minutes: 3 * HOUR,
    events: [{ kind: "images lost", instance: PRIVATE, missing: 1, from: 44, to: 46 }],
    fires: {},
  },
  {
    what: "a cluster that does not tell what runs",
    minutes: 4 * HOUR,
    events: [{ kind: "workloads unknown", instance: PRIVATE, from: 40, to: 120 }],
    fires: { RegistryWorkloadsUnknown: [[61, 163]] },
  },
  {
    what: "images that run and are lost, told by one of three shards",
    minutes: 3 * HOUR,
    shards: 3,
    events: [{ kind: "images lost", instance: PRIVATE, missing: 1, from: 40, to: 90 }],
    fires: { RegistryWorkloadImageMissing: [[61, 133]] },
  },
  {
    what: "a catalog that every second run cannot read, and runs that do not ask for it long enough to be certain",
    minutes: 5 * HOUR,
    deadline: 300,
    events: [{ kind: "registry down", instance: PRIVATE, from: 45, to: 180, every: 2 }],
    fires: {
      RegistryCatalogInaccessible: [[77, 222]],
      RegistryIntegrityWalkIncomplete: [[76, 223]],
      RegistryWorkloadsUnknown: [[76, 223]],
    },
  },
  {
    what: "a catalog that one run alone cannot read, and does not ask for it long enough to be certain",
    minutes: 3 * HOUR,
    deadline: 300,
    events: [{ kind: "registry down", instance: PRIVATE, from: 45, to: 50 }],
    fires: {},
  },
  {
    what: "a catalog that one run alone cannot read, and the next run is late",
    minutes: 3 * HOUR,
    deadline: 300,
    events: [
      { kind: "registry down", instance: PRIVATE, from: 45, to: 50 },
      { kind: "pod late", instance: PRIVATE, minutes: 4, from: 55, to: 65 },
    ],
    fires: {},
  },
  {
    what: "a catalog that the last run before the probe stops cannot read",
    minutes: 4 * HOUR,
    deadline: 300,
    events: [
      { kind: "registry down", instance: PRIVATE, from: 45, to: 50 },
      { kind: "probe down", instance: PRIVATE, from: 50, to: 100 },
    ],
    fires: {
      RegistryCatalogInaccessible: [[74, 147]],
      RegistryIntegrityWalkIncomplete: [[74, 148]],
      RegistryWorkloadsUnknown: [[74, 148]],
    },
  },
  {
    what: "a registry that restarts within the patience of a run",
    minutes: 3 * HOUR,
    events: [{ kind: "registry down", instance: PRIVATE, from: 60, to: 64 }],
    fires: {},
  },
  {
    what: "walks of which every second one does not get through",
    minutes: 4 * HOUR,
    events: [{ kind: "walk stuck", instance: PRIVATE, from: 45, to: 120, every: 2 }],
    fires: { RegistryIntegrityWalkIncomplete: [[76, 163]] },
  },
  {
    what: "a probe that stops for the night",
    minutes: 8 * HOUR,
    events: [{ kind: "probe down", instance: PRIVATE, from: 46, to: 6 * HOUR }],
    fires: { RegistryIntegrityProbeStale: [[122, 360]], RegistryIntegrityProbeDead: [[287, 360]] },
  },
  {
    what: "pods that start late, and a clock that is two minutes ahead",
    minutes: 4 * HOUR,
    events: [
      { kind: "pod late", instance: PRIVATE, minutes: 4, from: 40, to: 100 },
      { kind: "clock skew", instance: PRIVATE, seconds: 120, from: 0 },
    ],
    fires: {},
  },
  {
    what: "what a probe of another name, and a shard too many, have left behind",
    minutes: 3 * HOUR,
    events: [
      ...LEFT_BEHIND.map(
        (labels): Event => ({
          kind: "left behind",
          at: 0,
          labels,
          values: {
            registry_manifest_integrity_failures: 7,
            registry_manifest_integrity_catalog_accessible: 0,
            registry_manifest_integrity_walk_complete: 0,
            registry_manifest_integrity_repos_checked: 100,
            registry_manifest_integrity_last_run_timestamp: 60,
          },
        }),
      ),
    ],
    fires: {},
  },
  {
    what: "a probe that reports under a name that the site does not have any more",
    minutes: 2 * HOUR,
    events: [
      { kind: "probe down", instance: PRIVATE, from: 0 },
      {
        kind: "left behind",
        at: 0,
        labels: { job: "the-old-name", instance: PRIVATE },
        values: { registry_manifest_integrity_last_run_timestamp: 3600 },
      },
    ],
    fires: { RegistryIntegrityProbeAbsent: [[30, 119]] },
  },
  {
    what: "another cluster that goes on to report the same registry, and its damage, hides nothing and adds nothing",
    minutes: 2 * HOUR,
    cluster: "home",
    events: [
      { kind: "probe down", instance: PRIVATE, from: 0 },
      {
        kind: "left behind",
        at: 0,
        labels: { cluster: "office", job: "registry-integrity-probe", instance: PRIVATE },
        values: {
          registry_manifest_integrity_failures: 7,
          registry_manifest_integrity_catalog_accessible: 0,
          registry_manifest_integrity_last_run_timestamp: 3600,
        },
      },
    ],
    fires: { RegistryIntegrityProbeAbsent: [[30, 119]] },
  },
  {
    what: "damage that a former pod of the Pushgateway, which is still scraped, knows nothing of",
    minutes: 4 * HOUR,
    events: [
      damage(46, 120),
      {
        kind: "left behind",
        at: 1,
        labels: { job: "registry-integrity-probe", instance: PRIVATE, pod: "pushgateway-former" },
        values: {
          registry_manifest_integrity_failures: 0,
          registry_manifest_integrity_catalog_accessible: 1,
          registry_manifest_integrity_walk_complete: 1,
          registry_manifest_integrity_last_run_timestamp: 60,
        },
      },
    ],
    fires: { RegistryManifestIntegrityFailure: [[76, 163]] },
  },
  {
    what: "two of three shards",
    minutes: 3 * HOUR,
    shards: 3,
    events: [damage(46, 90)],
    fires: { RegistryManifestIntegrityFailure: [[76, 133]] },
  },
  {
    what: "a scrape that overwrites the labels",
    minutes: 5 * HOUR,
    events: [{ kind: "labels overwritten", from: 60 }],
    fires: {
      RegistryIntegrityLabelsOverwritten: [[75, 299]],
      RegistryReportsAbsent: [[89, 299]],
      RegistryIntegrityProbeAbsent: [[90, 299]],
      RegistryIntegrityProbeStale: [[122, 299]],
      RegistryIntegrityProbeDead: [[240, 299]],
      RegistryMaintenanceStale: [[90, 299]],
    },
    told: ["RegistryIntegrityLabelsOverwritten"],
  },
  {
    what: "a registry host that is gone",
    minutes: 5 * HOUR,
    events: [{ kind: "host down", from: 61 }],
    fires: {
      RegistryCatalogInaccessible: [[82, 299]],
      RegistryIntegrityWalkIncomplete: [[95, 299]],
      RegistryWorkloadsUnknown: [[95, 299]],
      RegistryMaintenanceStale: [[151, 299]],
    },
    told: ["RegistryCatalogInaccessible"],
  },
  {
    what: "a disk that fills up",
    minutes: 4 * HOUR,
    events: [
      { kind: "disk", free: 0.09, from: 16, to: 100 },
      { kind: "disk", free: 0.01, from: 100 },
    ],
    fires: { RegistryDiskSpaceLow: [[60, 239]], RegistryDiskFull: [[120, 239]] },
    told: ["RegistryDiskFull"],
  },
  {
    what: "a scan that finds damage",
    minutes: 3 * HOUR,
    events: [{ kind: "maintenance fails", instance: PRIVATE, task: "scan", from: 0 }],
    fires: { "RegistryMaintenanceFailed scan": [[15, 179]] },
    told: ["RegistryMaintenanceFailed scan"],
  },
  {
    what: "a scrub that finds a blob that rots, and a repair",
    minutes: 3 * HOUR,
    events: [{ kind: "corrupt", instance: PRIVATE, blobs: 1, from: 16, to: 100 }],
    fires: { "RegistryBlobsCorrupt scrub": [[45, 104]] },
  },
  {
    what: "a blob that rots, a full disk, a certificate that ends, and a Pushgateway that forgets everything",
    minutes: 4 * HOUR,
    events: [
      { kind: "corrupt", instance: PRIVATE, blobs: 1, from: 16 },
      { kind: "disk", free: 0.01, from: 16 },
      { kind: "certificate", instance: PRIVATE, daysLeft: 2, from: 15 },
      { kind: "maintenance fails", instance: PRIVATE, task: "scan", from: 0 },
      { kind: "pushgateway down", from: 130, to: 133, newPod: true },
    ],
    fires: {
      "RegistryBlobsCorrupt scrub": [[45, 239]],
      RegistryDiskSpaceLow: [[60, 239]],
      RegistryDiskFull: [[45, 239]],
      RegistryCertificateExpiresSoon: [[46, 239]],
      RegistryCertificateExpiryImminent: [[46, 239]],
      "RegistryMaintenanceFailed scan": [[15, 239]],
    },
  },
  {
    what: "reports that the Pushgateway refuses",
    minutes: 2 * HOUR,
    events: [
      { kind: "says", instance: PRIVATE, values: { push_failure_time_seconds: 1e6 }, from: 15 },
      { kind: "says", instance: PRIVATE, task: "disk", values: { push_failure_time_seconds: 1e6 }, from: 15 },
    ],
    fires: {
      RegistryIntegrityPushFailed: [[45, 119]],
      "RegistryMaintenancePushFailed disk": [[45, 119]],
    },
    told: ["RegistryIntegrityPushFailed", "RegistryMaintenancePushFailed disk"],
  },
  {
    what: "reports that the Pushgateway refuses, walks that take as long as they may, and a Pushgateway that forgets everything",
    minutes: 4 * HOUR,
    walk: 12,
    events: [
      { kind: "says", instance: PRIVATE, values: { push_failure_time_seconds: 1e6 }, from: 15 },
      { kind: "says", instance: PRIVATE, task: "disk", values: { push_failure_time_seconds: 1e6 }, from: 15 },
      { kind: "pushgateway down", from: 130, to: 132, newPod: true },
    ],
    fires: {
      RegistryIntegrityPushFailed: [[45, 239]],
      RegistryIntegrityProbeSlow: [[42, 239]],
      "RegistryMaintenancePushFailed disk": [[45, 239]],
    },
  },
  {
    what: "a repository without tags for more than a day",
    minutes: 2 * DAY,
    step: 5,
    every: 15,
    events: [
      {
        kind: "says",
        instance: PRIVATE,
        values: { registry_manifest_integrity_repositories_without_tags: 1 },
        from: 60,
      },
    ],
    fires: { RegistryRepositoriesWithoutTags: [[1500, 2865]] },
  },
  {
    what: "a certificate that is not renewed",
    minutes: 4 * HOUR,
    events: [
      { kind: "certificate", instance: PRIVATE, daysLeft: 13, from: 15, to: 90 },
      { kind: "certificate", instance: PRIVATE, daysLeft: 2, from: 90 },
    ],
    fires: { RegistryCertificateExpiresSoon: [[46, 239]], RegistryCertificateExpiryImminent: [[121, 239]] },
    told: ["RegistryCertificateExpiryImminent"],
  },
  {
    what: "a planned clean-up that leaves a tenth of the tags, and of the repositories",
    minutes: 3 * DAY,
    step: 5,
    every: 15,
    events: [{ kind: "clean-up", instance: PRIVATE, at: DAY + 2 * HOUR, tags: 10, repositories: 1 }],
    fires: {},
  },
  {
    what: "a clean-up that removes a repository, and says nothing of what it left",
    minutes: 3 * DAY,
    step: 5,
    every: 15,
    events: [{ kind: "clean-up", instance: PRIVATE, at: DAY + 2 * HOUR, tags: 10, repositories: 8, says: false }],
    fires: {},
  },
  {
    what: "a repository that is lost the day after a clean-up, until the next",
    minutes: 4 * DAY,
    step: 5,
    every: 15,
    events: [
      { kind: "clean-up", instance: PRIVATE, at: DAY + 2 * HOUR, tags: 50 },
      { kind: "content", instance: PRIVATE, at: DAY + 12 * HOUR, repositories: 9 },
      { kind: "clean-up", instance: PRIVATE, at: 2 * DAY + 2 * HOUR, tags: 50 },
    ],
    fires: { "RegistryIntegrityCoverageLost repositories": [[2205, 2865]] },
  },
  {
    what: "most of what a clean-up left is lost, although it said nothing of that; the next one ends no alert",
    minutes: 2 * DAY + 4 * HOUR,
    // Rules are evaluated more often than Prometheus looks back, so that this one sees that it fired the last time.
    step: 3,
    events: [
      { kind: "clean-up", instance: PRIVATE, at: DAY + 2 * HOUR, tags: 50, repositories: 4, says: false },
      { kind: "content", instance: PRIVATE, at: DAY + 12 * HOUR, repositories: 1 },
      { kind: "clean-up", instance: PRIVATE, at: 2 * DAY + 2 * HOUR, tags: 50 },
    ],
    fires: {
      "RegistryIntegrityCoverageLost repositories": [[2193, 2877]],
      "RegistryMassLoss repositories": [[2193, 3117]],
    },
  },
  {
    what: "most of it lost during a clean-up",
    minutes: 2 * DAY,
    step: 5,
    every: 15,
    events: [
      { kind: "clean-up", instance: PRIVATE, at: DAY + 2 * HOUR, tags: 50 },
      { kind: "content", instance: PRIVATE, at: DAY + 2 * HOUR + 1, repositories: 3, tags: 20 },
    ],
    fires: {
      "RegistryIntegrityCoverageLost repositories": [[1620, 2865]],
      "RegistryIntegrityCoverageLost tags": [[1620, 2865]],
      "RegistryMassLoss repositories": [[1620, 2865]],
      "RegistryMassLoss tags": [[1620, 2865]],
    },
  },
  {
    what: "a repository that somebody deletes where there is no maintenance",
    site: "small",
    minutes: 9 * DAY,
    step: 5,
    every: 15,
    events: [{ kind: "content", instance: "registry.home.arpa:5443", at: DAY, repositories: 9 }],
    fires: { "RegistryIntegrityCoverageLost repositories": [[1515, 11_520]] },
  },
  {
    what: "a catalog that is empty",
    minutes: 4 * HOUR,
    events: [{ kind: "content", instance: PRIVATE, at: 50, repositories: 0, tags: 0 }],
    fires: {
      RegistryCatalogEmpty: [[91, 239]],
      "RegistryMassLoss repositories": [[91, 239]],
      "RegistryMassLoss tags": [[91, 239]],
      "RegistryIntegrityCoverageLost repositories": [[91, 239]],
      "RegistryIntegrityCoverageLost tags": [[91, 239]],
    },
    told: ["RegistryCatalogEmpty"],
  },
];

/** The site of an episode. */
export const siteOf = ({ site: name = "reference", shards = 1, cluster, deadline }: Episode): MonitoredSite =>
  site(name, ({ monitoring }) => {
    Object.assign(monitoring.probes[0], { shards }, deadline === undefined ? {} : { deadlineSeconds: deadline });
    if (cluster !== undefined) monitoring.cluster = cluster;
  });

/** An episode of the unmodified reference site that triggers an alert. */
export interface FirstFiring {
  readonly alertname: string;
  readonly episode: Episode;
  /** First minute at which it fires. */
  readonly minute: number;
}

/** The episode that triggers an alert earliest. @throws Error if there is none */
export const firstFiringOf = (alertname: string): FirstFiring => {
  const plain = EPISODES.filter(({ site, shards, cluster, deadline }) => !(site ?? shards ?? cluster ?? deadline));
  const [way] = plain
    .flatMap((episode) =>
      Object.entries(episode.fires).flatMap(([name, [first]]) =>
        name.split(" ")[0] === alertname && first !== undefined ? [{ alertname, episode, minute: first[0] }] : [],
      ),
    )
    .sort((a, b) => a.minute - b.minute);
  if (way === undefined) throw new Error(`no episode has ${alertname}`);
  return way;
};

/** What episodes must have in common to be evaluated by the same promtool. */
export const settingOf = ({
  site: name = "reference",
  shards = 1,
  cluster,
  deadline,
  step = 1,
  every = step,
}: Episode) => ({
  name,
  shards,
  cluster,
  deadline,
  step,
  every,
});

/** Limited, so that every core has some. */
const BATCH = 5;

/** Episodes with the same setting, by few. */
export const batchesOf = (episodes: readonly Episode[]): Episode[][] => {
  const batches: Episode[][] = [];
  for (const episode of episodes) {
    const key = JSON.stringify(settingOf(episode));
    const open = batches.findLast(([first]) => first !== undefined && JSON.stringify(settingOf(first)) === key);
    if (open === undefined || open.length === BATCH) batches.push([episode]);
    else open.push(episode);
  }
  return batches;
};
