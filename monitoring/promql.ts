import { parser } from "@prometheus-io/lezer-promql";
import type {
  CleanUpMetricName,
  HostMetricName,
  MaintenanceMetricName,
  MetricName,
  PushgatewayMetricName,
} from "./metrics";

/**
 * A PromQL string literal. JSON's escapes are a subset of Go's, which PromQL uses, except for lone surrogates, which are not
 * characters in Go.
 *
 * https://prometheus.io/docs/prometheus/latest/querying/basics/#string-literals
 */
export const promqlString = (text: string): string => JSON.stringify(text.replace(/\p{Surrogate}/gu, "\ufffd"));

/** A duration in Prometheus' format; its resolution is a millisecond. */
export const duration = (seconds: number): string => {
  if (seconds % 60 === 0) return `${seconds / 60}m`;
  return Number.isInteger(seconds) ? `${seconds}s` : `${Math.round(seconds * 1000)}ms`;
};

/** What a label must match: a value, or a regular expression for the whole value. */
export type Matcher = string | { readonly pattern: string };

/** Matches exactly the given values. RE2 accepts the escapes. */
export const anyOf = (values: readonly string[]): Matcher =>
  values.length === 1 && values[0] !== undefined
    ? values[0]
    : { pattern: values.map((value) => value.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|") };

/** Label matchers: `{label="value",other=~"one|two"}`; empty without labels. */
export const matchers = (labels: Readonly<Record<string, Matcher>>): string => {
  const each = Object.entries(labels).map(([label, value]) =>
    typeof value === "string" ? `${label}=${promqlString(value)}` : `${label}=~${promqlString(value.pattern)}`,
  );
  return each.length === 0 ? "" : `{${each.join(",")}}`;
};

/** The series of a metric whose labels match. */
export const selector = (
  metric: MetricName | MaintenanceMetricName | CleanUpMetricName | HostMetricName | PushgatewayMetricName,
  labels: Readonly<Record<string, Matcher>> = {},
): string => `${metric}${matchers(labels)}`;

/**
 * The current value or, if there is none, the last one reported within a day: a gap is not an all-clear. After a day,
 * other alerts have long reported that nothing is known.
 *
 * @param of aggregates the expression for each selector, without the labels of the Pushgateway pod
 */
export const lastKnown = (of: (over: (series: string) => string) => string): string =>
  `(${of((series) => series)} or ${of((series) => `last_over_time(${series}[1d])`)})`;

/** The position at which an expression stops being valid PromQL, in characters from 1; undefined if it is valid. */
export const syntaxError = (expression: string): number | undefined => {
  let position: number | undefined;
  parser.parse(expression).iterate({
    enter: ({ type, from }) => {
      if (type.isError) position ??= from + 1;
    },
  });
  return position;
};

/** The metrics in an expression, in order of occurrence. */
export const metricsOf = (expression: string): string[] => {
  const metrics: string[] = [];
  parser.parse(expression).iterate({
    enter: ({ node, from, to }) => {
      if (node.name === "Identifier" && node.parent?.name === "VectorSelector")
        metrics.push(expression.slice(from, to));
    },
  });
  return metrics;
};
