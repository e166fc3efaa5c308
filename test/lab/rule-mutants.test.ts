import type { AlertingRule, RuleGroup } from "../../monitoring/alert";
import { rulesFor } from "../../monitoring/rules";
import { batchesOf, EPISODES, type Episode, firstFiringOf, settingOf, siteOf } from "../monitoring/episodes";
import { mutantsOf } from "../monitoring/mutants";
import { simulate } from "../monitoring/simulation";
import { site } from "../monitoring/synthesise";
import { describeWith } from "./components";
import { type Alerted, firingAt } from "./promtool";

// The machine may be busy with other tests.
jest.setTimeout(1_800_000);

const minuteByMinute = (alert: string): Episode[] =>
  EPISODES.filter(
    ({ site: name, shards, cluster, step, fires }) =>
      !(name ?? shards ?? cluster ?? step) && fires[alert] !== undefined,
  );

const only = (what: string): Episode[] => EPISODES.filter((episode) => episode.what.startsWith(what));

/** Episodes in which a registry loses contents, or is meant to. */
const CONTENTS = ["a planned clean-up", "a clean-up that removes", "a repository that is lost", "most of"];

/**
 * The episodes that distinguish a rule from one with a slip. If the conditions of a family can be met in several ways, there is an
 * episode for each. Those of hosts are in host-rules.test.ts; workloads have the same condition as damage.
 */
const EPISODES_OF: Readonly<Record<string, (alert: string) => readonly Episode[]>> = {
  "registry-damage": (alert) => [...minuteByMinute(alert), ...only("damage that one run alone")],
  "registry-catalog": (alert) => [
    ...minuteByMinute(alert),
    ...only("a catalog that one run alone"),
    ...only("a registry that restarts"),
  ],
  "registry-coverage": (alert) =>
    ["RegistryMassLoss", "RegistryIntegrityCoverageLost"].includes(alert)
      ? CONTENTS.flatMap(only)
      : [firstFiringOf(alert).episode],
  "registry-certificate": (alert) => [firstFiringOf(alert).episode],
  "registry-probe": (alert) => [firstFiringOf(alert).episode],
  "registry-maintenance": (alert) => [firstFiringOf(alert).episode],
};

const groups = rulesFor(site("reference")).filter(({ name }) => EPISODES_OF[name] !== undefined);

/** One rule for each name: rules with the same name differ only in what they count. */
const rulesOf = ({ rules }: RuleGroup): AlertingRule[] =>
  rules.filter(({ alert }, index) => rules.findIndex((other) => other.alert === alert) === index);

/** A rule under another name, including the references to its own past. */
const renamed = (rule: AlertingRule, alert: string): AlertingRule => ({
  ...rule,
  alert,
  expr: rule.expr.replaceAll(`alertname=${JSON.stringify(rule.alert)}`, `alertname=${JSON.stringify(alert)}`),
});

/** Families in whose conditions the operators that join several ways are changed too. */
const JOINED = ["registry-damage", "registry-catalog"];

/** A reversed comparison or set operation, or a longer or shorter duration. */
const isPlain = (group: string, change: string): boolean =>
  /becomes (<|>|!=|\d+m)$/.test(change) || (JOINED.includes(group) && /becomes (and|or|unless)$/.test(change));

/** Slips that cannot change anything, with the reason. */
const SAME: Readonly<Record<string, string>> = {
  "RegistryMassLoss: for 30m becomes 29m": "its episodes are evaluated every three or five minutes",
  "RegistryIntegrityCoverageLost: for 30m becomes 29m": "its episodes are evaluated every three or five minutes",
  "RegistryRepositoriesWithoutTags: for 1440m becomes 1439m": "its episode is evaluated every five minutes",
  "RegistryIntegrityCoverageLost: > at 1168 becomes <": "no repository may be missing: what follows is multiplied by 0",
};

/** When a rule fired, and for which subject. */
const firingOf = (runs: readonly ReadonlyMap<number, readonly Alerted[]>[], name: string): string[] =>
  runs.flatMap((found, run) =>
    [...found].flatMap(([minute, alerts]) =>
      alerts
        .filter(({ alertname }) => alertname === name)
        .map(({ instance, task, what }) => JSON.stringify([run, minute, instance, task, what])),
    ),
  );

/** The slips in a rule that no episode reveals. */
const unseenIn = async (group: RuleGroup, rule: AlertingRule): Promise<string[]> => {
  const episodes = EPISODES_OF[group.name]?.(rule.alert) ?? [];
  const slips = mutantsOf(rule).filter(({ change }) => isPlain(group.name, change));
  const evaluated = [
    {
      name: group.name,
      rules: [rule, ...slips.map((slip, index) => ({ ...renamed(slip.rule, `Slip${index}`), for: slip.rule.for }))],
    },
  ];
  const found: Map<number, readonly Alerted[]>[] = [];
  for (const alike of batchesOf(episodes)) {
    const runs = alike.map((episode) => ({ series: simulate(siteOf(episode), episode), minutes: episode.minutes }));
    found.push(...(await firingAt({ groups: evaluated, runs, ...settingOf(alike[0] as Episode) })));
  }
  const own = firingOf(found, rule.alert);
  expect(own).not.toEqual([]);
  return slips.flatMap(({ change, rule: { expr } }, index) => {
    const name = `${rule.alert}: ${change}`;
    return JSON.stringify(firingOf(found, `Slip${index}`)) === JSON.stringify(own) && SAME[name] === undefined
      ? [`${name}: ${expr}`]
      : [];
  });
};

describeWith(["promtool"], "a slip in a rule", () => {
  test("there is a group of each family", () => {
    expect(groups.map(({ name }) => name).sort()).toEqual(Object.keys(EPISODES_OF).sort());
  });

  test.concurrent.each(groups.flatMap((group) => rulesOf(group).map((rule) => [rule.alert, group, rule] as const)))(
    "of %s is seen",
    async (_, group, rule) => {
      expect(await unseenIn(group, rule)).toEqual([]);
    },
  );
});
