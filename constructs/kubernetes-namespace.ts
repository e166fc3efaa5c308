import { resolve } from "node:path";
import { Release } from "@cdktf/provider-helm/lib/release";
import { AssetType, TerraformAsset } from "cdktf";
import { Construct } from "constructs";
import { NAMESPACE_RELEASE } from "../monitoring/namespace-release";

/** Props of KubernetesNamespace. */
export interface KubernetesNamespaceProps {
  readonly name: string;
}

/** A chart without templates: its release creates only the namespace. */
const CHART = resolve(__dirname, "..", "monitoring", "namespace-chart");

/**
 * A namespace that exists after the first apply and is never deleted: not when it is removed from the configuration, not by a
 * destroy, not by a rename. Terraform's own resource would delete it with everything in it; Helm creates a release's namespace if
 * it is missing, and leaves it alone afterwards. An existing namespace is fine too.
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
      // As for the alerts. No upgradeInstall in addition: with it, the provider queries the cluster in every plan.
      atomic: true,
    });
  }
}
