/** https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/#test_group */
export interface UnitTest {
  readonly name: string;
  /** Between two samples, and between two evaluations. */
  readonly interval: string;
  readonly input_series: readonly { readonly series: string; readonly values: string }[];
  readonly alert_rule_test: readonly {
    readonly eval_time: string;
    readonly alertname: string;
    readonly exp_alerts: readonly { readonly exp_labels: object; readonly exp_annotations: object }[];
  }[];
}
