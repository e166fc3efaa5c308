import { PrometheusRule } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule";
import { syntaxError } from "./promql";
import type { RuleGroup } from "./rules";

const expressionMistakes = (groups: readonly RuleGroup[]): string[] =>
  groups.flatMap(({ name, rules }) =>
    rules.flatMap(({ alert, expr }) => {
      const position = syntaxError(expr);
      return position === undefined
        ? []
        : [
            `alert ${alert} of ${name}: given ${JSON.stringify(expr)}, which is no PromQL from character ${position} on`,
          ];
    }),
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
