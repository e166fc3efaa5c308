/**
 * Where a host pushes its reports: the group of these labels in a Pushgateway. https://github.com/prometheus/pushgateway#url
 *
 * @param pushgateway base URL
 * @param labels in their order, the job first; one without a value is left out
 */
export const reportUrl = (pushgateway: string, labels: Readonly<Record<string, string | undefined>>): string =>
  [
    pushgateway.replace(/\/$/, ""),
    "metrics",
    ...Object.entries(labels).flatMap(([name, value]) =>
      value === undefined ? [] : [name, encodeURIComponent(value)],
    ),
  ].join("/");
