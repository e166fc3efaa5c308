import { HelmProvider } from "@cdktf/provider-helm/lib/provider";
import { KubernetesProvider } from "@cdktf/provider-kubernetes/lib/provider";
import { App, LocalBackend, TerraformStack } from "cdktf";
import type { Construct } from "constructs";
import { HostDns, hostDnsOf } from "registry-warden/constructs/host-dns";
import { probeProgram } from "registry-warden/constructs/probe-program";
import { ProbeProgramConfigMap } from "registry-warden/constructs/probe-program-config-map";
import { RegistryAlerts } from "registry-warden/constructs/registry-alerts";
import { probedRegistry, RegistryIntegrityProbe } from "registry-warden/constructs/registry-integrity-probe";
import { rulesFor } from "registry-warden/monitoring/rules";
import { parseSite } from "registry-warden/site/load";
import {
  type ClusterSite,
  clusterProbes,
  dnsHosts,
  hasCluster,
  hasDns,
  hasRegistry,
  pushgatewayUrl,
} from "registry-warden/site/schema";
import { RegistryVmStack } from "registry-warden/stacks/registry-vm-stack";
import input from "./site";

/** One's own stack: what it already contains, extended with constructs from the package. */
class Platform extends TerraformStack {
  constructor(scope: Construct, id: string, site: ClusterSite) {
    super(scope, id);
    const { kubernetes, namespace, probeImage, rules } = site.monitoring;
    new LocalBackend(this, { path: "../../../platform.tfstate" });
    new KubernetesProvider(this, "kubernetes", { configPath: kubernetes.configPath });
    new HelmProvider(this, "helm", { kubernetes: { configPath: kubernetes.configPath } });

    if (hasDns(site)) for (const host of dnsHosts(site)) new HostDns(this, `${host.name}-dns`, hostDnsOf(site, host));

    const program = new ProbeProgramConfigMap(this, "probe-program", {
      namespace: namespace.name,
      program: probeProgram(),
    });
    for (const probe of clusterProbes(site))
      new RegistryIntegrityProbe(this, probe.name, {
        namespace: namespace.name,
        probe,
        registry: probedRegistry(site, probe),
        pushgateway: pushgatewayUrl(site),
        image: `${probeImage?.repository}:${probeImage?.tag}`,
        program,
      });
    if (rules.delivery === "prometheus-rule")
      new RegistryAlerts(this, "alerts", { namespace: namespace.name, groups: rulesFor(site), delivery: rules });
  }
}

const site = parseSite(input);
const app = new App();
// The types reflect what a site may lack: each part can be used after a check.
if (hasCluster(site)) new Platform(app, "platform", site);
// Or a whole stack, as it is.
if (hasRegistry(site)) new RegistryVmStack(app, "registry-vm", { site });
app.synth();
