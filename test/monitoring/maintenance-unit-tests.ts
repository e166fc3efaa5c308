import type { AlertingRule } from "../../monitoring/alert";
import { MAINTENANCE_JOB, type MaintenanceMetricName } from "../../monitoring/metrics";
import type { Service } from "../../site/registry";
import { type RegistrySite, serviceInstance } from "../../site/schema";
import type { UnitTest } from "./unit-tests";

/** The value at a minute since 1970; undefined where the series does not exist. */
type Values = (minute: number) => number | undefined;

interface Scenario {
  readonly task: string;
  /** At the edge of the condition, and not beyond. */
  readonly fine: Readonly<Partial<Record<MaintenanceMetricName, Values>>>;
  /** Just beyond it. */
  readonly broken: Readonly<Partial<Record<MaintenanceMetricName, Values>>>;
  /** Labels of the alert beside its severity. Default: those of the series. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly says: string;
}

const MINUTE = 60;
const AGE = 172_800;

const always =
  (value: number | undefined): Values =>
  () =>
    value;

/** How each alert about the maintenance of a registry comes to fire. */
const scenarios = (instance: string): Record<string, readonly Scenario[]> => ({
  RegistryMaintenanceFailed: [
    {
      task: "clean-up",
      fine: { registry_maintenance_success: always(1) },
      broken: { registry_maintenance_success: always(0) },
      says: `The task clean-up of ${instance} did not do all of its work. It stops before it removes anything where something is broken already.`,
    },
  ],
  RegistryMaintenanceStale: [
    {
      task: "scan",
      fine: {
        registry_maintenance_last_success_timestamp_seconds: (minute) => minute * MINUTE - AGE,
        registry_maintenance_allowed_age_seconds: always(AGE),
      },
      broken: {
        registry_maintenance_last_success_timestamp_seconds: (minute) => minute * MINUTE - AGE - 1,
        registry_maintenance_allowed_age_seconds: always(AGE),
      },
      says: `The maintenance of ${instance}, task scan, has not succeeded for longer than its schedule allows, or reports nothing: its storage grows, and nobody looks at it.`,
    },
    {
      task: "disk",
      fine: {
        registry_maintenance_last_success_timestamp_seconds: (minute) => minute * MINUTE,
        registry_maintenance_allowed_age_seconds: always(AGE),
      },
      broken: {
        registry_maintenance_last_success_timestamp_seconds: always(undefined),
        registry_maintenance_allowed_age_seconds: always(undefined),
      },
      labels: { job: MAINTENANCE_JOB, instance },
      says: `The maintenance of ${instance} has not succeeded for longer than its schedule allows, or reports nothing: its storage grows, and nobody looks at it.`,
    },
  ],
  RegistryBlobsCorrupt: [
    {
      task: "scrub",
      fine: { registry_maintenance_corrupt_blobs: always(0) },
      broken: { registry_maintenance_corrupt_blobs: always(1) },
      says: `Blobs of ${instance} that do not hash to their name, or that the disk does not give: 1. Whoever pulls an image with one of them fails.`,
    },
  ],
  RegistryDiskSpaceLow: [
    {
      task: "disk",
      fine: { registry_maintenance_disk_free_bytes: always(10), registry_maintenance_disk_size_bytes: always(100) },
      broken: { registry_maintenance_disk_free_bytes: always(9), registry_maintenance_disk_size_bytes: always(100) },
      says: `Only 9% of the disk with the data of ${instance} is free. On a full disk every push fails, and so does a clean-up.`,
    },
  ],
});

/** The alerts that have a test. */
export const testedMaintenanceAlerts: readonly string[] = Object.keys(scenarios(""));

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index);

/** The tests of one alert: it fires at the edge of its condition and of its time, resolves, and stands what is short. */
export const maintenanceUnitTests = (
  site: RegistrySite,
  service: Service,
  { alert, for: after, labels, annotations }: AlertingRule,
): UnitTest[] => {
  const instance = serviceInstance(site, service);
  const others = site.registry.services.filter((each) => each !== service).map((each) => serviceInstance(site, each));
  const pending = Number.parseInt(after, 10);
  const breaks = 5;
  const fires = breaks + pending;
  const heals = fires + 10;
  const end = heals + 10;
  return (scenarios(instance)[alert] ?? []).flatMap(({ task, fine, broken, labels: own, says }) => {
    const seriesLabels = { job: MAINTENANCE_JOB, instance, task };
    // The other registries are well: nothing is said about them.
    const quiet = others.map((other) => ({
      series: `registry_maintenance_last_success_timestamp_seconds{job=${JSON.stringify(MAINTENANCE_JOB)},instance=${JSON.stringify(other)},task=${JSON.stringify(task)}}`,
      values: range(0, end)
        .map((minute) => minute * MINUTE)
        .join(" "),
    }));
    const series = (isBroken: (minute: number) => boolean): UnitTest["input_series"] =>
      (Object.keys(fine) as MaintenanceMetricName[]).map((metric) => ({
        series: `${metric}{${Object.entries(seriesLabels)
          .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
          .join(",")}}`,
        values: range(0, end)
          .map((minute) => (isBroken(minute) ? broken : fine)[metric]?.(minute) ?? "stale")
          .join(" "),
      }));
    const at = (minute: number, firing: boolean) => ({
      eval_time: `${minute}m`,
      alertname: alert,
      exp_alerts: firing
        ? [
            {
              exp_labels: { severity: labels.severity, ...(own ?? seriesLabels) },
              exp_annotations: { ...annotations, description: says },
            },
          ]
        : [],
    });
    return [
      {
        name: `${alert}, task ${task}: fires and resolves`,
        interval: "1m",
        input_series: [...quiet, ...series((minute) => minute >= breaks && minute < heals)],
        alert_rule_test: [
          ...range(0, fires).map((minute) => at(minute, false)),
          ...range(fires, heals).map((minute) => at(minute, true)),
          ...range(heals, end).map((minute) => at(minute, false)),
        ],
      },
      {
        name: `${alert}, task ${task}: does not fire on what is over in time`,
        interval: "1m",
        input_series: [...quiet, ...series((minute) => minute >= breaks && minute < fires)],
        alert_rule_test: range(0, end).map((minute) => at(minute, false)),
      },
    ];
  });
};
