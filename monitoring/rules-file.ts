import { stringify } from "yaml";
import type { RuleGroup } from "./alert";

/**
 * The rules as a file for Prometheus' `rule_files`, in YAML.
 *
 * https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/#configuring-rules
 */
export const rulesFile = (groups: readonly RuleGroup[]): string => stringify({ groups }, { lineWidth: 0 });
