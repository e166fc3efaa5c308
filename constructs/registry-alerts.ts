import { resolve } from "node:path";
import { Release } from "@cdktf/provider-helm/lib/release";
import { ConfigMapV1 } from "@cdktf/provider-kubernetes/lib/config-map-v1";
import { AssetType, type ITerraformDependable, TerraformAsset } from "cdktf";
import { Construct } from "constructs";
import type { RuleGroup } from "../monitoring/alert";
import { checkRules } from "../monitoring/check";
import { rulesFile } from "../monitoring/rules-file";
import type { ClusterRulesDelivery } from "../site/monitoring";
import { ImportBlock } from "./import-block";
import { literal } from "./literal";

/** Props of RegistryAlerts. */
export interface RegistryAlertsProps {
  readonly namespace: string;
  readonly groups: readonly RuleGroup[];
  /** As a PrometheusRule, or as a plain rules file. */
  readonly delivery: ClusterRulesDelivery;
  /**
   * What must exist before it.
   * @default nothing
   */
  readonly dependsOn?: ITerraformDependable[];
}

/** Name of the Helm release and of the PrometheusRule, or of the ConfigMap. */
const NAME = "registry-alerts";

/** The key of the ConfigMap, and the file's name in the mounted ConfigMap. */
const FILE = "registry-alerts.rules.yaml";

const CHART = resolve(__dirname, "..", "monitoring", "chart");

/**
 * The alerts of a site, delivered to where its Prometheus reads them.
 *
 * @throws Error if Prometheus would reject a rule
 */
export class RegistryAlerts extends Construct {
  readonly resource: Release | ConfigMapV1;

  constructor(scope: Construct, id: string, props: RegistryAlertsProps) {
    super(scope, id);
    checkRules(props.groups);
    this.resource = props.delivery.delivery === "prometheus-rule" ? this.#release(props) : this.#file(props);
  }

  /**
   * A Helm release, because Terraform's own manifest resource needs the cluster and the CRD in order to plan. The
   * groups are JSON, so that a plan shows what changes in which rule.
   */
  #release({ namespace, groups, delivery, dependsOn }: RegistryAlertsProps): Release {
    const chart = new TerraformAsset(this, "Chart", { path: CHART, type: AssetType.DIRECTORY });
    return new Release(this, "Resource", {
      name: NAME,
      namespace,
      chart: `./${chart.path}`,
      values: [literal(JSON.stringify({ labels: delivery.labels, groups }))],
      // Otherwise a failed first install would block the next one, because its name is taken.
      atomic: true,
      ...(delivery.adopt ? { takeOwnership: true, upgradeInstall: true } : {}),
      dependsOn,
    });
  }

  #file({ namespace, groups, delivery, dependsOn }: RegistryAlertsProps): ConfigMapV1 {
    const resource = new ConfigMapV1(this, "Resource", {
      metadata: { name: NAME, namespace, labels: delivery.labels },
      data: { [FILE]: literal(rulesFile(groups)) },
      dependsOn,
    });
    if (delivery.adopt) new ImportBlock(resource, `${namespace}/${NAME}`);
    return resource;
  }
}
