import type { Maintenance } from "../site/maintenance";
import type { MaintenanceMetricName } from "./metrics";
import { selector } from "./promql";
import type { Alert } from "./rules";

const MINUTE = 60;

/**
 * What goes wrong with the maintenance of one registry. The host pushes every report again with each look at the disk:
 * a Pushgateway that forgot them knows them after one.
 *
 * @param instance the registry as its metrics name it
 */
export const maintenanceAlerts = (instance: string, { disk }: Maintenance): Alert[] => {
  const period = disk.everyMinutes * MINUTE;
  const own = (metric: MaintenanceMetricName) => selector(metric, { instance });
  const lastSuccess = own("registry_maintenance_last_success_timestamp_seconds");
  return [
    {
      name: "RegistryMaintenanceFailed",
      severity: "warning",
      expr: `${own("registry_maintenance_success")} == 0`,
      after: period,
      summary: "The maintenance of the registry has failed",
      description:
        "The task {{ $labels.task }} of {{ $labels.instance }} did not do all of its work. It stops before it removes anything where something is broken already.",
    },
    {
      name: "RegistryMaintenanceStale",
      severity: "warning",
      expr: `time() - ${lastSuccess} > ${own("registry_maintenance_allowed_age_seconds")} or absent(${lastSuccess})`,
      after: 2 * period,
      summary: "The maintenance of the registry does not run",
      description:
        "The maintenance of {{ $labels.instance }}{{ with $labels.task }}, task {{ . }},{{ end }} has not succeeded for longer than its schedule allows, or reports nothing: its storage grows, and nobody looks at it.",
    },
    {
      name: "RegistryDiskSpaceLow",
      severity: "warning",
      expr: `${own("registry_maintenance_disk_free_bytes")} / ${own("registry_maintenance_disk_size_bytes")} < ${disk.minimumFreePercent / 100}`,
      after: 2 * period,
      summary: "The disk of the registry is nearly full",
      description:
        "Only {{ $value | humanizePercentage }} of the disk with the data of {{ $labels.instance }} is free. On a full disk every push fails, and so does a clean-up.",
    },
  ];
};
