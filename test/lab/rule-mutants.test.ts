import type { AlertingRule } from "../../monitoring/alert";
import { rulesFor } from "../../monitoring/rules";
import { shortestWayTo } from "../monitoring/episodes";
import { mutants } from "../monitoring/mutants";
import { simulate } from "../monitoring/simulation";
import { site } from "../monitoring/synthesise";
import { describeWith } from "./components";
import { type Alerted, firingAt } from "./promtool";

// The machine may be busy otherwise.
jest.setTimeout(300_000);

const reference = site("reference");
/**
 * Damage, workloads, coverage and the catalog have conditions with several ways in, of which one episode shows one; those of hosts are
 * in host-rules.test.ts.
 */
const FAMILIES = ["registry-certificate", "registry-probe", "registry-maintenance"];
const groups = rulesFor(reference).filter(({ name }) => FAMILIES.includes(name));

/** A rule under another name, by which it knows its own past too. */
const renamed = (rule: AlertingRule, alert: string): AlertingRule => ({
  ...rule,
  alert,
  expr: rule.expr.replaceAll(`alertname=${JSON.stringify(rule.alert)}`, `alertname=${JSON.stringify(alert)}`),
});

/** A comparison the other way round, or more or less patience: what no episode that has the alert lets pass. */
const isPlain = (change: string): boolean => /becomes (<|>|!=|\d+m)$/.test(change);

/** When a rule fired, and about what. */
const firingOf = (found: ReadonlyMap<number, readonly Alerted[]>, name: string): string[] =>
  [...found].flatMap(([minute, alerts]) =>
    alerts
      .filter(({ alertname }) => alertname === name)
      .map(({ instance, task, what }) => JSON.stringify([minute, instance, task, what])),
  );

describeWith(["promtool"], "a slip in a rule", () => {
  test("there is a group of each family", () => {
    expect(groups.map(({ name }) => name)).toEqual(FAMILIES);
  });

  test.concurrent.each(groups.map((group) => [group.name, group] as const))("of %s is seen", async (_, group) => {
    const unseen: string[] = [];
    for (const rule of group.rules) {
      const { episode } = shortestWayTo(rule.alert);
      const { step = 1, every = step, minutes } = episode;
      const slips = mutants(rule).filter(({ change }) => isPlain(change));
      const [found] = await firingAt({
        groups: [
          {
            name: group.name,
            rules: [
              rule,
              ...slips.map((slip, index) => ({ ...renamed(slip.rule, `Slip${index}`), for: slip.rule.for })),
            ],
          },
        ],
        runs: [{ series: simulate(reference, episode), minutes }],
        step,
        every,
      });
      const fired = found ?? new Map<number, Alerted[]>();
      const own = firingOf(fired, rule.alert);
      expect(own).not.toEqual([]);
      for (const [index, { change }] of slips.entries())
        if (JSON.stringify(firingOf(fired, `Slip${index}`)) === JSON.stringify(own))
          unseen.push(`${rule.alert}: ${change}`);
    }
    expect(unseen).toEqual([]);
  });
});
