import { App, TerraformStack } from "cdktf";
import type { Construct } from "constructs";
import { provider as helmProvider, release } from "@cdktf/provider-helm";
import { configMapV1, cronJobV1, provider as kubernetesProvider } from "@cdktf/provider-kubernetes";

/**
 * The floor of what a user would get from the template: far fewer resources than ours, no site, no program to bundle,
 * but ts-node and the packages' barrels, as the template has them.
 */
class Monitoring extends TerraformStack {
  constructor(scope: Construct, id: string) {
    super(scope, id);
    new kubernetesProvider.KubernetesProvider(this, "kubernetes", { configPath: "~/.kube/config" });
    new helmProvider.HelmProvider(this, "helm", {});
    new configMapV1.ConfigMapV1(this, "program", { metadata: { name: "program" }, data: { "probe.sh": "exit 0" } });
    new cronJobV1.CronJobV1(this, "probe", {
      metadata: { name: "probe" },
      spec: {
        schedule: "*/15 * * * *",
        jobTemplate: {
          metadata: {},
          spec: { template: { metadata: {}, spec: { container: [{ name: "probe", image: "node:26.9.0-slim" }] } } },
        },
      },
    });
    new release.Release(this, "rules", { name: "rules", chart: "./chart" });
  }
}

const app = new App({ outdir: process.env.CDKTF_OUTDIR });
new Monitoring(app, "monitoring");
app.synth();
