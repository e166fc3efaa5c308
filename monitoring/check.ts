import type { RuleGroup } from "./alert";
import type { Dashboard } from "./dashboard";
import { syntaxError } from "./promql";

/** The syntax error of an expression, if any. */
const syntaxErrorIn = (where: string, expression: string): string[] => {
  const position = syntaxError(expression);
  return position === undefined
    ? []
    : [`${where}: given ${JSON.stringify(expression)}, which is no PromQL from character ${position} on`];
};

const expressionErrors = (groups: readonly RuleGroup[]): string[] =>
  groups.flatMap(({ name, rules }) =>
    rules.flatMap(({ alert, expr }) => syntaxErrorIn(`alert ${alert} of ${name}`, expr)),
  );

/** A non-empty Prometheus duration: https://prometheus.io/docs/prometheus/latest/configuration/configuration/ */
const DURATION = /^(?=.)(0|(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?)$/;

/** https://prometheus.io/docs/concepts/data_model/#metric-names-and-labels */
const LABEL = /^[A-Za-z_][A-Za-z0-9_]*$/;

const shapeErrors = (groups: readonly RuleGroup[]): string[] =>
  groups.flatMap(({ name, rules }) =>
    rules.flatMap(({ alert, for: pending, labels, annotations }) => {
      const where = `alert ${alert} of ${name}`;
      return [
        ...[pending]
          .filter((duration) => !DURATION.test(duration))
          .map(
            (duration) =>
              `${where}: given ${JSON.stringify(duration)}, which is no duration; write it like 5m or 1h30m`,
          ),
        ...Object.keys({ ...labels, ...annotations })
          .filter((label) => !LABEL.test(label))
          .map((label) => `${where}: given ${JSON.stringify(label)}, which is no name of a label`),
      ];
    }),
  );

/**
 * Rejects rules that Prometheus or its operator would reject, before anything is written: Terraform would apply them anyway, and
 * Prometheus does not load a rules file with a single error.
 *
 * @throws Error with one line for each error
 */
export const checkRules = (groups: readonly RuleGroup[]): void => {
  const errors = [...expressionErrors(groups), ...shapeErrors(groups)];
  if (errors.length > 0) throw new Error(errors.join("\n"));
};

/**
 * Rejects a dashboard with a query that Prometheus would reject: Grafana would show an empty panel.
 *
 * @throws Error with one line for each error
 */
export const checkDashboard = ({ title, panels }: Dashboard): void => {
  const errors = panels.flatMap((panel) =>
    panel.targets.flatMap(({ expr }) => syntaxErrorIn(`panel ${JSON.stringify(panel.title)} of ${title}`, expr)),
  );
  if (errors.length > 0) throw new Error(errors.join("\n"));
};
