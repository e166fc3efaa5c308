import { stringify } from "yaml";
import type { RuleGroup } from "./alert";

/**
 * The rules as a YAML file for Prometheus' `rule_files`.
 *
 * https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/#configuring-rules
 */
export const rulesFile = (groups: readonly RuleGroup[]): string => stringify({ groups }, { lineWidth: 0 });
