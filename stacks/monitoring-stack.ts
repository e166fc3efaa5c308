import { HelmProvider } from "@cdktf/provider-helm/lib/provider";
import { NamespaceV1 } from "@cdktf/provider-kubernetes/lib/namespace-v1";
import { KubernetesProvider } from "@cdktf/provider-kubernetes/lib/provider";
import "./deprecated-api";
import { TerraformOutput, TerraformStack } from "cdktf";
import type { Construct } from "constructs";
import { stringify } from "yaml";
import { cleanUpProgram } from "../constructs/clean-up-program";
import { CleanUpProgramConfigMap } from "../constructs/clean-up-program-config-map";
import { Forgotten } from "../constructs/forgotten";
import { KubernetesNamespace } from "../constructs/kubernetes-namespace";
import { literal } from "../constructs/literal";
import { probeProgram } from "../constructs/probe-program";
import { ProbeProgramConfigMap } from "../constructs/probe-program-config-map";
import { RegistryAlerts } from "../constructs/registry-alerts";
import { cleanedUpRegistry, RegistryCleanUp } from "../constructs/registry-clean-up";
import { RegistryDashboard } from "../constructs/registry-dashboard";
import { probedRegistry, RegistryIntegrityProbe } from "../constructs/registry-integrity-probe";
import { integrityDashboard } from "../monitoring/dashboard";
import { INHIBIT_RULES } from "../monitoring/inhibition";
import { rulesFor } from "../monitoring/rules";
import { imageReference } from "../site/image";
import { isInCluster } from "../site/monitoring";
import { type ClusterSite, cleanUps, clusterProbes, pushgatewayUrl } from "../site/schema";
import { useBackend } from "./backend";

/** Props of MonitoringStack. */
export interface MonitoringStackProps {
  readonly site: ClusterSite;
  /**
   * The text of the probes' program.
   * @default bundled from the sources
   */
  readonly program?: string;
  /**
   * The text of the clean-ups' program.
   * @default bundled from the sources, if there is a clean-up
   */
  readonly cleanUpProgram?: string;
}

/** The probes and the clean-ups of a site, their programs and their alerts, in a Kubernetes cluster. */
export class MonitoringStack extends TerraformStack {
  constructor(scope: Construct, id: string, props: MonitoringStackProps) {
    super(scope, id);
    const { site, program = probeProgram() } = props;
    useBackend(this, site);
    const { kubernetes, namespace, probeImage, rules, dashboard } = site.monitoring;
    const cluster = {
      configPath: literal(kubernetes.configPath),
      configContext: kubernetes.context === undefined ? undefined : literal(kubernetes.context),
    };

    new KubernetesProvider(this, "kubernetes", cluster);
    // Needed even when nothing is left: a release is only uninstalled while its provider is configured.
    new HelmProvider(this, "helm", { kubernetes: cluster });

    // Created by an earlier version; without this it would be deleted with everything in it.
    new Forgotten(this, "namespace", NamespaceV1.tfResourceType);
    const dependsOn = namespace.create
      ? [new KubernetesNamespace(this, "created-namespace", { name: namespace.name }).resource]
      : undefined;
    const common = { namespace: namespace.name, dependsOn };

    const probes = clusterProbes(site);
    // The schema rejects a probe in the cluster without an image.
    if (probes.length > 0 && probeImage !== undefined) {
      const programConfigMap = new ProbeProgramConfigMap(this, "program", { ...common, program });
      for (const probe of probes)
        new RegistryIntegrityProbe(this, probe.name, {
          ...common,
          probe,
          registry: probedRegistry(site, probe),
          pushgateway: pushgatewayUrl(site),
          image: imageReference(probeImage),
          program: programConfigMap,
        });
      const cleaned = cleanUps(site);
      if (cleaned.length > 0) {
        const program = new CleanUpProgramConfigMap(this, "clean-up-program", {
          ...common,
          program: props.cleanUpProgram ?? cleanUpProgram(),
        });
        for (const each of cleaned) {
          const registry = cleanedUpRegistry(site, each);
          new RegistryCleanUp(this, registry.name, {
            ...common,
            registry,
            pushgateway: pushgatewayUrl(site),
            image: imageReference(probeImage),
            program,
          });
        }
      }
    }

    if (isInCluster(rules)) new RegistryAlerts(this, "alerts", { ...common, groups: rulesFor(site), delivery: rules });

    if (dashboard !== undefined)
      new RegistryDashboard(this, "dashboard", {
        ...common,
        dashboard: integrityDashboard(),
        labels: dashboard.labels,
        adopt: dashboard.adopt,
      });

    new TerraformOutput(this, "alertmanager", {
      description: "to copy into the configuration of Alertmanager",
      value: literal(stringify({ inhibit_rules: INHIBIT_RULES })),
    });
  }
}
