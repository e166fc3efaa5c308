import { readFileSync } from "node:fs";
import { Testing } from "cdktf";
import { Agent } from "undici";
import { clusterProbes } from "../../site/schema";
import { MonitoringStack } from "../../stacks/monitoring-stack";
import { type AnyKubernetesObject, allObjectsOf, onlyOf } from "../monitoring/objects";
import { type Json, site } from "../monitoring/synthesise";
import type { WholeSite } from "../sites";
import { createCertificateAuthority } from "./certificates";
import type { PushTarget } from "./images";
import { PLANTED, type PlantedSecret } from "./planted-secret";
import { type LabPod, preparePod } from "./pod";
import { freePort } from "./process";
import { type LabRegistry, startRegistry } from "./registry";
import { startReverseProxy } from "./reverse-proxy";

/** A registry with TLS and htpasswd on loopback, and the stack deployed by a site for it. */
export interface MonitoredRegistry {
  readonly registry: LabRegistry;
  readonly site: WholeSite;
  /** The synthesised stack, with the real program. */
  readonly stack: Json;
  readonly objects: readonly AnyKubernetesObject[];
  readonly pod: LabPod;
  readonly credentials: PlantedSecret;
  /** Path of the certificate authority's certificate. */
  readonly authority: string;
  /** The registry, for pushes by the credentials. */
  readonly pushTarget: PushTarget;
  stop(): Promise<void>;
}

export interface MonitoredRegistryOptions {
  /** Base URL. */
  readonly pushgateway: string;
  /**
   * Seconds between two runs, from which the site's rules derive their durations.
   * @default that of the small site
   */
  readonly period?: number;
  /** @default 1 */
  readonly shards?: number;
  /** Seconds of a run. @default 60, or 20 with a given period */
  readonly deadline?: number;
  /** Of bcrypt. @default 4, the lowest */
  readonly cost?: number;
  /** Whether the probe verifies workloads, and the clean-up depends on its report. @default false */
  readonly workloads?: boolean;
  /** Whether a nightly clean-up keeps the newest tag of each repository. @default there is none */
  readonly cleanUp?: boolean;
  /** Whether nginx is in front of it, with the delivered configuration, instead of the registry's own TLS. */
  readonly reverseProxy?: boolean;
}

/** Synthesizes with the program that is actually shipped. */
const synthesiseWhole = (given: WholeSite): Json =>
  JSON.parse(Testing.synth(new MonitoringStack(Testing.app(), "monitoring", { site: given }), true));

/** The small site, adapted to this machine: only names, addresses and ports differ. */
const loopbackSite = (registryPort: number, options: MonitoredRegistryOptions): WholeSite => {
  const { pushgateway, period, shards = 1, deadline = 60, cleanUp = false } = options;
  const parsed = site("small", (input) => {
    input.hosts[0].address = "127.0.0.1";
    Object.assign(input.registry.services[0], { serverName: "localhost", port: registryPort });
    Object.assign(input.monitoring, { pushgateway, dashboard: { labels: { grafana_dashboard: "1" } } });
    if (cleanUp) {
      input.registry.images.node = input.monitoring.probeImage;
      input.registry.services[0].retention = { rules: [{ repositories: "**", keepNewest: 1 }] };
      input.registry.maintenance = {
        credentialsFile: "/etc/registry/maintenance.env",
        pushgateway,
        cleanUp: [{ days: ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], at: "02:00" }],
        disk: { everyMinutes: 5, minimumFreePercent: 10 },
      };
    }
    // Short: an unavailable registry is retried for a fraction of it.
    Object.assign(input.monitoring.probes[0], { shards, deadlineSeconds: deadline });
    if (options.workloads === true) {
      input.monitoring.probes[0].workloads = true;
      input.registry.services[0].retention = {
        protectInUse: { clusters: ["cluster"], maximumAgeHours: 2 },
        rules: [{ repositories: "**", keepNewest: 1 }],
      };
    }
  });
  if (period === undefined) return parsed;
  // Shorter than the schema allows, which is intended here.
  const probes = parsed.monitoring.probes.map((probe) => ({
    ...probe,
    periodMinutes: period / 60,
    // A busy machine takes longer than such a short period; this also keeps the retries of an unreadable catalog as long.
    deadlineSeconds: options.deadline ?? 20,
  }));
  return { ...parsed, monitoring: { ...parsed.monitoring, probes: probes as never } };
};

export const startMonitoredRegistry = async (options: MonitoredRegistryOptions): Promise<MonitoredRegistry> => {
  const authority = createCertificateAuthority();
  const port = await freePort();
  const given = loopbackSite(port, options);
  const htpasswd = { ...PLANTED, cost: options.cost ?? 4 };
  const tls = authority.issue(["localhost", "127.0.0.1"]);
  const registry = await startRegistry(options.reverseProxy ? { htpasswd } : { port, htpasswd, tls });
  const proxy = options.reverseProxy ? await startReverseProxy(given.registry, registry.host, tls) : undefined;
  const dispatcher = new Agent({ connect: { ca: readFileSync(authority.certificate, "utf8") } });
  const stack = synthesiseWhole(given);
  const [probe] = clusterProbes(given);
  const { configMap, key } = probe?.certificateAuthority ?? { configMap: "", key: "" };
  const objects: AnyKubernetesObject[] = [
    ...allObjectsOf(stack, {
      registry_probe_username: PLANTED.username,
      registry_probe_password: PLANTED.password,
      registry_probe_push_username: PLANTED.username,
      registry_probe_push_password: PLANTED.password,
    }),
    // The operator's own.
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: configMap, namespace: given.monitoring.namespace.name },
      data: { [key]: readFileSync(authority.certificate, "utf8") },
    },
  ];
  const pod = preparePod(onlyOf(objects, "CronJob").spec.jobTemplate.spec.template, objects);
  return {
    registry,
    site: given,
    stack,
    objects,
    pod,
    credentials: PLANTED,
    authority: authority.certificate,
    pushTarget: { url: registry.url, credentials: PLANTED, dispatcher },
    stop: async () => {
      await dispatcher.close();
      await proxy?.stop();
      await registry.stop();
      pod.remove();
      authority.remove();
    },
  };
};
