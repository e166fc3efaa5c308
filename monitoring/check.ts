import { PrometheusRule } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule";
import type { RuleGroup } from "./alert";
import type { Dashboard } from "./dashboard";
import { syntaxError } from "./promql";

/** The mistake of an expression, if it has one. */
const expressionMistake = (where: string, expression: string): string[] => {
  const position = syntaxError(expression);
  return position === undefined
    ? []
    : [`${where}: given ${JSON.stringify(expression)}, which is no PromQL from character ${position} on`];
};

const expressionMistakes = (groups: readonly RuleGroup[]): string[] =>
  groups.flatMap(({ name, rules }) =>
    rules.flatMap(({ alert, expr }) => expressionMistake(`alert ${alert} of ${name}`, expr)),
  );

const shapeMistakes = (groups: readonly RuleGroup[]): string[] => {
  const rule = new PrometheusRule({
    metadata: { name: "rules" },
    spec: { groups: groups.map(({ name, rules }) => ({ name, rules: rules.map((each) => ({ ...each })) })) },
  });
  try {
    rule.validate();
    return [];
  } catch (error) {
    return [`rules: ${error instanceof Error ? error.message : String(error)}`];
  }
};

/**
 * Refuses rules that Prometheus or its operator would refuse, before anything is written: Terraform plans them all the
 * same, and a rules file with one mistake is not loaded at all.
 *
 * @throws Error with one line a mistake
 */
export const checkRules = (groups: readonly RuleGroup[]): void => {
  const mistakes = [...expressionMistakes(groups), ...shapeMistakes(groups)];
  if (mistakes.length > 0) throw new Error(mistakes.join("\n"));
};

/**
 * Refuses a dashboard with a query that Prometheus would refuse: Grafana shows nothing in its place.
 *
 * @throws Error with one line a mistake
 */
export const checkDashboard = ({ title, panels }: Dashboard): void => {
  const mistakes = panels.flatMap((panel) =>
    panel.targets.flatMap(({ expr }) => expressionMistake(`panel ${JSON.stringify(panel.title)} of ${title}`, expr)),
  );
  if (mistakes.length > 0) throw new Error(mistakes.join("\n"));
};
