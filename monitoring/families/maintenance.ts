import type { Maintenance } from "../../site/maintenance";
import { hasRegistry, type MonitoredSite, type RegistrySite, registryHost, serviceInstance } from "../../site/schema";
import { type Alert, clusterLabel, type Family, hostLabel, MINUTE, type Subject } from "../alert";
import { MAINTENANCE_JOB, type MaintenanceMetricName, type PushgatewayMetricName } from "../metrics";
import { anyOf, lastKnown, selector } from "../promql";

const LAST_SUCCESS = "registry_maintenance_last_success_timestamp_seconds";

/** A disk with less free space than this fraction is as good as full. */
const FULL = 0.02;

/** Identifies a report. */
const REPORT = "cluster, job, instance, task";

const alertsAbout = (site: RegistrySite & MonitoredSite, { disk }: Maintenance): Alert[] => {
  const period = disk.everyMinutes * MINUTE;
  const { services } = site.registry;
  const reporter = { ...clusterLabel(site), job: MAINTENANCE_JOB };
  const instances = services.map((service) => serviceInstance(site, service));
  const all = (metric: MaintenanceMetricName | PushgatewayMetricName) =>
    selector(metric, { ...reporter, instance: anyOf(instances) });
  const ofEach = (metric: MaintenanceMetricName | PushgatewayMetricName) => `max by (${REPORT}) (${all(metric)})`;
  const absent = instances.map((instance) => `absent(${selector(LAST_SUCCESS, { ...reporter, instance })})`);
  const overdue = `time() - ${ofEach(LAST_SUCCESS)} > ${ofEach("registry_maintenance_allowed_age_seconds")}`;
  const last = (metric: MaintenanceMetricName | PushgatewayMetricName, of: "min" | "max") =>
    lastKnown((over) => `${of} by (${REPORT}) (${over(all(metric))})`);
  const free = `${last("registry_maintenance_disk_free_bytes", "min")} / ${last("registry_maintenance_disk_size_bytes", "max")}`;
  const low = disk.minimumFreePercent / 100;
  const full = Math.min(FULL, low / 2);
  const about = services.map((service): Subject => ({ kind: "service", service, probe: undefined }));
  const labels = hostLabel(site);
  // The description of an alert can only use the labels of its series.
  const host = registryHost(site).name;
  /** The registries on the host that meet a condition, in one alert, because they share the cause. */
  const listed = (condition: string, row: string): string =>
    `{{ range query ${JSON.stringify(condition)} | sortByLabel "instance" }}${row}{{ end }}`;
  return [
    {
      name: "RegistryMaintenanceFailed",
      severity: "warning",
      expr: `${last("registry_maintenance_success", "min")} == 0`,
      after: period,
      summary: "The maintenance of the registry has failed",
      description:
        '{{ if eq $labels.task "scan" }}The scan of {{ $labels.instance }} found something broken on its disk, or could not read it.{{ else }}The task {{ $labels.task }} of {{ $labels.instance }} did not do all of its work. It stops before it removes anything where something is broken already.{{ end }}',
      labels,
      about,
    },
    {
      name: "RegistryMaintenanceStale",
      severity: "warning",
      expr: `count by (cluster, job) (${overdue} or ${absent.join(" or ")})`,
      after: 2 * period,
      summary: "The maintenance of the registry does not run",
      description: `The maintenance on ${host} has not succeeded for longer than its schedule allows, or reports nothing: the storage grows, and nobody looks at it.${listed(overdue, " {{ .Labels.instance }}, task {{ .Labels.task }}: {{ .Value | humanizeDuration }} ago.")}`,
      labels,
      about,
    },
    {
      name: "RegistryMaintenancePushFailed",
      severity: "warning",
      expr: `max by (${REPORT}) (${last("push_failure_time_seconds", "max")} > ${last("push_time_seconds", "max")})`,
      after: 2 * period,
      summary: "The Pushgateway refuses the report of the maintenance",
      description:
        "The last report of the task {{ $labels.task }} of {{ $labels.instance }} was refused {{ $value | humanizeTimestamp }}: what is stored is older than it looks.",
      labels,
      about,
    },
    {
      name: "RegistryBlobsCorrupt",
      severity: "critical",
      expr: `${last("registry_maintenance_corrupt_blobs", "max")} > 0`,
      after: period,
      summary: "The disk of the registry holds other bytes than were pushed",
      description:
        'Blobs of {{ $labels.instance }} that do not hash to their name, or that the disk does not give: {{ $value | printf "%.0f" }}. Whoever pulls an image with one of them fails.',
      labels,
      about,
    },
    {
      name: "RegistryDiskSpaceLow",
      severity: "warning",
      expr: `min by (cluster, job) (${free}) < ${low}`,
      after: 2 * period,
      summary: "The disk of the registry is nearly full",
      description: `Only {{ $value | humanizePercentage }} of a disk with data of the registries on ${host} is free. On a full disk every push fails, and so does a clean-up. It holds:${listed(`${free} < ${low}`, " {{ .Labels.instance }}")}.`,
      labels,
      about,
    },
    {
      name: "RegistryDiskFull",
      severity: "critical",
      expr: `min by (cluster, job) (${free}) < ${full}`,
      after: period,
      summary: "The disk of the registry is full",
      description: `Only {{ $value | humanizePercentage }} of a disk with data of the registries on ${host} is free: pushes fail, layers arrive truncated, and a clean-up cannot begin. It holds:${listed(`${free} < ${full}`, " {{ .Labels.instance }}")}.`,
      labels,
      about,
    },
  ];
};

/**
 * Failures of the maintenance of the site's own registries. The host pushes every report again with each check of the disk, so a
 * Pushgateway that lost its data has them again after one check.
 */
export const maintenanceAlerts: Family = {
  name: "registry-maintenance",
  alerts: (site) =>
    hasRegistry(site) && site.registry.maintenance !== undefined ? alertsAbout(site, site.registry.maintenance) : [],
};
