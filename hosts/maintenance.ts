import { MAINTENANCE_JOB, MAINTENANCE_METRICS, type MaintenanceMetricName } from "../monitoring/metrics";
import { allowedAge, type Maintenance, type Schedule } from "../site/maintenance";
import { containerName, dataDirectory, registryPaths, type Service } from "../site/registry";
import { pushgatewayUrlOnHost, type RegistrySite, registryHost, serviceInstance } from "../site/schema";
import { cleanedUp, readOnlyOverride, renderCompose, WARDEN, wardenPaths } from "./compose";
import { type DeliveredFile, type DeliveredLink, hostProgram } from "./delivery";
import { GENERATED_COMMENT } from "./generated";
import { CONFIGURATION, registryConfiguration } from "./registry-configuration";
import { reportUrl } from "./report-url";
import { assignments, type Settings } from "./shell";
import { type TaskUnit, taskService, taskTimer, UNITS, unitOf } from "./systemd-unit";
import { wardenProgram } from "./warden-program";

/** A maintenance task, with the maximum age of its last success (seconds). */
interface Task extends TaskUnit {
  readonly allowedAge: number;
}

const MINUTE = 60;

/** systemd.time(7): `Mon,Sun *-*-* 02:00:00`; the days in weekly order, as systemd writes them. */
const calendarEvents = (schedule: Schedule): string[] =>
  schedule.map(
    ({ days, at }) => `${days.map((day) => `${day.charAt(0).toUpperCase()}${day.slice(1)}`).join(",")} *-*-* ${at}:00`,
  );

const scheduled = (task: string, description: string, schedule: Schedule | undefined): Task[] =>
  schedule === undefined
    ? []
    : [{ task, description, onCalendar: calendarEvents(schedule), allowedAge: allowedAge(schedule) }];

/** The tasks of a site's maintenance, in the order of the runbooks. */
export const maintenanceTasks = ({ cleanUp, caches, scan, scrub, disk }: Maintenance): Task[] => [
  ...scheduled("clean-up", "Cleans up the private registries", cleanUp),
  ...scheduled("caches", "Collects the garbage of the pull-through caches", caches),
  ...scheduled("scan", "Scans the storage of the registries", scan),
  ...scheduled("scrub", "Reads every blob of the registries against its name", scrub),
  {
    task: "disk",
    description: "Reports the free space of the registries",
    onCalendar: [`*-*-* *:00/${disk.everyMinutes}:00`],
    allowedAge: 4 * disk.everyMinutes * MINUTE,
  },
];

const METRICS = {
  SUCCESS: "registry_maintenance_success",
  LAST_RUN: "registry_maintenance_last_run_timestamp_seconds",
  LAST_SUCCESS: "registry_maintenance_last_success_timestamp_seconds",
  ALLOWED_AGE: "registry_maintenance_allowed_age_seconds",
  DURATION: "registry_maintenance_run_duration_seconds",
  FREED: "registry_maintenance_freed_bytes",
  REPOSITORIES_LEFT: "registry_maintenance_repositories_left",
  TAGS_LEFT: "registry_maintenance_tags_left",
  CORRUPT: "registry_maintenance_corrupt_blobs",
  SCRUBBED: "registry_maintenance_scrub_progress_ratio",
  DISK_FREE: "registry_maintenance_disk_free_bytes",
  DISK_SIZE: "registry_maintenance_disk_size_bytes",
} as const satisfies Record<string, MaintenanceMetricName>;

/** The settings of the host and its tasks. */
const settings = (site: RegistrySite, maintenance: Maintenance): Settings => ({
  HOST: registryHost(site).name,
  PROJECT: site.registry.project,
  COMPOSE_FILE: registryPaths(site.registry.directory).compose,
  WARDEN,
  CONFIGURATION,
  SERVICES: site.registry.services.map(({ name }) => name),
  ALLOWED_AGES: Object.fromEntries(
    maintenanceTasks(maintenance).map(({ task, allowedAge }) => [task, String(allowedAge)]),
  ),
  HELPS: MAINTENANCE_METRICS,
  ...Object.fromEntries(Object.entries(METRICS).map(([name, metric]) => [`METRIC_${name}`, metric])),
});

/** The settings of one registry; empty for what its role does not have. */
const serviceSettings = (site: RegistrySite, service: Service): Settings => {
  const paths = registryPaths(site.registry.directory);
  const isPrivate = service.role === "private";
  return {
    CONTAINER: containerName(service),
    ROLE: service.role,
    URL: `http://${containerName(service)}:${service.port}`,
    UPSTREAM: isPrivate ? "" : service.upstream,
    DIRECTORY: dataDirectory(site.registry, service),
    STORE: wardenPaths(service.name).data,
    POLICY: isPrivate ? wardenPaths(service.name).retention : "",
    READ_ONLY_FILE: isPrivate ? paths.readOnlyCompose(service.name) : "",
    // The program appends the task.
    METRICS_URL: `${reportUrl(pushgatewayUrlOnHost(site), {
      job: MAINTENANCE_JOB,
      instance: serviceInstance(site, service),
      cluster: site.monitoring?.cluster,
    })}/task`,
  };
};

/** Parts of the cron and systemd commands that the maintenance replaces. */
const replacedBy = ({ replaces }: Maintenance): string[] => ["garbage-collect", ...replaces];

/** The part of the registries' delivery for their maintenance. */
export interface MaintenanceDelivery {
  readonly files: readonly DeliveredFile[];
  readonly links: readonly DeliveredLink[];
  readonly parts: Readonly<Record<string, string>>;
  readonly secrets: readonly string[];
  readonly replaced: readonly string[];
}

const NOTHING: MaintenanceDelivery = { files: [], links: [], parts: {}, secrets: [], replaced: [] };

/** The program, the commands it runs, its settings, and the timers that start it. */
export const maintenanceDelivery = (site: RegistrySite): MaintenanceDelivery => {
  const { registry } = site;
  const { maintenance, directory, services, unit } = registry;
  if (maintenance === undefined) return NOTHING;
  const paths = registryPaths(directory);
  const file = (path: string, content: string): DeliveredFile => ({ path, mode: "0644", content });
  const settingsFile = (path: string, content: Settings): DeliveredFile =>
    file(path, `${GENERATED_COMMENT}\n${assignments(content)}`);
  const tasks = maintenanceTasks(maintenance);
  return {
    files: [
      ...services.flatMap((service) =>
        service.role === "private" && service.retention !== undefined
          ? [file(paths.retention(service.name), `${JSON.stringify(service.retention, null, 2)}\n`)]
          : [],
      ),
      ...cleanedUp(registry).flatMap((service) => [
        file(paths.readOnlyConfig(service.name), registryConfiguration(service, "read-only")),
        file(paths.readOnlyCompose(service.name), renderCompose(readOnlyOverride(registry, service))),
      ]),
      { ...file(paths.warden, wardenProgram()), shown: "digest" },
      { ...file(paths.maintenance, `#!/usr/bin/env bash\n${hostProgram("maintenance.sh")}`), shown: "digest" },
      settingsFile(paths.maintenanceSettings, settings(site, maintenance)),
      ...services.map((service) => settingsFile(paths.serviceSettings(service.name), serviceSettings(site, service))),
      ...tasks.flatMap((task) => [
        file(`${UNITS}/${unitOf(task.task)}.service`, taskService(task, paths.maintenance, unit)),
        file(`${UNITS}/${unitOf(task.task)}.timer`, taskTimer(task)),
      ]),
    ],
    links: tasks.map(({ task }) => ({
      path: `${UNITS}/timers.target.wants/${unitOf(task)}.timer`,
      target: `../${unitOf(task)}.timer`,
    })),
    parts: {
      "cron and systemd: disabled is what runs a command that contains": replacedBy(maintenance)
        .map((text) => `${text}\n`)
        .join(""),
    },
    secrets: [maintenance.credentialsFile],
    replaced: replacedBy(maintenance),
  };
};
