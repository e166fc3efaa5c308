import { ConfigMapV1 } from "@cdktf/provider-kubernetes/lib/config-map-v1";
import type { ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import { checkDashboard } from "../monitoring/check";
import type { Dashboard } from "../monitoring/dashboard";
import { ImportBlock } from "./import-block";
import { literal } from "./literal";

/** Props of RegistryDashboard. */
export interface RegistryDashboardProps {
  readonly namespace: string;
  readonly dashboard: Dashboard;
  /** The labels that Grafana's sidecar looks for. */
  readonly labels: Readonly<Record<string, string>>;
  /**
   * Whether an existing ConfigMap is taken over.
   * @default false
   */
  readonly adopt?: boolean;
  /**
   * What must exist before it.
   * @default nothing
   */
  readonly dependsOn?: ITerraformDependable[];
}

/**
 * A dashboard in a ConfigMap, from which Grafana's sidecar loads it.
 *
 * @throws Error if Prometheus would reject one of its queries
 */
export class RegistryDashboard extends Construct {
  readonly resource: ConfigMapV1;

  constructor(scope: Construct, id: string, props: RegistryDashboardProps) {
    super(scope, id);
    const { namespace, dashboard, labels, adopt = false, dependsOn } = props;
    checkDashboard(dashboard);
    const name = `${dashboard.uid}-dashboard`;
    this.resource = new ConfigMapV1(this, "Resource", {
      metadata: { name, namespace, labels },
      data: { [`${dashboard.uid}.json`]: literal(JSON.stringify(dashboard, null, 2)) },
      dependsOn,
    });
    if (adopt) new ImportBlock(this.resource, `${namespace}/${name}`);
  }
}
