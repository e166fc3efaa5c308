import { parser } from "@prometheus-io/lezer-promql";
import type { AlertingRule } from "../../monitoring/alert";

export interface RuleMutant {
  /** What was changed, for the name of the test. */
  readonly change: string;
  readonly rule: AlertingRule;
}

/** For each grammar node the typical slips: the text → what may have been written by accident. */
const SLIPS: Record<string, (text: string) => string[]> = {
  Gtr: () => ["<", ">=", "=="],
  Gte: () => ["<"],
  Lss: () => [">", "<=", "=="],
  Eql: () => ["!="],
  Sub: () => ["+"],
  Div: () => ["*"],
  And: () => ["or", "unless"],
  Or: () => ["and", "unless"],
  Unless: () => ["and", "or"],
  NumberDurationLiteral: (text) => [String(Number(text) * 2 + 1), String(Number(text) / 2 - 1)],
  NumberDurationLiteralInDurationContext: (text) => {
    const days = Number.parseInt(text, 10);
    return [`${days * 24 - 6}h`, `${days * 24 + 6}h`];
  },
  Absent: () => ["present_over_time"],
  MaxOverTime: () => ["min_over_time", "count_over_time"],
  LabelName: (text) => [`not_${text}`],
  StringLiteral: () => ['"other"'],
  Identifier: (text) => [`${text}_other`],
};

/** A rule with each possible slip in its expression, and with its duration changed in both directions. */
export const mutantsOf = (rule: AlertingRule): RuleMutant[] => {
  const found: RuleMutant[] = [];
  parser.parse(rule.expr).iterate({
    enter: ({ node, from, to }) => {
      if (node.firstChild !== null) return;
      const text = rule.expr.slice(from, to);
      for (const slip of SLIPS[node.name]?.(text) ?? []) {
        const expr =
          slip === "present_over_time"
            ? rule.expr.replace(/absent\((.*)\)/, "present_over_time($1[5m])")
            : rule.expr.slice(0, from) + slip + rule.expr.slice(to);
        found.push({ change: `${text} at ${from + 1} becomes ${slip}`, rule: { ...rule, expr } });
      }
    },
  });
  const minutes = Number.parseInt(rule.for, 10);
  for (const slip of [minutes - 1, minutes + 1].filter((each) => each >= 0))
    found.push({ change: `for ${rule.for} becomes ${slip}m`, rule: { ...rule, for: `${slip}m` } });
  return found;
};
