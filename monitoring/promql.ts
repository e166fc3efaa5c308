import { parser } from "@prometheus-io/lezer-promql";
import type {
  CleanUpMetricName,
  HostMetricName,
  MaintenanceMetricName,
  MetricName,
  PushgatewayMetricName,
} from "./metrics";

/**
 * A PromQL string literal. JSON's escapes are a subset of Go's, which PromQL takes, but for half a surrogate pair: that
 * is no character in Go.
 *
 * https://prometheus.io/docs/prometheus/latest/querying/basics/#string-literals
 */
export const promqlString = (text: string): string => JSON.stringify(text.replace(/\p{Surrogate}/gu, "\ufffd"));

/** A duration as Prometheus reads it: whole milliseconds are the least. */
export const duration = (seconds: number): string => {
  if (seconds % 60 === 0) return `${seconds / 60}m`;
  return Number.isInteger(seconds) ? `${seconds}s` : `${Math.round(seconds * 1000)}ms`;
};

/** What a label has to match: the value itself, or a regular expression for the whole of it. */
export type Matcher = string | { readonly pattern: string };

/** Matches each of some values, and nothing else. RE2 takes the escapes. */
export const anyOf = (values: readonly string[]): Matcher =>
  values.length === 1 && values[0] !== undefined
    ? values[0]
    : { pattern: values.map((value) => value.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|") };

/** Label matchers: `{label="value",other=~"one|two"}`; nothing without labels. */
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
 * What is reported now, and where nothing is, what was reported last within a day: a gap is no all-clear. After a day others
 * have long told that nothing is known.
 *
 * @param of an aggregation of what is made of each selector, without the labels of what its report came through
 */
export const lastKnown = (of: (over: (series: string) => string) => string): string =>
  `(${of((series) => series)} or ${of((series) => `last_over_time(${series}[1d])`)})`;

/** Where an expression stops being PromQL, counted in characters from 1, or undefined where it is well-formed. */
export const syntaxError = (expression: string): number | undefined => {
  let position: number | undefined;
  parser.parse(expression).iterate({
    enter: ({ type, from }) => {
      if (type.isError) position ??= from + 1;
    },
  });
  return position;
};

/** The metrics that an expression reads, in the order in which they occur. */
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
