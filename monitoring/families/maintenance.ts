import { serviceInstance } from "../../site/schema";
import { type Family, MINUTE, type Subject } from "../alert";
import { MAINTENANCE_JOB, type MaintenanceMetricName } from "../metrics";
import { anyOf, selector } from "../promql";

/**
 * What goes wrong with the maintenance of the site's own registries. The host pushes every report again with each look at
 * the disk: a Pushgateway that forgot them knows them after one.
 */
export const maintenanceAlerts: Family = {
  name: "registry-maintenance",
  alerts: (site) => {
    const { maintenance, services = [] } = site.registry ?? {};
    if (maintenance === undefined) return [];
    const { disk } = maintenance;
    const period = disk.everyMinutes * MINUTE;
    const instances = services.map((service) => serviceInstance(site, service));
    const all = (metric: MaintenanceMetricName) =>
      selector(metric, { job: MAINTENANCE_JOB, instance: anyOf(instances) });
    const lastSuccess = "registry_maintenance_last_success_timestamp_seconds";
    const absent = instances.map((instance) => `absent(${selector(lastSuccess, { job: MAINTENANCE_JOB, instance })})`);
    const about = services.map((service): Subject => ({ kind: "service", service, probe: undefined }));
    return [
      {
        name: "RegistryMaintenanceFailed",
        severity: "warning",
        expr: `${all("registry_maintenance_success")} == 0`,
        after: period,
        summary: "The maintenance of the registry has failed",
        description:
          "The task {{ $labels.task }} of {{ $labels.instance }} did not do all of its work. It stops before it removes anything where something is broken already.",
        about,
      },
      {
        name: "RegistryMaintenanceStale",
        severity: "warning",
        expr: `time() - ${all(lastSuccess)} > ${all("registry_maintenance_allowed_age_seconds")} or ${absent.join(" or ")}`,
        after: 2 * period,
        summary: "The maintenance of the registry does not run",
        description:
          "The maintenance of {{ $labels.instance }}{{ with $labels.task }}, task {{ . }},{{ end }} has not succeeded for longer than its schedule allows, or reports nothing: its storage grows, and nobody looks at it.",
        about,
      },
      {
        name: "RegistryBlobsCorrupt",
        severity: "critical",
        expr: `${all("registry_maintenance_corrupt_blobs")} > 0`,
        after: period,
        summary: "The disk of the registry holds other bytes than were pushed",
        description:
          "Blobs of {{ $labels.instance }} that do not hash to their name, or that the disk does not give: {{ $value }}. Whoever pulls an image with one of them fails.",
        about,
      },
      {
        name: "RegistryDiskSpaceLow",
        severity: "warning",
        expr: `${all("registry_maintenance_disk_free_bytes")} / ${all("registry_maintenance_disk_size_bytes")} < ${disk.minimumFreePercent / 100}`,
        after: 2 * period,
        summary: "The disk of the registry is nearly full",
        description:
          "Only {{ $value | humanizePercentage }} of the disk with the data of {{ $labels.instance }} is free. On a full disk every push fails, and so does a clean-up.",
        about,
      },
    ];
  },
};
