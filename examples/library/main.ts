import { HelmProvider } from "@cdktf/provider-helm/lib/provider";
import { KubernetesProvider } from "@cdktf/provider-kubernetes/lib/provider";
import { App, LocalBackend, TerraformStack } from "cdktf";
import type { Construct } from "constructs";
import { HostDns } from "registry-warden/constructs/host-dns";
import { probeProgram } from "registry-warden/constructs/probe-program";
import { ProbeProgramConfigMap } from "registry-warden/constructs/probe-program-config-map";
import { RegistryAlerts } from "registry-warden/constructs/registry-alerts";
import { probedRegistry, RegistryIntegrityProbe } from "registry-warden/constructs/registry-integrity-probe";
import { rulesFor } from "registry-warden/monitoring/rules";
import { parseSite } from "registry-warden/site/load";
import { managedHosts, type Site } from "registry-warden/site/schema";
import { RegistryVmStack } from "registry-warden/stacks/registry-vm-stack";
import input from "./site";

/** A stack of one's own: what it has already, and from the package what it lacks. */
class Platform extends TerraformStack {
  constructor(scope: Construct, id: string, site: Site) {
    super(scope, id);
    const { kubernetes, namespace, pushgateway, probeImage, probes, rules } = site.monitoring;
    new LocalBackend(this, { path: "../../../platform.tfstate" });
    new KubernetesProvider(this, "kubernetes", { configPath: kubernetes.configPath });
    new HelmProvider(this, "helm", { kubernetes: { configPath: kubernetes.configPath } });

    for (const host of managedHosts(site)) new HostDns(this, `${host.name}-dns`, { site, host });

    const program = new ProbeProgramConfigMap(this, "probe-program", {
      namespace: namespace.name,
      program: probeProgram(),
    });
    for (const probe of probes)
      new RegistryIntegrityProbe(this, probe.name, {
        namespace: namespace.name,
        probe,
        registry: probedRegistry(site, probe),
        pushgateway,
        image: `${probeImage.repository}:${probeImage.tag}`,
        program,
      });
    new RegistryAlerts(this, "alerts", { namespace: namespace.name, groups: rulesFor(site), delivery: rules });
  }
}

const site = parseSite(input);
const app = new App();
new Platform(app, "platform", site);
// Or a whole stack, as it is.
new RegistryVmStack(app, "registry-vm", { site });
app.synth();
