import type { AlertingRule } from "../../monitoring/alert";
import type { Probe } from "../../site/monitoring";
import type { Site } from "../../site/schema";
import { healthy, pushedLabels, type Scenario, scenarios } from "./scenarios";

/** https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/#test_group */
export interface UnitTest {
  readonly name: string;
  /** Between two samples, and between two evaluations. */
  readonly interval: string;
  readonly input_series: readonly { readonly series: string; readonly values: string }[];
  readonly alert_rule_test: readonly Expectation[];
}

interface Expectation {
  readonly eval_time: string;
  readonly alertname: string;
  readonly exp_alerts: readonly { readonly exp_labels: object; readonly exp_annotations: object }[];
}

const series = (metric: string, labels: Readonly<Record<string, string>>): string =>
  `${metric}{${Object.entries(labels)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(",")}}`;

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index);

/** What the probe pushed in each of a number of minutes, of which some are broken. */
const input = (
  site: Site,
  probe: Probe,
  scenario: Scenario,
  minutes: number,
  isBroken: (minute: number) => boolean,
): UnitTest["input_series"] => {
  const usual = healthy(probe);
  const labels = scenario.seriesLabels ?? pushedLabels(site, probe);
  const metrics = [...new Set([...Object.keys(usual), ...Object.keys(scenario.broken)])] as (keyof typeof usual)[];
  const pushed = metrics.map((metric) => ({
    series: series(metric, metric in scenario.broken ? labels : pushedLabels(site, probe)),
    values: range(0, minutes)
      .map((minute) => {
        const fine = scenario.fine?.[metric] ?? usual[metric];
        const values = isBroken(minute) ? (scenario.broken[metric] ?? fine) : fine;
        return values?.(minute) ?? "stale";
      })
      .join(" "),
  }));
  const reasons = { truncated: 2, missing: 1, malformed: 0 };
  return [
    ...pushed,
    ...Object.entries(reasons).map(([reason, count]) => ({
      series: series("registry_manifest_integrity_failures_by_reason", { ...pushedLabels(site, probe), reason }),
      values: `${count}x${minutes}`,
    })),
  ];
};

const at = (minute: number, alertname: string, exp_alerts: Expectation["exp_alerts"]): Expectation => ({
  eval_time: `${minute}m`,
  alertname,
  exp_alerts,
});

/**
 * The tests of one alert, against the edge of its condition and of its time: it fires, it resolves, and one bad report
 * does not make it fire.
 */
export const unitTests = (site: Site, probe: Probe, rule: AlertingRule): UnitTest[] => {
  const { alert } = rule;
  const scenario = scenarios(site, probe)[alert];
  if (scenario === undefined)
    throw new Error(`no scenario for the alert ${alert}: add one to test/monitoring/scenarios.ts`);

  const period = probe.periodMinutes;
  const pending = Number.parseInt(rule.for, 10);
  const breaks = 2 * period;
  const fires = breaks + pending;
  const heals = fires + period;
  const end = heals + 2 * period;
  const firing = [
    {
      exp_labels: { severity: rule.labels.severity, ...(scenario.labels ?? pushedLabels(site, probe)) },
      exp_annotations: { ...rule.annotations, description: scenario.says },
    },
  ];
  // What is pushed stands until the next run.
  const oneReport = Math.min(period, pending - 1);

  return [
    {
      name: `${alert} fires and resolves`,
      interval: "1m",
      input_series: input(site, probe, scenario, end, (minute) => minute >= breaks && minute < heals),
      alert_rule_test: [
        at(breaks - 1, alert, []),
        at(fires - 1, alert, []),
        at(fires, alert, firing),
        at(heals - 1, alert, firing),
        at(heals, alert, []),
        at(end - 1, alert, []),
      ],
    },
    {
      name: `${alert} does not fire on one bad report`,
      interval: "1m",
      input_series: input(site, probe, scenario, end, (minute) => minute >= breaks && minute < breaks + oneReport),
      alert_rule_test: range(0, end).map((minute) => at(minute, alert, [])),
    },
  ];
};

/** A change of one metric, minute by minute, in a registry that is healthy otherwise. */
const changed = (
  site: Site,
  probe: Probe,
  metric: keyof Scenario["broken"],
  values: string,
): UnitTest["input_series"] => {
  const own = series(metric, pushedLabels(site, probe));
  const others = input(site, probe, { broken: {}, says: "" }, 1, () => false).filter((each) => each.series !== own);
  return [...others, { series: own, values }];
};

const isFiring = (rule: AlertingRule, description: string, labels: object) => [
  { exp_labels: { severity: rule.labels.severity, ...labels }, exp_annotations: { ...rule.annotations, description } },
];

/** What more than one alert has to say to the same series, and what only time shows. */
export const groupTests = (site: Site, probe: Probe, rules: readonly AlertingRule[]): UnitTest[] => {
  const period = probe.periodMinutes;
  const labels = pushedLabels(site, probe);
  const known = scenarios(site, probe);
  const rule = (name: string): AlertingRule => {
    const found = rules.find(({ alert }) => alert === name);
    if (found === undefined) throw new Error(`no alert ${name}`);
    return found;
  };
  const has = (name: string): boolean => rules.some(({ alert }) => alert === name);
  const absent = rule("RegistryIntegrityProbeAbsent");
  const onlyAbsent = (minute: number): Expectation[] =>
    rules.map(({ alert }) =>
      at(minute, alert, alert === absent.alert ? isFiring(absent, known[alert]?.says ?? "", labels) : []),
    );
  const quiet = (minutes: number[]): Expectation[] =>
    minutes.flatMap((minute) => rules.map(({ alert }) => at(minute, alert, [])));

  const inaccessible = rule("RegistryCatalogInaccessible");
  /** Runs report in the second quarter of a minute, or a minute later where they asked again for the catalog in vain. */
  const catalog = (name: string, badRuns: number, alert_rule_test: Expectation[]): UnitTest => {
    const QUARTERS = 4;
    const from = (period + 1) * QUARTERS + 1;
    const until = (1 + badRuns) * period * QUARTERS + 1;
    return {
      name,
      interval: "15s",
      input_series: [
        {
          series: series("registry_manifest_integrity_catalog_accessible", labels),
          values: range(0, 6 * period * QUARTERS)
            .map((quarter) => (quarter >= from && quarter < until ? 0 : 1))
            .join(" "),
        },
      ],
      alert_rule_test,
    };
  };
  const unread = isFiring(inaccessible, known[inaccessible.alert]?.says ?? "", labels);

  const plumbing: UnitTest[] = [
    catalog(
      "one run cannot read the catalog, and the next one can",
      1,
      range(0, 4 * period).map((minute) => at(minute, inaccessible.alert, [])),
    ),
    catalog("two runs cannot read the catalog", 2, [
      at(2 * period + 1, inaccessible.alert, []),
      at(2 * period + 2, inaccessible.alert, unread),
      at(3 * period, inaccessible.alert, unread),
      at(3 * period + 1, inaccessible.alert, []),
    ]),
    { name: "nothing was ever pushed", interval: "1m", input_series: [], alert_rule_test: onlyAbsent(6 * period) },
    {
      name: "the Pushgateway restarts while everything is broken, and forgets it",
      interval: "1m",
      input_series: Object.entries(known)
        .filter(([, { seriesLabels }]) => seriesLabels === undefined)
        .flatMap(([, { broken }]) => Object.entries(broken))
        .filter(([metric], index, all) => all.findIndex(([other]) => other === metric) === index)
        .map(([metric, values]) => ({
          series: series(metric, labels),
          values: `${range(0, 4 * period)
            .map((minute) => values(minute) ?? 0)
            .join(" ")} stale`,
        })),
      alert_rule_test: onlyAbsent(6 * period),
    },
    {
      name: "all is well",
      interval: "1m",
      input_series: input(site, probe, { broken: {}, says: "" }, 8 * period, () => false),
      alert_rule_test: quiet(range(0, 8).map((index) => index * period)),
    },
  ];
  if (!has("RegistryIntegrityCoverageLost")) return plumbing;

  const coverage = rule("RegistryIntegrityCoverageLost");
  const lost = (count: number) =>
    isFiring(coverage, known[coverage.alert]?.says.replace("Only 49", `Only ${count}`) ?? "", labels);
  const empty = rule("RegistryCatalogEmpty");
  const repositories = "registry_manifest_integrity_repos_checked";
  const DAY = 24 * 60;
  return [
    ...plumbing,
    {
      name: "one repository is lost",
      interval: "1m",
      input_series: changed(site, probe, repositories, `10x${period} 9x${4 * period}`),
      alert_rule_test: [at(4 * period, coverage.alert, lost(9))],
    },
    {
      name: "a registry that never held anything is not empty",
      interval: "1m",
      input_series: changed(site, probe, repositories, `0x${8 * period}`),
      alert_rule_test: [at(6 * period, empty.alert, [])],
    },
    {
      name: "what is lost stays lost for seven days",
      interval: "1h",
      input_series: changed(site, probe, repositories, `10x24 0x${9 * 24}`),
      alert_rule_test: [
        at(8 * DAY - 120, coverage.alert, lost(0)),
        at(8 * DAY - 120, empty.alert, isFiring(empty, known[empty.alert]?.says ?? "", labels)),
        at(8 * DAY + 120, coverage.alert, []),
        at(8 * DAY + 120, empty.alert, []),
      ],
    },
    {
      name: "tags that are lost stay lost for seven days",
      interval: "1h",
      input_series: changed(site, probe, "registry_manifest_integrity_tags_checked", `100x24 49x${9 * 24}`),
      alert_rule_test: [at(8 * DAY - 120, coverage.alert, lost(49)), at(8 * DAY + 120, coverage.alert, [])],
    },
  ];
};

/** What two shards of one registry say together. */
export const shardTests = (site: Site, probe: Probe, rules: readonly AlertingRule[]): UnitTest[] => {
  const period = probe.periodMinutes;
  const labels = pushedLabels(site, probe);
  const known = scenarios(site, probe);
  const of = (name: keyof Scenario["broken"], shard: string, values: string) => ({
    series: series(name, { ...labels, shard }),
    values,
  });
  const lastRun = "registry_manifest_integrity_last_run_timestamp";
  const repositories = "registry_manifest_integrity_repos_checked";
  const reports = `0+60x${8 * period}`;
  return rules.flatMap((rule) => {
    const { alert } = rule;
    const says = known[alert]?.says ?? "";
    if (alert === "RegistryIntegrityProbeAbsent")
      return [
        {
          name: "both shards report",
          interval: "1m",
          input_series: [of(lastRun, "0", reports), of(lastRun, "1", reports)],
          alert_rule_test: [at(6 * period, alert, [])],
        },
        {
          name: "one of two shards does not report",
          interval: "1m",
          input_series: [of(lastRun, "0", reports)],
          alert_rule_test: [at(6 * period, alert, isFiring(rule, says, labels))],
        },
      ];
    if (alert === "RegistryCatalogEmpty")
      return [
        {
          name: "one of two shards has no repository any more, the registry has",
          interval: "1m",
          input_series: [
            of(repositories, "0", `10x${8 * period}`),
            of(repositories, "1", `1x${period} 0x${7 * period}`),
          ],
          alert_rule_test: [at(6 * period, alert, [])],
        },
      ];
    return [];
  });
};
