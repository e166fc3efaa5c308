import { ConfigMapV1 } from "@cdktf/provider-kubernetes/lib/config-map-v1";
import type { ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import { checkDashboard } from "../monitoring/check";
import type { Dashboard } from "../monitoring/dashboard";
import { literal } from "./literal";

/** Props of RegistryDashboard. */
export interface RegistryDashboardProps {
  readonly namespace: string;
  readonly dashboard: Dashboard;
  /** What the sidecar of Grafana looks for. */
  readonly labels: Readonly<Record<string, string>>;
  /**
   * What has to exist before it.
   * @default nothing
   */
  readonly dependsOn?: ITerraformDependable[];
}

/**
 * A dashboard in a ConfigMap, from where the sidecar of Grafana loads it.
 *
 * @throws Error where Prometheus would refuse one of its queries
 */
export class RegistryDashboard extends Construct {
  constructor(scope: Construct, id: string, props: RegistryDashboardProps) {
    super(scope, id);
    const { namespace, dashboard, labels, dependsOn } = props;
    checkDashboard(dashboard);
    new ConfigMapV1(this, "Resource", {
      metadata: { name: `${dashboard.uid}-dashboard`, namespace, labels },
      data: { [`${dashboard.uid}.json`]: literal(JSON.stringify(dashboard, null, 2)) },
      dependsOn,
    });
  }
}
