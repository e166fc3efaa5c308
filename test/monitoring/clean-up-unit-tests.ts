import type { AlertingRule } from "../../monitoring/alert";
import { CLEAN_UP_JOB, type CleanUpMetricName } from "../../monitoring/metrics";
import type { UnitTest } from "./unit-test";

const MINUTE = 60;
const DAY = 1440;
/** The age at which a daily clean-up is overdue. Minutes. */
const AGE = 2 * DAY;

/** The value from a minute on; null if the series does not exist. */
type Values = readonly (readonly [from: number, value: number | null])[];

interface Scenario {
  readonly what: string;
  readonly metric: CleanUpMetricName;
  /** By the Pushgateway pod that is scraped. */
  readonly pods: Readonly<Record<string, Values>>;
  /** By minute. */
  readonly fires: Readonly<Record<number, boolean>>;
}

const SUCCESS = "registry_clean_up_success";
const LAST_SUCCESS = "registry_clean_up_last_success_timestamp_seconds";
const LAST_RUN = "registry_clean_up_last_run_timestamp_seconds";

const duration = (minutes: number): string =>
  `${Math.floor(minutes / DAY)}d ${Math.floor((minutes % DAY) / 60)}h ${minutes % 60}m 0s`;

/** How each alert about a daily clean-up comes to fire. */
const SCENARIOS: Readonly<Record<string, readonly Scenario[]>> = {
  RegistryCleanUpFailed: [
    {
      what: "a run that fails, and a Pushgateway that forgets it",
      metric: SUCCESS,
      pods: {
        a: [
          [0, 1],
          [10, 0],
          [30, null],
        ],
      },
      fires: { 9: false, 10: true, 29: true, 40: true, [29 + DAY - 5]: true, [29 + DAY + 5]: false },
    },
    {
      what: "a run that does what the one before did not, told by another Pushgateway",
      metric: SUCCESS,
      pods: {
        a: [
          [0, 0],
          [20, null],
        ],
        b: [
          [0, null],
          [20, 1],
        ],
      },
      fires: { 0: true, 19: true, 20: false, 60: false },
    },
  ],
  RegistryCleanUpStale: [
    {
      what: "no success for longer than the schedule allows, until the Pushgateway forgets the last one",
      metric: LAST_SUCCESS,
      pods: {
        a: [
          [0, 0],
          [AGE + 100, null],
        ],
      },
      fires: {
        [AGE + 60]: false,
        [AGE + 61]: true,
        [AGE + 120]: true,
        [AGE + 99 + DAY - 5]: true,
        [AGE + 99 + DAY + 5]: false,
      },
    },
    {
      what: "a success just in time",
      metric: LAST_SUCCESS,
      pods: {
        a: [
          [0, 0],
          [AGE + 60, (AGE + 60) * MINUTE],
        ],
      },
      fires: { [AGE + 59]: false, [AGE + 61]: false, [AGE + DAY]: false },
    },
  ],
  RegistryCleanUpAbsent: [
    {
      what: "a first run that does not come",
      metric: LAST_RUN,
      pods: { a: [[AGE + 20, 0]] },
      fires: { [AGE - 1]: false, [AGE]: true, [AGE + 19]: true, [AGE + 20]: false },
    },
    {
      what: "a first run that comes in time",
      metric: LAST_RUN,
      pods: { a: [[AGE - 1, 0]] },
      fires: { [AGE]: false, [AGE + 20]: false },
    },
  ],
};

const says = (alert: string, instance: string, minute: number): string =>
  ({
    RegistryCleanUpFailed: `The last clean-up of ${instance} did not do all of its work. It removes nothing where it does not know what runs, and its log says why.`,
    RegistryCleanUpStale: `The last clean-up of ${instance} that did all of its work was ${duration(minute)} ago: the registry grows.`,
    RegistryCleanUpAbsent: `The clean-up of ${instance} has not run since it was deployed, or its reports do not arrive.`,
  })[alert] ?? "";

const seriesOf = (metric: string, labels: Readonly<Record<string, string>>, values: Values, end: number) => ({
  series: `${metric}{${Object.entries(labels)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(",")}}`,
  values: Array.from({ length: end }, (_, minute) => {
    const value = values.findLast(([from]) => from <= minute)?.[1];
    return value === undefined ? "_" : (value ?? "stale");
  }).join(" "),
});

/**
 * The tests of one alert: it fires just beyond the limits of its condition and time, resolves, and is about its own
 * registry only.
 */
export const cleanUpUnitTests = (
  { alert, labels: own, annotations }: AlertingRule,
  where: { readonly instance: string; readonly cluster?: string },
): UnitTest[] => {
  const labels = { job: CLEAN_UP_JOB, ...where };
  return (SCENARIOS[alert] ?? []).map(({ what, metric, pods, fires }) => {
    const end = Math.max(...Object.keys(fires).map(Number)) + 5;
    // Other registries' reports must not matter: one failed long ago, and one is well.
    const others = [
      { ...labels, instance: "another.example.org" },
      ...(where.cluster === undefined ? [] : [{ ...labels, cluster: "another" }]),
    ].map((each) => seriesOf(metric, each, [[0, 0]], end));
    return {
      name: `${alert}: ${what}`,
      interval: "1m",
      input_series: [
        ...others,
        ...Object.entries(pods).map(([pod, values]) => seriesOf(metric, { ...labels, pod }, values, end)),
      ],
      alert_rule_test: Object.entries(fires).map(([minute, firing]) => ({
        eval_time: `${minute}m`,
        alertname: alert,
        exp_alerts: firing
          ? [
              {
                exp_labels: { ...own, ...labels },
                exp_annotations: { ...annotations, description: says(alert, where.instance, Number(minute)) },
              },
            ]
          : [],
      })),
    };
  });
};
