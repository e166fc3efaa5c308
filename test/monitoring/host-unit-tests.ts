import type { AlertingRule } from "../../monitoring/alert";
import { HOST_JOB, type HostMetricName } from "../../monitoring/metrics";
import type { ManagedHost } from "../../site/host";
import { managedHosts, type Site } from "../../site/schema";
import type { UnitTest } from "./unit-test";

/** The value at a minute since 1970; undefined where the series does not exist. */
type Values = (minute: number) => number | undefined;

interface Scenario {
  readonly metric: HostMetricName;
  /** Labels of the series, in addition to job and host. */
  readonly labels: Readonly<Record<string, string>>;
  /** At the limit of the condition, but not beyond. */
  readonly fine: Values;
  /** Just beyond it. */
  readonly broken: Values;
  readonly says: string;
}

const MINUTE = 60;
const AGE = 4 * 10 * MINUTE;

const unwatched = (host: string): string =>
  `${host} has not reported for longer than four of its periods: what was said about it last says nothing about now.`;

/** How each alert about a host comes to fire. */
const scenarios = (host: string): Record<string, readonly Scenario[]> => ({
  RegistryHostDrifted: [
    {
      metric: "registry_warden_host_as_delivered",
      labels: { delivery: "dns" },
      fine: () => 1,
      broken: () => 0,
      says: `Something of ${host} is not as the delivery of dns left it. The next deploy puts back what it notices, and nothing works as tested until then.`,
    },
  ],
  RegistryResolverDown: [
    {
      metric: "registry_warden_resolver_up",
      labels: { resolver: "94.140.14.14" },
      fine: () => 1,
      broken: () => 0,
      says: `${host} gets no answer for the names of the site from 94.140.14.14. While it has another it keeps working, and stops when that one stops.`,
    },
  ],
  RegistryHostUnwatched: [
    {
      metric: "registry_warden_host_last_run_timestamp_seconds",
      labels: {},
      fine: (minute) => minute * MINUTE - AGE,
      broken: (minute) => minute * MINUTE - AGE - 1,
      says: unwatched(host),
    },
    {
      metric: "registry_warden_host_last_run_timestamp_seconds",
      labels: {},
      fine: (minute) => minute * MINUTE,
      broken: () => undefined,
      says: unwatched(host),
    },
  ],
});

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index);

const series = (metric: string, labels: Readonly<Record<string, string>>): string =>
  `${metric}{${Object.entries(labels)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(",")}}`;

/** The tests of one alert: it fires just beyond the limits of its condition and time, resolves, and ignores short failures. */
export const hostUnitTests = (
  site: Site,
  { name: host }: ManagedHost,
  { alert, for: after, labels: severity, annotations }: AlertingRule,
): UnitTest[] => {
  const breaks = 5;
  const fires = breaks + Number.parseInt(after, 10);
  const heals = fires + 10;
  const end = heals + 10;
  return (scenarios(host)[alert] ?? []).flatMap(({ metric, labels: own, fine, broken, says }) => {
    const labels = { job: HOST_JOB, host, ...own };
    // The other hosts are well: no alert is about them.
    const others = managedHosts(site)
      .filter(({ name }) => name !== host)
      .map(({ name }) => ({
        series: series("registry_warden_host_last_run_timestamp_seconds", { job: HOST_JOB, host: name }),
        values: range(0, end)
          .map((minute) => minute * MINUTE)
          .join(" "),
      }));
    const input = (until: number): UnitTest["input_series"] => [
      ...others,
      {
        series: series(metric, labels),
        values: range(0, end)
          .map((minute) => (minute >= breaks && minute < until ? broken : fine)(minute) ?? "stale")
          .join(" "),
      },
    ];
    const at = (minute: number, firing: boolean) => ({
      eval_time: `${minute}m`,
      alertname: alert,
      exp_alerts: firing
        ? [{ exp_labels: { ...severity, ...labels }, exp_annotations: { ...annotations, description: says } }]
        : [],
    });
    return [
      {
        name: `${alert} of ${host}: fires and resolves`,
        interval: "1m",
        input_series: input(heals),
        alert_rule_test: range(0, end).map((minute) => at(minute, minute >= fires && minute < heals)),
      },
      {
        name: `${alert} of ${host}: does not fire on what is over in time`,
        interval: "1m",
        input_series: input(fires),
        alert_rule_test: range(0, end).map((minute) => at(minute, false)),
      },
    ];
  });
};
