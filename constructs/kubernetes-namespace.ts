import { resolve } from "node:path";
import { Release } from "@cdktf/provider-helm/lib/release";
import { AssetType, TerraformAsset } from "cdktf";
import { Construct } from "constructs";
import { NAMESPACE_RELEASE } from "../monitoring/namespace-release";

/** Props of KubernetesNamespace. */
export interface KubernetesNamespaceProps {
  readonly name: string;
}

/** A chart without any template: its release makes the namespace and nothing in it. */
const CHART = resolve(__dirname, "..", "monitoring", "namespace-chart");

/**
 * A namespace that exists after the first apply and is never deleted: not when it leaves the configuration, not by a
 * destroy, not by another name. Terraform's own resource deletes it with everything in it; Helm makes
 * the one of a release where it is missing, and leaves it alone from then on. One that exists already is as good.
 *
 * https://helm.sh/docs/helm/helm_install/ (--create-namespace)
 */
export class KubernetesNamespace extends Construct {
  readonly resource: Release;

  constructor(scope: Construct, id: string, { name }: KubernetesNamespaceProps) {
    super(scope, id);
    const chart = new TerraformAsset(this, "Chart", { path: CHART, type: AssetType.DIRECTORY });
    this.resource = new Release(this, "Release", {
      name: NAMESPACE_RELEASE,
      namespace: name,
      createNamespace: true,
      chart: `./${chart.path}`,
      // As for the alerts. Not upgradeInstall beside it: the provider asks the cluster about it at each plan.
      atomic: true,
    });
  }
}
