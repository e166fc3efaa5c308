import type { AlertingRule, RuleGroup } from "../../monitoring/alert";
import { checkDashboard, checkRules } from "../../monitoring/check";
import { type Dashboard, integrityDashboard, type Panel } from "../../monitoring/dashboard";
import { rulesFor } from "../../monitoring/rules";
import { SITES, site } from "./synthesise";

const [group] = rulesFor(site("reference")) as [RuleGroup];

const bent = (bend: Partial<AlertingRule>): RuleGroup[] => [
  { ...group, rules: group.rules.map((rule, index) => (index === 1 ? { ...rule, ...bend } : rule)) },
];

it.each(Object.keys(SITES) as (keyof typeof SITES)[])("takes the rules of the site %s", (name) => {
  expect(() => checkRules(rulesFor(site(name)))).not.toThrow();
});

it("refuses an expression that is no PromQL, with its position", () => {
  expect(() => checkRules(bent({ expr: "up > > 0" }))).toThrow(
    `alert ${group.rules[1]?.alert} of ${group.name}: given "up > > 0", which is no PromQL from character 6 on`,
  );
});

it("refuses a duration that Prometheus does not read", () => {
  for (const duration of ["5 minutes", "5", "", "1m1h", "-5m", "5m\n"])
    expect(() => checkRules(bent({ for: duration }))).toThrow(
      `alert ${group.rules[1]?.alert} of ${group.name}: given ${JSON.stringify(duration)}, which is no duration; write it like 5m or 1h30m`,
    );
  for (const duration of ["0", "5m", "1h30m", "1d", "250ms"])
    expect(() => checkRules(bent({ for: duration }))).not.toThrow();
});

it("refuses a label that Prometheus does not know for one", () => {
  expect(() => checkRules(bent({ labels: { severity: "warning", ...{ "team-name": "x" } } }))).toThrow(
    'given "team-name", which is no name of a label',
  );
});

it("reports the errors in all expressions at once", () => {
  expect(() => checkRules([{ ...group, rules: group.rules.map((rule) => ({ ...rule, expr: "(" })) }])).toThrow(
    expect.objectContaining({ message: expect.stringMatching(new RegExp(`^(alert .*\n?){${group.rules.length}}$`)) }),
  );
});

it("refuses a panel whose query is no PromQL, with its position", () => {
  const dashboard = integrityDashboard();
  const [panel] = dashboard.panels as [Panel];
  const targets = panel.targets.map((query) => ({ ...query, expr: "sum by (instance (up)" }));
  const bent: Dashboard = { ...dashboard, panels: [{ ...panel, targets }] };
  expect(() => checkDashboard(dashboard)).not.toThrow();
  expect(() => checkDashboard(bent)).toThrow(
    `panel "${panel.title}" of ${dashboard.title}: given "sum by (instance (up)", which is no PromQL from character `,
  );
});
