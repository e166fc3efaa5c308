import { isExternal, type MonitoredSite } from "../../site/schema";
import { type Alert, DAY, type Family } from "../alert";
import { MAINTENANCE_JOB, type MaintenanceMetricName, type MetricName } from "../metrics";
import { anyOf, duration, selector } from "../promql";
import { aboutEach, authoritativeWatchesOf, firing, REGISTRY, reported, type Watch, type Watched } from "../watched";

const LOSS = "RegistryMassLoss";

/**
 * How long the previous contents count as expected. A registry of our own keeps listing a repository whose tags are gone, so a
 * missing one was lost: a loss on a Friday is still open on Monday. Elsewhere the owner may have deleted it, which cannot be
 * distinguished: there it is news for a day.
 */
const MEMORY = { own: "7d", elsewhere: "1d" } as const;

/** How the contents of a registry may shrink without a loss. */
type Shrinkage = "cleaned-up" | "own" | "elsewhere";

const shrinkageOf = (site: MonitoredSite, { service }: Watched): Shrinkage => {
  if (isExternal(service)) return "elsewhere";
  return site.registry?.maintenance?.cleanUp === undefined ? "own" : "cleaned-up";
};

/** What the walk saw of the whole registry, once all shards have reported. */
const seen = (watch: Watch, metric: MetricName): string => {
  const each = `max by (${REGISTRY}, shard) (${reported(watch, metric)})`;
  if (watch.shards === 1) return `max by (${REGISTRY}) (${reported(watch, metric)})`;
  return `(sum by (${REGISTRY}) (${each}) and count by (${REGISTRY}) (${each}) == ${watch.shards})`;
};

/** The same, or the last reported value as long as nothing is reported. */
const known = (watch: Watch, metric: MetricName): string =>
  `(${seen(watch, metric)} or last_over_time((${seen(watch, metric)})[1d:${duration(watch.period)}]))`;

/** The clean-up's reports about the registries of a watch: its job differs, so they are matched by instance. */
const cleanUp = (
  { registries }: Watch,
  metric: MaintenanceMetricName,
  over: (series: string) => string = (series) => series,
): string => {
  const instance = anyOf(registries.map((each) => each.instance));
  const reports = selector(metric, { ...registries[0]?.cluster, job: MAINTENANCE_JOB, task: "clean-up", instance });
  return `max by (cluster, instance) (${over(reports)})`;
};

/** What is counted in a registry. */
interface CountedPart {
  readonly what: "repositories" | "tags";
  readonly seen: MetricName;
  readonly left: MaintenanceMetricName;
  /** The fraction of the previous contents that may be missing without an alert. Tags come and go. */
  readonly tolerated: number;
}

const PARTS: readonly CountedPart[] = [
  {
    what: "repositories",
    seen: "registry_manifest_integrity_repos_checked",
    left: "registry_maintenance_repositories_left",
    tolerated: 0,
  },
  {
    what: "tags",
    seen: "registry_manifest_integrity_tags_checked",
    left: "registry_maintenance_tags_left",
    tolerated: 0.5,
  },
];

/** The fraction of the previous contents above which most of it is missing. */
const MOST = 0.5;

/** How much is missing, if it is more than a fraction of the previous contents. */
const missing = (watch: Watch, part: CountedPart, was: string, tolerated: number): string =>
  `${was} - ${known(watch, part.seen)} > ${tolerated} * ${was}`;

/** The most that existed within the memory, whatever happened since. */
const remembered = (watch: Watch, { seen: metric }: CountedPart, memory: string, since = ""): string =>
  `max_over_time((${seen(watch, metric)}${since})[${memory}:${duration(2 * watch.period)}])`;

/**
 * What is expected, by either measure: the most that was seen within the memory or, with a clean-up, the most since its last run,
 * and what that run reported to have left.
 */
const expected = (watch: Watch, part: CountedPart, kind: Shrinkage, memory: string): string[] => {
  if (kind !== "cleaned-up") return [remembered(watch, part, memory)];
  const ended = cleanUp(
    watch,
    "registry_maintenance_last_run_timestamp_seconds",
    (series) => `last_over_time(${series}[${memory}] @ end())`,
  );
  // From then on, the Pushgateway has the result of a walk that began after the clean-up.
  const since = ` unless on (cluster, instance) ${ended} > time() - ${2 * watch.period}`;
  const left = `(0 * ${known(watch, part.seen)} + on (cluster, instance) group_left () ${cleanUp(watch, part.left)})`;
  return [remembered(watch, part, memory, since), left];
};

const OF_ALL = (metric: MetricName): string =>
  `{{ with printf "sum(max by (shard) (${metric}{cluster=%q,job=%q,instance=%q})) + %f" $labels.cluster $labels.job $labels.instance $value | query }} of {{ . | first | value | printf "%.0f" }}{{ end }}`;

const alertsAbout = (watch: Watch, kind: Shrinkage): Alert[] => {
  const memory = kind === "elsewhere" ? MEMORY.elsewhere : MEMORY.own;
  const after = 2 * watch.period;
  const [repositories] = PARTS as [CountedPart];
  return [
    {
      // A reverse proxy that forwards to the wrong registry answers 200 with an empty list, so nothing else fails.
      name: "RegistryCatalogEmpty",
      severity: "critical",
      expr: `${known(watch, repositories.seen)} == 0 and ${remembered(watch, repositories, MEMORY.own)} > 0`,
      after,
      summary: "The registry lists no repository any more",
      description:
        "The catalog of {{ $labels.instance }} is empty, and it was not before: its data is gone, or another registry answers in its place.",
      ...aboutEach(watch),
    },
    ...PARTS.flatMap((part): Alert[] => {
      const was = expected(watch, part, kind, memory);
      const long = expected(watch, part, kind, MEMORY.own);
      const firingStill = `${missing(watch, part, remembered(watch, part, MEMORY.own), MOST)} and ${firing(watch, LOSS)}`;
      const { labels, ...others } = aboutEach(watch);
      const about = { ...others, labels: { ...labels, what: part.what } };
      const said = `{{ $value | printf "%.0f" }}${OF_ALL(part.seen)} ${part.what} of {{ $labels.instance }}`;
      return [
        {
          name: LOSS,
          severity: "critical",
          // A clean-up does not resolve it: what is missing is still missing.
          expr: [...long.map((each) => missing(watch, part, each, MOST)), firingStill].join(" or "),
          after,
          summary: "Most of what the registry held is gone",
          description: `${said} are gone. Stop what writes to it, its clean-up first: what is left may be all that there is.`,
          ...about,
        },
        {
          name: "RegistryIntegrityCoverageLost",
          severity: "warning",
          expr: was.map((each) => missing(watch, part, each, part.tolerated)).join(" or "),
          after,
          summary: "The integrity probe sees less of the registry than before",
          description: `${said} that were there are missing.`,
          ...about,
        },
      ];
    }),
    {
      // An aborted push, or images that are never tagged, leave such a repository behind without any loss.
      name: "RegistryRepositoriesWithoutTags",
      severity: "warning",
      expr: `${known(watch, "registry_manifest_integrity_repositories_without_tags")} > 0`,
      after: DAY,
      summary: "The registry lists repositories that have no tags",
      description:
        'Repositories without tags in {{ $labels.instance }}: {{ $value | printf "%.0f" }}. Each was never tagged, as after a push that did not end, or has lost its tags.',
      ...aboutEach(watch),
    },
  ];
};

/** Whether everything that a registry held is still there. */
export const coverageAlerts: Family = {
  name: "registry-coverage",
  alerts: (site) =>
    (["cleaned-up", "own", "elsewhere"] as const).flatMap((kind) =>
      authoritativeWatchesOf(site, (each) => shrinkageOf(site, each) === kind).flatMap((watch) =>
        alertsAbout(watch, kind),
      ),
    ),
};
