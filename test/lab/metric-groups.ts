import { getJson, type LabServer } from "./prometheus";

/** What a Pushgateway stores under one set of labels. https://github.com/prometheus/pushgateway#query-api */
export interface MetricGroup {
  readonly labels: Readonly<Record<string, string>>;
  readonly [metric: string]: unknown;
}

export const metricGroups = async ({ url }: LabServer): Promise<MetricGroup[]> =>
  (await getJson<{ data: MetricGroup[] }>(`${url}/api/v1/metrics`)).data;

/** The value of a metric with one series. @throws TypeError if the group lacks it */
export const metricValue = (group: MetricGroup, name: string): number => {
  const { metrics } = group[name] as { metrics: { value: string }[] };
  return Number(metrics[0]?.value);
};
