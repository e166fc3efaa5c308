import {
  BigValueColorMode,
  BigValueTextMode,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  TooltipDisplayMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from "@grafana/grafana-foundation-sdk/common";
import {
  DashboardBuilder,
  DatasourceVariableBuilder,
  type Dashboard as GrafanaDashboard,
  type Panel as GrafanaPanel,
  type GridPos,
  MappingType,
  QueryVariableBuilder,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  VariableRefresh,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { type Dataquery, DataqueryBuilder, PromQueryFormat } from "@grafana/grafana-foundation-sdk/prometheus";
import { PanelBuilder as StatBuilder } from "@grafana/grafana-foundation-sdk/stat";
import { PanelBuilder as TableBuilder } from "@grafana/grafana-foundation-sdk/table";
import { PanelBuilder as TimeseriesBuilder } from "@grafana/grafana-foundation-sdk/timeseries";
import { DASHBOARD } from "./dashboard-identity";
import type { CleanUpMetricName, HostMetricName, MaintenanceMetricName, MetricName } from "./metrics";

/** A query of ours: its expression and its legend are always set. */
export type Query = Dataquery & Required<Pick<Dataquery, "refId" | "expr" | "legendFormat">>;

/** A panel of ours: it has a position and a description, and only queries Prometheus. */
export type Panel = Omit<GrafanaPanel, "targets"> &
  Required<Pick<GrafanaPanel, "id" | "title" | "description" | "gridPos">> & { targets: Query[] };

/** A Grafana dashboard, as far as this product uses its features. */
export type Dashboard = Omit<GrafanaDashboard, "panels"> &
  Required<Pick<GrafanaDashboard, "uid" | "title">> & { panels: Panel[] };

interface Threshold {
  readonly color: "green" | "orange" | "red";
  /** Lower bound of the color; null for the lowest. */
  readonly value: number | null;
}

interface View {
  readonly title: string;
  readonly description: string;
  readonly queries: readonly { readonly expr: string; readonly legend: string }[];
  /** https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/categories.ts */
  readonly unit: "none" | "s" | "reqps" | "short" | "bytes" | "percentunit";
  readonly thresholds?: readonly Threshold[];
  /** Texts shown in place of values. */
  readonly words?: Readonly<Record<string, string>>;
}

const SOURCE = { type: "prometheus", uid: "${source}" };

type OfRegistry = MetricName | MaintenanceMetricName | CleanUpMetricName;

/** The series of the registries that are selected at the top of the dashboard. */
const chosen = (metric: OfRegistry): string => `${metric}{instance=~"$instance"}`;

/** For all shards of a registry, the time of the one that is furthest behind; in milliseconds, as Grafana expects. */
const since = (metric: MetricName): string => `1000 * min by (instance) (${chosen(metric)})`;

/** For all shards of a registry, the worst value. */
const least = (metric: OfRegistry): string => `min by (instance) (${chosen(metric)})`;

/** For each maintenance task, whichever Pushgateway pod its report went through. */
const ofTask = (metric: MaintenanceMetricName): string => `max by (instance, task) (${chosen(metric)})`;

/** The sum over all shards of a registry. */
const total = (metric: MetricName): string => `sum by (instance) (${chosen(metric)})`;

const bad = (from: number): Threshold[] => [
  { color: "green", value: null },
  { color: "red", value: from },
];

/** How a value that is 0 or 1 is shown, where 1 is well. */
const either = (no: string, yes: string): Pick<View, "unit" | "thresholds" | "words"> => ({
  unit: "none",
  thresholds: [
    { color: "red", value: null },
    { color: "green", value: 1 },
  ],
  words: { "0": no, "1": yes },
});

/** Thresholds for an age. By default Grafana paints everything from 80 on red. */
const late = (orange: number, red: number): Threshold[] => [
  { color: "green", value: null },
  { color: "orange", value: orange },
  { color: "red", value: red },
];

const INSTANCE = "{{instance}}";
const HOUR = 60 * 60;
const DAY = 24 * 60 * 60;

/** What a person on call wants to know first, in this order. */
const ANSWERS: readonly View[] = [
  {
    title: "Intact?",
    description:
      "Broken objects that the last complete walk found. Nothing is known about a registry that is missing here: none was complete yet.",
    queries: [{ expr: total("registry_manifest_integrity_failures"), legend: INSTANCE }],
    unit: "none",
    thresholds: bad(1),
    words: { "0": "intact" },
  },
  {
    title: "Reachable?",
    description: "Whether the catalog could be read.",
    queries: [{ expr: least("registry_manifest_integrity_catalog_accessible"), legend: INSTANCE }],
    ...either("no", "yes"),
  },
  {
    title: "Looked at everything?",
    description: "Whether the last walk reached all of the registry: if not, the other answers are about a part of it.",
    queries: [{ expr: least("registry_manifest_integrity_walk_complete"), legend: INSTANCE }],
    ...either("no", "yes"),
  },
  {
    title: "How old is the answer?",
    description: "Time since the last report. The other answers are as old.",
    queries: [{ expr: `time() - ${least("registry_manifest_integrity_last_run_timestamp")}`, legend: INSTANCE }],
    unit: "s",
    thresholds: late(HOUR, 4 * HOUR),
  },
  {
    title: "When was it last intact?",
    description: "Time since the last complete walk that found nothing.",
    queries: [
      {
        expr: `time() - ${least("registry_manifest_integrity_last_success_timestamp_seconds")}`,
        legend: INSTANCE,
      },
    ],
    unit: "s",
    thresholds: late(2 * HOUR, DAY),
  },
  {
    title: "Certificate",
    description: "Time until the registry's certificate expires.",
    queries: [
      {
        expr: `${least("registry_manifest_integrity_certificate_expiry_timestamp_seconds")} - time()`,
        legend: INSTANCE,
      },
    ],
    unit: "s",
    thresholds: [
      { color: "red", value: null },
      { color: "orange", value: 3 * DAY },
      { color: "green", value: 14 * DAY },
    ],
  },
];

/** How it came to this. */
const HISTORY: readonly View[] = [
  {
    title: "Broken objects by reason",
    description:
      "missing: gone. server-error: the registry cannot read it. truncated, size- and digest-mismatch: damaged.",
    queries: [
      {
        expr: `sum by (instance, reason) (${chosen("registry_manifest_integrity_failures_by_reason")}) > 0`,
        legend: `${INSTANCE} {{reason}}`,
      },
    ],
    unit: "short",
  },
  {
    title: "Coverage",
    description: "What the walk has seen. A step down that nobody planned is a loss.",
    queries: [
      { expr: chosen("registry_manifest_integrity_repos_checked"), legend: `${INSTANCE} repositories` },
      { expr: chosen("registry_manifest_integrity_tags_checked"), legend: `${INSTANCE} tags` },
      { expr: chosen("registry_manifest_integrity_indexes_checked"), legend: `${INSTANCE} indexes` },
      { expr: chosen("registry_manifest_integrity_manifests_checked"), legend: `${INSTANCE} manifests` },
      { expr: chosen("registry_manifest_integrity_blobs_checked"), legend: `${INSTANCE} blobs` },
    ],
    unit: "short",
  },
  {
    title: "Duration of a run",
    description: "A run that takes more than half of its period costs the registry too much.",
    queries: [{ expr: chosen("registry_manifest_integrity_run_duration_seconds"), legend: INSTANCE }],
    unit: "s",
  },
  {
    title: "Requests of a run",
    description: "Requests a second that the walk sent while it ran.",
    queries: [
      {
        expr: `${chosen("registry_manifest_integrity_run_requests")} / ${chosen("registry_manifest_integrity_run_duration_seconds")}`,
        legend: INSTANCE,
      },
    ],
    unit: "reqps",
  },
];

/** The last values of each registry's runs, one row for each registry. */
const LAST_RUNS: readonly { readonly title: string; readonly expr: string; readonly unit: string }[] = [
  { title: "last report", expr: since("registry_manifest_integrity_last_run_timestamp"), unit: "dateTimeFromNow" },
  {
    title: "last complete walk",
    expr: since("registry_manifest_integrity_last_complete_walk_timestamp_seconds"),
    unit: "dateTimeFromNow",
  },
  {
    title: "last found intact",
    expr: since("registry_manifest_integrity_last_success_timestamp_seconds"),
    unit: "dateTimeFromNow",
  },
  { title: "broken objects", expr: total("registry_manifest_integrity_failures"), unit: "none" },
  { title: "tags", expr: total("registry_manifest_integrity_tags_checked"), unit: "short" },
  { title: "requests", expr: total("registry_manifest_integrity_run_requests"), unit: "short" },
  { title: "bytes", expr: total("registry_manifest_integrity_run_bytes"), unit: "bytes" },
];

/** Images that are in use and cannot be pulled again. */
const LOST = `${"registry_workload_images" satisfies MetricName}{instance=~"$instance",state=~"broken|missing"}`;

/** Whether the images in use in a cluster can be pulled again, and are kept. */
const WORKLOADS: readonly View[] = [
  {
    title: "Can be pulled again?",
    description:
      "Images that run and that the registry does not have, or not whole. A registry whose probe does not look at workloads is missing here.",
    queries: [{ expr: `sum by (instance) (${LOST})`, legend: INSTANCE }],
    unit: "none",
    thresholds: bad(1),
    words: { "0": "yes" },
  },
  {
    title: "Is all known that runs?",
    description: "Whether the last run learned of every image that runs, and reported it where it may.",
    queries: [{ expr: least("registry_workload_known"), legend: INSTANCE }],
    ...either("no", "yes"),
  },
  {
    title: "Clean-up over HTTP",
    description: "Whether the last one did all of its work. One that does not know what runs refuses.",
    queries: [{ expr: least("registry_clean_up_success"), legend: INSTANCE }],
    ...either("failed", "done"),
  },
];

const IMAGES_THAT_RUN: View = {
  title: "Images that run",
  description:
    "intact: whole in the registry. missing or broken: the next start on another node fails. unknown: not verified.",
  queries: [
    { expr: `sum by (instance, state) (${chosen("registry_workload_images")})`, legend: `${INSTANCE} {{state}}` },
  ],
  unit: "short",
};

/** Whether the maintenance keeps the storage small and intact. */
const MAINTENANCE: readonly View[] = [
  {
    title: "Maintenance",
    description: "Whether the last run of each task did all of its work. A site without maintenance reports none.",
    queries: [{ expr: ofTask("registry_maintenance_success"), legend: `${INSTANCE} {{task}}` }],
    ...either("failed", "done"),
  },
  {
    title: "When did it last succeed?",
    description: "Time since the last run of each task that did all of its work.",
    queries: [
      {
        expr: `time() - ${ofTask("registry_maintenance_last_success_timestamp_seconds")}`,
        legend: `${INSTANCE} {{task}}`,
      },
    ],
    unit: "s",
    // The longest schedule is a week; the alerts know each one exactly.
    thresholds: late(8 * DAY, 9 * DAY),
  },
  {
    title: "Freed",
    description: "Bytes of the disk that the last run of each task freed.",
    queries: [{ expr: `${ofTask("registry_maintenance_freed_bytes")} > 0`, legend: `${INSTANCE} {{task}}` }],
    unit: "bytes",
    thresholds: [{ color: "green", value: null }],
  },
  {
    title: "Space that is left",
    description: "Free part of the disk with the registry's data.",
    queries: [
      {
        expr: `${least("registry_maintenance_disk_free_bytes")} / ${least("registry_maintenance_disk_size_bytes")}`,
        legend: INSTANCE,
      },
    ],
    unit: "percentunit",
    thresholds: [
      { color: "red", value: null },
      { color: "orange", value: 0.1 },
      { color: "green", value: 0.2 },
    ],
  },
];

/** Whether the hosts of the registries are in the delivered state. */
const HOSTS: readonly View[] = [
  {
    title: "Hosts as delivered?",
    description: "Whether files, resolver and containers of each host are as each delivery left them.",
    queries: [{ expr: "registry_warden_host_as_delivered" satisfies HostMetricName, legend: "{{host}} {{delivery}}" }],
    ...either("no", "yes"),
  },
  {
    title: "Resolvers",
    description:
      "Whether each resolver of a host answers by itself, also the one that is only asked when the first is dead.",
    queries: [{ expr: "registry_warden_resolver_up" satisfies HostMetricName, legend: "{{host}} {{resolver}}" }],
    ...either("silent", "answers"),
  },
  {
    title: "When did a host last report?",
    description: "Time since each host last looked at itself. The two others are as old.",
    queries: [
      {
        expr: `time() - ${"registry_warden_host_last_run_timestamp_seconds" satisfies HostMetricName}`,
        legend: "{{host}}",
      },
    ],
    unit: "s",
    thresholds: late(HOUR, 4 * HOUR),
  },
];

/** Grafana's grid has 24 columns. */
const WIDTH = 24;

const refId = (index: number): string => String.fromCharCode("A".charCodeAt(0) + index);

const query = (expr: string, index: number): DataqueryBuilder =>
  new DataqueryBuilder().refId(refId(index)).expr(expr).datasource(SOURCE);

/** The settings common to both kinds of panels. */
const shown = <Builder extends StatBuilder | TimeseriesBuilder>(
  builder: Builder,
  { title, description, queries, unit, thresholds, words }: View,
): Builder => {
  builder
    .title(title)
    .description(description)
    .datasource(SOURCE)
    .targets(queries.map(({ expr, legend }, index) => query(expr, index).legendFormat(legend)))
    .unit(unit);
  if (thresholds !== undefined)
    builder.thresholds(new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps([...thresholds]));
  if (words !== undefined) {
    const options = Object.fromEntries(Object.entries(words).map(([value, text]) => [value, { text }]));
    builder.mappings([{ type: MappingType.ValueToText, options }]);
  }
  return builder;
};

/** Only the current value: one from an hour ago would look current. */
const stat = (view: View, gridPos: GridPos): StatBuilder =>
  shown(new StatBuilder(), view)
    .targets(view.queries.map(({ expr, legend }, index) => query(expr, index).legendFormat(legend).instant()))
    .noValue("no data")
    .gridPos(gridPos)
    .colorMode(BigValueColorMode.Background)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(["lastNotNull"]))
    .textMode(BigValueTextMode.ValueAndName);

const timeseries = (view: View, gridPos: GridPos): TimeseriesBuilder =>
  shown(new TimeseriesBuilder(), view)
    .gridPos(gridPos)
    .legend(
      new VizLegendOptionsBuilder()
        .showLegend(true)
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi));

/** https://grafana.com/docs/grafana/latest/panels-visualizations/query-transform-data/transform-data/ */
const lastRuns = (y: number): TableBuilder => {
  const table = new TableBuilder()
    .title("Last runs")
    .description("What each registry's last run said. A cache is only asked whether it answers.")
    .gridPos({ x: 0, y, w: WIDTH, h: 5 })
    .datasource(SOURCE)
    .targets(
      LAST_RUNS.map(({ expr }, index) => query(expr, index).legendFormat("").format(PromQueryFormat.Table).instant()),
    )
    .withTransformation({ id: "merge", options: {} })
    .withTransformation({
      id: "organize",
      options: {
        excludeByName: { Time: true },
        renameByName: {
          instance: "registry",
          ...Object.fromEntries(LAST_RUNS.map(({ title }, index) => [`Value #${refId(index)}`, title])),
        },
      },
    });
  for (const { title, unit } of LAST_RUNS) table.overrideByName(title, [{ id: "unit", value: unit }]);
  return table;
};

const panels = (): Panel[] => {
  const inOneRow = (views: readonly View[], y: number, width = WIDTH) =>
    views.map((view, index) => stat(view, { x: (index * width) / views.length, y, w: width / views.length, h: 5 }));
  const history = HISTORY.map((view, index) =>
    timeseries(view, { x: (index % 2) * (WIDTH / 2), y: 5 + Math.floor(index / 2) * 8, w: WIDTH / 2, h: 8 }),
  );
  const workloads = 5 + Math.ceil(HISTORY.length / 2) * 8;
  const maintenance = workloads + 5;
  return (
    [
      ...inOneRow(ANSWERS, 0),
      ...history,
      ...inOneRow(WORKLOADS, workloads, WIDTH / 2),
      timeseries(IMAGES_THAT_RUN, { x: WIDTH / 2, y: workloads, w: WIDTH / 2, h: 5 }),
      ...inOneRow(MAINTENANCE, maintenance),
      ...inOneRow(HOSTS, maintenance + 5),
      lastRuns(maintenance + 10),
    ]
      // The builders set everything that is required of a panel here.
      .map((builder, index) => builder.id(index + 1).build() as Panel)
  );
};

const REGISTRIES: MetricName = "registry_manifest_integrity_last_run_timestamp";

/** The dashboard of all monitored registries. It is independent of the site: the metrics show which registries there are. */
export const integrityDashboard = (): Dashboard => {
  const dashboard = new DashboardBuilder(DASHBOARD.title)
    .uid(DASHBOARD.uid)
    .tags(["registry"])
    .readonly()
    .refresh("1m")
    .time({ from: "now-2d", to: "now" })
    .variables([
      new DatasourceVariableBuilder("source").label("Prometheus").type("prometheus"),
      new QueryVariableBuilder("instance")
        .label("Registry")
        .datasource(SOURCE)
        .query({ query: `label_values(${REGISTRIES}, instance)`, refId: "instance" })
        .refresh(VariableRefresh.OnTimeRangeChanged)
        .includeAll(true)
        .multi(true)
        .allValue(".+")
        .current({ text: "All", value: "$__all" }),
    ])
    .build();
  return { ...dashboard, ...DASHBOARD, panels: panels() };
};
