import { maintenanceTasks } from "../../hosts/maintenance";
import { MAINTENANCE_JOB, type MaintenanceMetricName, type MetricName } from "../../monitoring/metrics";
import { patience } from "../../registry/probe/probe";
import type { Probe } from "../../site/monitoring";
import { hasRegistry, isExternal, type MonitoredSite, probedService, serviceInstance } from "../../site/schema";

/** From one minute up to another; without an end, until the end of the simulation. */
interface During {
  readonly from: number;
  readonly to?: number;
}

/** An event, in minutes since the beginning. `instance` is the registry that it affects. */
export type Event =
  /** Broken objects; in every run, or in each `every`th from the first on. */
  | ({
      readonly kind: "damage";
      readonly instance: string;
      readonly objects?: number;
      readonly every?: number;
    } & During)
  /** The registry is down, or refuses the probe's password; in every run, or in each `every`th. */
  | ({ readonly kind: "registry down"; readonly instance: string; readonly every?: number } & During)
  /** Images that are in use and cannot be pulled again. */
  | ({
      readonly kind: "images lost";
      readonly instance: string;
      readonly missing?: number;
      readonly broken?: number;
    } & During)
  /** The cluster does not report its workloads, or the registry does not accept the report. */
  | ({ readonly kind: "workloads unknown"; readonly instance: string } & During)
  /** The walk does not complete. */
  | ({ readonly kind: "walk stuck"; readonly instance: string; readonly every?: number } & During)
  | ({ readonly kind: "slow"; readonly instance: string; readonly minutes: number } & During)
  /** The whole probe, or the pod of one shard. */
  | ({ readonly kind: "probe down"; readonly instance: string; readonly shard?: number } & During)
  /** The pod starts with this delay. */
  | ({ readonly kind: "pod late"; readonly instance: string; readonly minutes: number } & During)
  | ({ readonly kind: "clock skew"; readonly instance: string; readonly seconds: number } & During)
  /** The number of repositories or tags changes, for whatever reason. */
  | {
      readonly kind: "content";
      readonly instance: string;
      readonly at: number;
      readonly repositories?: number;
      readonly tags?: number;
    }
  /** The maintenance removes all but this many tags, and reports it. */
  | {
      readonly kind: "clean-up";
      readonly instance: string;
      readonly at: number;
      readonly tags: number;
      readonly repositories?: number;
      readonly fails?: true;
      readonly says?: false;
    }
  /** Always this many days before its expiry. */
  | ({ readonly kind: "certificate"; readonly instance: string; readonly daysLeft: number } & During)
  /** A new certificate that is valid for this many days. */
  | { readonly kind: "certificate issued"; readonly instance: string; readonly at: number; readonly days: number }
  /** It cannot be scraped; unless it persists its data, it forgets everything. */
  | ({ readonly kind: "pushgateway down"; readonly persists?: true; readonly newPod?: true } & During)
  /** Nothing is scraped while the Pushgateway keeps running. */
  | ({ readonly kind: "scrape gap" } & During)
  | ({ readonly kind: "labels overwritten" } & During)
  | ({ readonly kind: "host down" } & During)
  /** The free fraction of every disk on the host. */
  | ({ readonly kind: "disk"; readonly free: number } & During)
  | ({ readonly kind: "maintenance fails"; readonly instance: string; readonly task: string } & During)
  /** Corrupt blobs recorded by the scrub, which each check of the disk reports. */
  | ({ readonly kind: "corrupt"; readonly instance: string; readonly blobs: number } & During)
  /** Replaces what the Pushgateway holds for a registry, or for one of its tasks. */
  | ({
      readonly kind: "says";
      readonly instance: string;
      readonly task?: string;
      readonly values: Readonly<Record<string, number>>;
    } & During)
  /** A group that is no longer replaced: of a probe with a former name, or of a former shard. */
  | {
      readonly kind: "left behind";
      readonly at: number;
      readonly labels: Readonly<Record<string, string>>;
      readonly values: Readonly<Partial<Record<MetricName, number>>>;
    };

/** https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/#series */
export interface Series {
  readonly series: string;
  readonly values: string;
}

export interface SimulationOptions {
  readonly minutes: number;
  /** Minutes between two scrapes. @default 1 */
  readonly step?: number;
  readonly events?: readonly Event[];
  /** Minutes that a walk takes. @default 1 */
  readonly walk?: number;
  /** Labels that the scrape adds. @default none */
  readonly scraped?: Readonly<Record<string, string>>;
}

type Labels = Readonly<Record<string, string>>;
/** By metric, including its own labels. */
type Values = Map<string, number>;

const MINUTE = 60;
const DAY = 24 * 60;

const name = (labels: Labels): string =>
  Object.keys(labels)
    .sort()
    .map((label) => `${label}=${JSON.stringify(labels[label])}`)
    .join(",");

const holds = ({ from, to = Number.POSITIVE_INFINITY }: During, minute: number): boolean =>
  minute >= from && minute < to;

type Kind<K extends Event["kind"]> = Extract<Event, { kind: K }>;

/** The state of the world at a minute, as a result of the events. */
class World {
  readonly #byKind = new Map<Event["kind"], Event[]>();

  constructor(events: readonly Event[]) {
    for (const event of events) this.#byKind.set(event.kind, [...(this.#byKind.get(event.kind) ?? []), event]);
  }

  of<K extends Event["kind"]>(kind: K): Kind<K>[] {
    return (this.#byKind.get(kind) ?? []) as Kind<K>[];
  }

  now<K extends Event["kind"]>(kind: K, minute: number, instance?: string): Kind<K>[] {
    return this.of(kind).filter(
      (event) =>
        "from" in event &&
        holds(event, minute) &&
        (instance === undefined || !("instance" in event) || event.instance === instance),
    );
  }

  content(minute: number, instance: string): { repositories: number; tags: number } {
    const changes = [...this.of("content"), ...this.of("clean-up")]
      .filter((event) => event.instance === instance && event.at <= minute)
      .sort((a, b) => a.at - b.at);
    const found = { repositories: 10, tags: 100 };
    for (const { repositories, tags } of changes) {
      found.repositories = repositories ?? found.repositories;
      found.tags = tags ?? found.tags;
    }
    return found;
  }

  /** The minute at which the registry's certificate expires. */
  expiry(minute: number, instance: string): number {
    const issued = this.of("certificate issued").findLast((event) => event.instance === instance && event.at <= minute);
    if (issued !== undefined) return issued.at + issued.days * DAY;
    return minute + (this.now("certificate", minute, instance)[0]?.daysLeft ?? 60) * DAY;
  }
}

/** Whether a failure that only shows in some runs shows in this one. */
const shows = (event: During & { readonly every?: number }, start: number, period: number): boolean =>
  Math.floor((start - event.from) / period) % (event.every ?? 1) === 0;

/** Every so many minutes from 0 on, below an end. */
export const minutesBelow = (end: number, every: number): number[] =>
  Array.from({ length: Math.ceil(end / every) }, (_, index) => index * every);

interface PushedReport {
  readonly at: number;
  readonly group: Labels;
  /** Whether it replaces what is stored, or adds to it. */
  readonly replaces: boolean;
  readonly values: Values;
}

const own = (values: Partial<Record<MetricName | MaintenanceMetricName, number>>): Values =>
  new Map(Object.entries(values) as [string, number][]);

/** The reports of each run of a probe, as registry/probe makes them. */
const probeReports = (
  site: MonitoredSite,
  probe: Probe,
  world: World,
  { minutes, walk = 1 }: SimulationOptions,
): PushedReport[] => {
  const service = probedService(site, probe);
  const instance = serviceInstance(site, service);
  const encrypted = isExternal(service) ? service.url.startsWith("https:") : service.role === "private";
  const asksFor = patience(probe.deadlineSeconds);
  const waits = Math.ceil(asksFor / MINUTE);
  const reports: PushedReport[] = [];
  /** Shards that reported an unreadable catalog. */
  const unread = new Set<number>();
  for (let planned = 0; planned < minutes; planned += probe.periodMinutes) {
    const start = planned + (world.now("pod late", planned, instance)[0]?.minutes ?? 0);
    for (let shard = 0; shard < probe.shards; shard++) {
      if (world.now("probe down", start, instance).some((event) => (event.shard ?? shard) === shard)) continue;
      const cluster = site.monitoring.cluster;
      const group = {
        ...(cluster === undefined ? {} : { cluster }),
        job: probe.name,
        instance,
        ...(probe.shards === 1 ? {} : { shard: String(shard) }),
      };
      const down = (minute: number) =>
        [
          ...world.now("registry down", minute, instance).filter((event) => shows(event, planned, probe.periodMinutes)),
          ...(isExternal(service) ? [] : world.now("host down", minute)),
        ].length > 0;
      const skew = world.now("clock skew", start, instance)[0]?.seconds ?? 0;
      const expiry = {
        registry_manifest_integrity_certificate_expiry_timestamp_seconds: world.expiry(start, instance) * MINUTE,
      };
      const asksCluster = probe.workloads && shard === 0;
      /** A run's report about workloads; for images that the registry cannot be asked about, only that they are needed. */
      const workloads = (minute: number): Values => {
        if (!asksCluster) return new Map();
        const unknown = world.now("workloads unknown", minute, instance).length > 0;
        const { missing = 0, broken: halves = 0 } = world.now("images lost", minute, instance)[0] ?? {};
        const states = down(minute)
          ? { intact: 0, broken: 0, missing: 0, unknown: 20 }
          : { intact: 20 - missing - halves, broken: halves, missing, unknown: 0 };
        return new Map([
          ...own({ registry_workload_known: unknown || down(minute) ? 0 : 1 }),
          ...(unknown
            ? []
            : Object.entries(states).map(
                ([state, images]) => [`registry_workload_images{state="${state}"}`, images] as const,
              )),
        ]);
      };
      let begun = start;
      while (down(begun) && begun < start + waits) begun++;
      if (down(begun)) {
        const at = start + waits;
        reports.push({
          at,
          group,
          replaces: false,
          values: new Map([
            ...own({
              registry_manifest_integrity_catalog_accessible: 0,
              registry_manifest_integrity_catalog_inaccessible_seconds: asksFor,
              registry_manifest_integrity_last_run_timestamp: at * MINUTE + skew,
              registry_manifest_integrity_run_duration_seconds: asksFor,
              ...(service.role === "private" ? { registry_manifest_integrity_walk_complete: 0 } : {}),
            }),
            ...workloads(start),
          ]),
        });
        unread.add(shard);
        continue;
      }
      // Withdrawn before the walk.
      if (unread.delete(shard))
        reports.push({
          at: begun,
          group,
          replaces: false,
          values: own({
            registry_manifest_integrity_catalog_accessible: 1,
            registry_manifest_integrity_catalog_inaccessible_seconds: 0,
          }),
        });
      const takes = world.now("slow", start, instance)[0]?.minutes ?? walk;
      const at = begun + takes;
      const stuck =
        world.now("walk stuck", begun, instance).filter((event) => shows(event, planned, probe.periodMinutes)).length >
        0;
      const broken =
        shard > 0
          ? 0
          : world
              .now("damage", begun, instance)
              .filter((event) => shows(event, planned, probe.periodMinutes))
              .reduce((sum, { objects = 1 }) => sum + objects, 0);
      const content = world.content(begun, instance);
      const part = (count: number) => Math.floor(count / probe.shards) + (shard < count % probe.shards ? 1 : 0);
      const availability = {
        registry_manifest_integrity_catalog_accessible: 1,
        registry_manifest_integrity_catalog_inaccessible_seconds: 0,
        registry_manifest_integrity_last_run_timestamp: at * MINUTE + skew,
        registry_manifest_integrity_run_duration_seconds: takes * MINUTE,
        ...(encrypted ? expiry : {}),
      };
      if (service.role === "proxy") reports.push({ at, group, replaces: true, values: own(availability) });
      else if (stuck)
        reports.push({
          at,
          group,
          replaces: false,
          values: new Map([
            ...own({ ...availability, registry_manifest_integrity_walk_complete: 0 }),
            ...workloads(begun),
          ]),
        });
      else
        reports.push({
          at,
          group,
          replaces: true,
          values: new Map([
            ...own({
              ...availability,
              registry_manifest_integrity_walk_complete: 1,
              registry_manifest_integrity_failures: broken,
              registry_manifest_integrity_repos_checked: part(content.repositories),
              registry_manifest_integrity_tags_checked: part(content.tags),
              registry_manifest_integrity_repositories_without_tags: 0,
              registry_manifest_integrity_last_complete_walk_timestamp_seconds: at * MINUTE + skew,
            }),
            ['registry_manifest_integrity_failures_by_reason{reason="missing"}', broken] as const,
            ...workloads(begun),
          ]),
        });
    }
  }
  return reports;
};

/** The reports of the maintenance on the registry host, as hosts/maintenance.sh makes them. */
const maintenanceReports = (site: MonitoredSite, world: World, { minutes }: SimulationOptions): PushedReport[] => {
  if (!hasRegistry(site)) return [];
  const { maintenance, services } = site.registry;
  if (maintenance === undefined) return [];
  const tasks = maintenanceTasks(maintenance);
  const reports: PushedReport[] = [];
  const size = 1e12;
  for (const service of services) {
    const instance = serviceInstance(site, service);
    const said = new Map<string, Values>();
    const cleanUps = world.of("clean-up").filter((event) => event.instance === instance);
    const moments = new Set([
      ...minutesBelow(minutes, maintenance.disk.everyMinutes),
      ...minutesBelow(minutes, DAY),
      ...cleanUps.map((event) => event.at),
    ]);
    for (const at of [...moments].sort((a, b) => a - b)) {
      if (world.now("host down", at).length > 0) continue;
      const due = tasks.filter(({ task }) =>
        task === "disk"
          ? at % maintenance.disk.everyMinutes === 0
          : (task !== "clean-up" || service.role === "private") &&
            (task !== "caches" || service.role === "proxy") &&
            at % DAY === 0,
      );
      const cleanUp = cleanUps.find((event) => event.at === at);
      for (const { task, allowedAge } of cleanUp === undefined
        ? due
        : [...due, ...tasks.filter((each) => each.task === "clean-up")]) {
        const fails =
          world.now("maintenance fails", at, instance).some((event) => event.task === task) ||
          (task === "clean-up" && cleanUp?.fails);
        const before = said.get(task)?.get("registry_maintenance_last_success_timestamp_seconds") ?? at * MINUTE;
        const left = cleanUps.findLast((event) => event.at <= at);
        said.set(
          task,
          own({
            registry_maintenance_success: fails ? 0 : 1,
            registry_maintenance_last_run_timestamp_seconds: at * MINUTE,
            registry_maintenance_last_success_timestamp_seconds: fails ? before : at * MINUTE,
            registry_maintenance_allowed_age_seconds: allowedAge,
            registry_maintenance_freed_bytes: 0,
            ...(task === "disk"
              ? {
                  registry_maintenance_disk_free_bytes: size * (world.now("disk", at)[0]?.free ?? 0.5),
                  registry_maintenance_disk_size_bytes: size,
                }
              : {}),
            ...(task === "clean-up" && left !== undefined && left.says !== false
              ? {
                  registry_maintenance_tags_left: world.content(at, instance).tags,
                  registry_maintenance_repositories_left: world.content(at, instance).repositories,
                }
              : {}),
          }),
        );
      }
      const cluster = site.monitoring.cluster;
      const pushed = due.some(({ task }) => task === "disk")
        ? [...said.keys()]
        : cleanUp === undefined
          ? []
          : ["clean-up"];
      const rot = own({ registry_maintenance_corrupt_blobs: world.now("corrupt", at, instance)[0]?.blobs ?? 0 });
      for (const task of pushed)
        reports.push({
          at,
          group: { ...(cluster === undefined ? {} : { cluster }), job: MAINTENANCE_JOB, instance, task },
          replaces: true,
          values: new Map([...(said.get(task) ?? []), ...(task === "scrub" ? rot : [])]),
        });
    }
  }
  return reports;
};

/** What Prometheus scrapes in the simulation. */
export const simulate = (site: MonitoredSite, options: SimulationOptions): Series[] => {
  const { minutes, step = 1, events = [], scraped = {} } = options;
  const world = new World(events);
  const leftBehind = world
    .of("left behind")
    .map(({ at, labels, values }): PushedReport => ({ at, group: labels, replaces: true, values: own(values) }));
  const reports = [
    ...site.monitoring.probes.flatMap((probe) => probeReports(site, probe, world, options)),
    ...maintenanceReports(site, world, options),
    ...leftBehind,
  ].sort((a, b) => a.at - b.at);
  const stored = new Map<string, { group: Labels; values: Values; pushed: number }>();
  const series = new Map<string, (number | undefined)[]>();
  let pod = 0;
  let next = 0;
  const slots = Math.ceil(minutes / step);
  for (let slot = 0; slot < slots; slot++) {
    for (let minute = slot === 0 ? 0 : (slot - 1) * step + 1; minute <= slot * step; minute++) {
      const [outage] = world.now("pushgateway down", minute);
      if (outage !== undefined) {
        if (!outage.persists) stored.clear();
        if (outage.newPod && outage.from === minute) pod++;
      }
      for (; next < reports.length && (reports[next] as PushedReport).at <= minute; next++) {
        const { group, replaces, values } = reports[next] as PushedReport;
        if (outage !== undefined) continue;
        const before = stored.get(name(group))?.values ?? new Map();
        stored.set(name(group), {
          group,
          values: replaces ? values : new Map([...before, ...values]),
          pushed: minute * MINUTE,
        });
      }
    }
    const minute = slot * step;
    if ([...world.now("pushgateway down", minute), ...world.now("scrape gap", minute)].length > 0) continue;
    const overwritten = world.now("labels overwritten", minute).length > 0;
    for (const { group, values, pushed } of stored.values()) {
      const { job, instance, ...others } = group;
      const labels: Labels = overwritten
        ? {
            ...others,
            job: "pushgateway",
            instance: "pushgateway:9091",
            exported_job: job ?? "",
            exported_instance: instance ?? "",
            ...scraped,
          }
        : {
            ...group,
            ...scraped,
            ...(world.of("pushgateway down").some(({ newPod }) => newPod) ? { pod: `pushgateway-${pod}` } : {}),
          };
      const said = world
        .now("says", minute, group.instance)
        .filter(({ task }) => task === group.task)
        .flatMap((event) => Object.entries(event.values));
      const gateway = { push_time_seconds: pushed, push_failure_time_seconds: 0 };
      const all = new Map<string, number>([...values, ...Object.entries(gateway), ...said]);
      for (const [key, value] of all) {
        const [metric, rest = ""] = key.split("{");
        const id = `${metric}{${[name(labels), rest.replace("}", "")].filter((each) => each !== "").join(",")}}`;
        const known = series.get(id) ?? [];
        known[slot] = value;
        series.set(id, known);
      }
    }
  }
  return [...series].map(([id, values]) => ({
    series: id,
    values: Array.from({ length: slots }, (_, slot) => values[slot] ?? "stale").join(" "),
  }));
};
