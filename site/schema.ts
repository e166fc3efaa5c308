import * as z from "zod";
import { ci } from "./ci";
import { address, domainName, duplicates, label, line, record } from "./fields";
import { type DnsHost, hasResolver, host, isDeferred, isManaged, type ManagedHost } from "./host";
import type { PinnedImage } from "./image";
import {
  type CleanUp,
  type ClusterProbe,
  type ExternalRegistry,
  isClusterProbe,
  isHostProbe,
  type Kubernetes,
  type Monitoring,
  monitoring,
  type OwnPushgateway,
  type Probe,
  reportName,
} from "./monitoring";
import { type PrivateService, type Registry, registry, type Service } from "./registry";
import { type FieldError, rule } from "./rule";
import { state } from "./state";

/** The description of everything. Each value occurs once, and whatever a site does not have is left out. */
const fields = record({
  /** The name used in the states of its stacks. Default: the name of its file. */
  name: label.optional(),
  state,
  /** The contacts that the documents give to the person on call. */
  contact: record({
    /** Who is responsible for everything in the site: a person, a team, a channel. */
    owner: line,
    /** Whom to call next. Default: no one. */
    escalation: line.optional(),
  }).optional(),
  /** Names with which the hosts verify their resolution; required when hosts have a resolver. */
  dns: record({
    /** A name that only the primary resolvers know, and its address. */
    internal: record({ name: domainName, address }),
    /** A name that every resolver knows. */
    external: domainName,
  }).optional(),
  hosts: z
    .array(host, { error: "allowed is a list of hosts" })
    .min(1, { error: "allowed is at least one host: leave hosts out where there is none" })
    .default([]),
  registry: registry.optional(),
  monitoring: monitoring.optional(),
  ci: ci.optional(),
});

const names = (list: readonly { name: string }[]): string => list.map(({ name }) => JSON.stringify(name)).join(", ");

const describesSomething = rule(fields, ["hosts?", "registry?", "monitoring?"], ({ hosts, registry, monitoring }) =>
  [hosts, registry, monitoring].every((part) => part === undefined || (Array.isArray(part) && part.length === 0))
    ? "there is nothing to deploy; allowed is at least one of hosts, registry and monitoring"
    : undefined,
);

/** Two sites with a shared state store would take over each other's resources. */
const sharedStateHasName = rule(fields, ["name", "state.backend"], ({ name, state }): FieldError[] =>
  name === undefined && state.backend !== "local"
    ? [
        {
          path: ["name"],
          message: `the backend ${JSON.stringify(state.backend)} is shared; allowed is a name that no other site in it has, for example "home"`,
        },
      ]
    : [],
);

const distinctHosts = rule(fields, ["hosts.name", "hosts.address"], ({ hosts = [] }) => {
  const twice = [...duplicates(hosts.map(({ name }) => name)), ...duplicates(hosts.map(({ address }) => address))];
  return twice.length === 0
    ? undefined
    : `host ${twice.join(", ")} is declared more than once; allowed is one host of a name and of an address: rename or remove one`;
});

const hostsHaveWork = rule(
  fields,
  ["hosts.name", "hosts.resolver?", "hosts.deferred?", "registry.host"],
  ({ hosts = [], registry }): FieldError[] =>
    hosts.flatMap(({ name, resolver, deferred }, index) =>
      resolver === undefined && deferred === undefined && name !== registry?.host
        ? [
            {
              path: ["hosts", index],
              message:
                "allowed is a host with a resolver, or one that is deferred with its reason: add one of the two, or remove it; the registry host alone needs neither",
            },
          ]
        : [],
    ),
);

const dnsBesideResolvers = rule(
  fields,
  ["hosts.resolver?", "hosts.deferred?", "dns?"],
  ({ hosts = [], dns }): FieldError[] => {
    const resolving = hosts.some(({ resolver }) => resolver !== undefined);
    if (resolving === (dns !== undefined)) return [];
    if (resolving)
      return [
        {
          path: ["dns"],
          message:
            "allowed is dns with the internal and the external name by which a host with a resolver verifies what it resolves",
        },
      ];
    return hosts.some(({ deferred }) => deferred !== undefined)
      ? []
      : [{ path: ["dns"], message: "no host has a resolver; allowed is to leave dns out, or hosts with a resolver" }];
  },
);

const registryHostIsManaged = rule(
  fields,
  ["hosts.name", "hosts.deferred?", "registry.host"],
  ({ hosts = [], registry }) => {
    if (registry === undefined) return undefined;
    const found = hosts.find(({ name }) => name === registry.host);
    if (found === undefined)
      return `registry.host names the unknown host ${JSON.stringify(registry.host)}; known hosts: ${names(hosts) || "none, so add it to hosts"}`;
    return found.deferred === undefined
      ? undefined
      : `registry.host names ${JSON.stringify(registry.host)}, which is deferred; allowed is a host that is not: nothing is sent to a deferred one`;
  },
);

const portsOfTheHostAreFree = rule(
  fields,
  [
    "hosts.name",
    "hosts.ssh.port",
    "registry.host",
    "registry.services.port",
    "registry.services.metricsPort",
    "registry.ui.port",
    "monitoring.pushgateway",
  ],
  ({ hosts = [], registry, monitoring }) => {
    if (registry === undefined) return undefined;
    const ssh = hosts.find(({ name }) => name === registry.host)?.ssh?.port ?? 22;
    const services = registry.services.flatMap(({ port, metricsPort }) => [port, metricsPort]);
    if (services.includes(ssh))
      return `port ${ssh} of registry.services is the SSH port of its host; allowed is any other port`;
    const pushgateway = monitoring?.pushgateway;
    const others = [...services, registry.ui?.port, ssh];
    return typeof pushgateway === "object" && others.includes(pushgateway.port)
      ? `monitoring.pushgateway.port ${pushgateway.port} is published by another service of the host; allowed is any other port`
      : undefined;
  },
);

/** What a probe on the registry host and a Pushgateway beside the registries require. */
const monitoringHasItsHost = rule(
  fields,
  ["registry.host", "monitoring.kubernetes?", "monitoring.pushgateway", "monitoring.probes.runsOn"],
  ({ registry, monitoring }): FieldError[] => {
    if (monitoring === undefined) return [];
    const { kubernetes, pushgateway, probes } = monitoring;
    const inCluster = (runsOn: Probe["runsOn"] | undefined) => (runsOn ?? (kubernetes && "cluster")) === "cluster";
    const without = (path: (string | number)[], what: string): FieldError[] =>
      registry === undefined
        ? [
            {
              path: ["monitoring", ...path],
              message: `${what} is on the host of the registries, and the site has none; allowed is a registry, or monitoring.kubernetes and what is in the cluster`,
            },
          ]
        : [];
    const own = typeof pushgateway === "object" ? pushgateway : undefined;
    return [
      ...(own === undefined ? [] : without(["pushgateway"], "a Pushgateway of the site's own")),
      ...probes.flatMap(({ runsOn }, index) => (inCluster(runsOn) ? [] : without(["probes", index], "the probe"))),
      ...(own !== undefined && isLoopback(own.listen) && probes.some(({ runsOn }) => inCluster(runsOn))
        ? [
            {
              path: ["monitoring", "pushgateway"],
              message: `it listens at ${own.listen}, which a probe in the cluster cannot reach; allowed is an address of the host in listen`,
            },
          ]
        : []),
    ];
  },
);

/** A cluster-internal name does not resolve on a host. */
const maintenanceReportsSomewhere = rule(
  fields,
  ["registry.maintenance.pushgateway?", "monitoring.kubernetes?", "monitoring.pushgateway"],
  ({ registry, monitoring }): FieldError[] => {
    if (registry?.maintenance === undefined || registry.maintenance.pushgateway !== undefined) return [];
    const inCluster = monitoring?.kubernetes !== undefined && typeof monitoring.pushgateway === "string";
    return monitoring !== undefined && !inCluster
      ? []
      : [
          {
            path: ["registry", "maintenance", "pushgateway"],
            message: `allowed is the URL of a Pushgateway as the host reaches it${inCluster ? ": that of monitoring is named as the cluster reaches it" : ""}, for example "http://pushgateway.example.lan:9091"`,
          },
        ];
  },
);

const probesKnownServices = rule(
  fields,
  [
    "registry.services.name",
    "registry.services.role",
    "monitoring.probes.name",
    "monitoring.probes.service",
    "monitoring.probes.credentials?",
    "monitoring.externalRegistries.name",
  ],
  ({ registry, monitoring }) => {
    const services = registry?.services ?? [];
    const known = [...services, ...(monitoring?.externalRegistries ?? [])];
    for (const probe of monitoring?.probes ?? []) {
      const service = services.find(({ name }) => name === probe.service);
      if (known.every(({ name }) => name !== probe.service) && (registry === undefined || services.length > 0))
        return `probe ${probe.name} names the unknown service ${JSON.stringify(probe.service)}; known services: ${names(known) || "none, so add one to registry or to monitoring.externalRegistries"}`;
      if (service?.role === "private" && probe.credentials === undefined)
        return `probe ${probe.name} has no credentials for ${probe.service}, which asks for them; allowed is credentials from "existing-secret" or "variables" in the cluster, from "file" on the registry host`;
    }
    return undefined;
  },
);

/** A cache holds only what its upstream has, and a report that no clean-up reads would protect nothing. */
const workloadsAreOfPrivateRegistries = rule(
  fields,
  [
    "registry.services.name",
    "registry.services.role",
    "registry.services.retention.protectInUse",
    "monitoring.cluster",
    "monitoring.probes.service",
    "monitoring.probes.workloads",
    "monitoring.externalRegistries.name",
    "monitoring.externalRegistries.role",
    "monitoring.externalRegistries.cleanUp.retention.protectInUse",
  ],
  ({ registry, monitoring }): FieldError[] =>
    (monitoring?.probes ?? []).flatMap(({ service: name, workloads }, index): FieldError[] => {
      if (workloads !== true) return [];
      const services = registry?.services ?? [];
      const registries = monitoring?.externalRegistries ?? [];
      const service = services.find((each) => each.name === name);
      const external = registries.find((each) => each.name === name);
      if ((service ?? external)?.role === "proxy")
        return [
          {
            path: ["monitoring", "probes", index, "workloads"],
            message: `${name} is a cache, which may lack anything; allowed is false: the images of a cluster are verified where they come from`,
          },
        ];
      const kept = service?.role === "private" ? service.retention : external?.cleanUp?.retention;
      const cluster = reportName(monitoring ?? {});
      return kept?.protectInUse === undefined || kept.protectInUse.clusters.includes(cluster)
        ? []
        : [
            {
              path:
                external === undefined
                  ? ["registry", "services", services.findIndex((each) => each.name === name)]
                  : ["monitoring", "externalRegistries", registries.indexOf(external), "cleanUp"],
              message: `retention.protectInUse does not name ${JSON.stringify(cluster)}, whose probe reports what runs; allowed is to add it to its clusters`,
            },
          ];
    }),
);

/** Metrics and alerts identify registries by the address under which clients reach them. */
const externalRegistriesAreOthers = rule(
  fields,
  [
    "registry.services.name",
    "registry.services.role",
    "registry.services.port",
    "registry.services.serverName",
    "monitoring.externalRegistries.name",
    "monitoring.externalRegistries.url",
  ],
  ({ registry, monitoring }) => {
    const services = registry?.services ?? [];
    const external = monitoring?.externalRegistries ?? [];
    const hosts = external.filter(({ url }) => URL.canParse(url)).map(({ url }) => new URL(url).host);
    const own = services.map((service) => `${service.role === "private" ? service.serverName : ""}:${service.port}`);
    const twice = [
      ...duplicates([...services, ...external].map(({ name }) => name)).filter((name) =>
        external.some((each) => each.name === name),
      ),
      ...duplicates([...own, ...hosts]).filter((host) => hosts.includes(host)),
    ];
    return twice.length === 0
      ? undefined
      : `monitoring.externalRegistries has ${twice.join(", ")} more than once, or registry.services has it too; allowed is one registry of a name and of a url: rename or remove one`;
  },
);

const programsRunOnImagesFromElsewhere = rule(
  fields,
  [
    "registry.services.role",
    "registry.services.serverName",
    "registry.images.node.repository",
    "monitoring.probeImage.repository",
  ],
  ({ registry, monitoring }) => {
    const images = { "monitoring.probeImage": monitoring?.probeImage, "registry.images.node": registry?.images.node };
    for (const [field, image] of Object.entries(images)) {
      const from = image?.repository.split("/", 1)[0]?.split(":", 1)[0];
      if (registry?.services.some((service) => service.role === "private" && service.serverName === from))
        return `${field} is pulled from ${from}, the registry it monitors; use another, so that it can start while that one is down`;
    }
    return undefined;
  },
);

/** On the registry host warden runs in a container: the runbooks' commands, the maintenance, the probe. */
const hostHasImageOfNode = rule(
  fields,
  [
    "registry.host",
    "registry.images.node?",
    "monitoring.probeImage?",
    "monitoring.kubernetes?",
    "monitoring.probes.runsOn",
  ],
  ({ registry, monitoring }): FieldError[] => {
    if (registry === undefined || registry.images.node !== undefined) return [];
    const onHost = monitoring?.probes.some(
      ({ runsOn }) => (runsOn ?? (monitoring.kubernetes ? "cluster" : "registry-host")) === "registry-host",
    );
    return monitoring?.probeImage !== undefined && !onHost
      ? []
      : [
          {
            path: ["registry", "images", "node"],
            message: "allowed is a pinned Node image with a complete version, which runs warden on the host: add it",
          },
        ];
  },
);

const ciPushesToPrivateServices = rule(
  fields,
  ["registry.services.name", "registry.services.role", "ci.images.service"],
  ({ registry, ci }) => {
    const services = registry?.services;
    const allowed = (services ?? []).filter(({ role }) => role === "private");
    const wrong = ci?.images.find(({ service }) => allowed.every(({ name }) => name !== service));
    return wrong === undefined || services?.length === 0
      ? undefined
      : `ci.images names the service ${JSON.stringify(wrong.service)}, to which nothing can be pushed; allowed is ${names(allowed) || "none, because no service is private: leave ci out"}`;
  },
);

export const siteSchema = fields.check(
  describesSomething,
  sharedStateHasName,
  distinctHosts,
  hostsHaveWork,
  dnsBesideResolvers,
  registryHostIsManaged,
  portsOfTheHostAreFree,
  monitoringHasItsHost,
  maintenanceReportsSomewhere,
  probesKnownServices,
  workloadsAreOfPrivateRegistries,
  externalRegistriesAreOthers,
  programsRunOnImagesFromElsewhere,
  hostHasImageOfNode,
  ciPushesToPrivateServices,
);

/** A site as an operator writes it. */
export type SiteInput = z.input<typeof siteSchema>;
/** A site that passed every rule, with its name. */
export type Site = z.output<typeof siteSchema> & { readonly name: string };

/** A site with registries of its own. */
export type RegistrySite = Site & { readonly registry: Registry };
/** A site that monitors registries. */
export type MonitoredSite = Site & { readonly monitoring: Monitoring };
/** A site that uses a cluster. */
export type ClusterSite = Site & {
  readonly monitoring: Monitoring & {
    readonly kubernetes: Kubernetes;
    readonly namespace: NonNullable<Monitoring["namespace"]>;
  };
};
/** The names with which hosts verify their own resolvers. */
export type Dns = NonNullable<Site["dns"]>;
/** A site that configures DNS. */
export type DnsSite = Site & { readonly dns: Dns };

export const hasRegistry = (site: Site): site is RegistrySite => site.registry !== undefined;
export const isMonitored = (site: Site): site is MonitoredSite => site.monitoring !== undefined;
// The schema rejects a cluster without a namespace, and a resolver without dns.
export const hasCluster = (site: Site): site is ClusterSite => site.monitoring?.kubernetes !== undefined;
export const hasDns = (site: Site): site is DnsSite => site.dns !== undefined;

/** Types an operator's file as a site. Nothing is checked here: the loader checks it and reports all errors together. */
export const defineSite = (site: SiteInput): SiteInput => site;

export const managedHosts = (site: Site): ManagedHost[] => site.hosts.filter(isManaged);
export const dnsHosts = (site: Site): DnsHost[] => managedHosts(site).filter(hasResolver);
export const deferredHosts = (site: Site) => site.hosts.filter(isDeferred);

const known = <T>(found: T | undefined, what: string): T => {
  // The schema rejects a site in which this could happen.
  if (found === undefined) throw new Error(`the site has no ${what}`);
  return found;
};

/** The host that runs the registry services. */
export const registryHost = (site: RegistrySite): ManagedHost =>
  known(
    managedHosts(site).find(({ name }) => name === site.registry.host),
    `host ${site.registry.host}`,
  );

/** Whether a host is the one that runs the registry services. */
export const runsRegistry = (site: Site, { name }: { readonly name: string }): site is RegistrySite =>
  site.registry?.host === name;

/** The image in which warden runs on the registry host. */
export const wardenImage = ({ registry, monitoring }: RegistrySite): PinnedImage =>
  known(registry.images.node ?? monitoring?.probeImage, "image of Node");

/** What a probe monitors: one of the site's own services, or an external registry. */
export type ProbedService = Service | ExternalRegistry;

export const isExternal = (service: ProbedService): service is ExternalRegistry => "url" in service;

export const probedService = ({ registry, monitoring }: Site, probe: Probe): ProbedService =>
  known<ProbedService>(
    [...(registry?.services ?? []), ...(monitoring?.externalRegistries ?? [])].find(
      ({ name }) => name === probe.service,
    ),
    `service ${probe.service}`,
  );

export const clusterProbes = ({ monitoring }: Site) => (monitoring?.probes ?? []).filter(isClusterProbe);
export const hostProbes = ({ monitoring }: Site) => (monitoring?.probes ?? []).filter(isHostProbe);

export const privateServices = (registry: Registry | undefined): PrivateService[] =>
  (registry?.services ?? []).filter((service) => service.role === "private");

export const isLoopback = (address: string): boolean => address.startsWith("127.") || address === "::1";
const isEveryAddress = (address: string): boolean => address === "0.0.0.0" || address === "::";

const inUrl = (address: string): string => (address.includes(":") ? `[${address}]` : address);

/** The Pushgateway that is part of the site, if any. */
export const ownPushgateway = ({ monitoring }: Site): OwnPushgateway | undefined =>
  typeof monitoring?.pushgateway === "object" ? monitoring.pushgateway : undefined;

/** Base URL of the Pushgateway for everything outside its host: the cluster, and Prometheus. */
export const pushgatewayUrl = (site: MonitoredSite): string => {
  const { pushgateway } = site.monitoring;
  if (typeof pushgateway === "string") return pushgateway;
  const host = known(hasRegistry(site) ? registryHost(site) : undefined, "host of the registries");
  return `http://${inUrl(isEveryAddress(pushgateway.listen) ? host.address : pushgateway.listen)}:${pushgateway.port}`;
};

/** Base URL of the Pushgateway as the registry host reaches it. */
export const pushgatewayUrlOnHost = (site: Site): string => {
  const own = ownPushgateway(site);
  const given = site.registry?.maintenance?.pushgateway;
  if (given !== undefined) return given;
  if (own === undefined) return known(isMonitored(site) ? pushgatewayUrl(site) : undefined, "Pushgateway");
  const { listen, port } = own;
  return `http://${isEveryAddress(listen) ? (listen === "::" ? "[::1]" : "127.0.0.1") : inUrl(listen)}:${port}`;
};

/** Base URL of the Pushgateway as a host reaches it; undefined if the host cannot reach one. */
export const pushgatewayUrlFrom = (site: Site, host: ManagedHost): string | undefined => {
  const { registry, monitoring } = site;
  const own = ownPushgateway(site);
  const isNamedForHosts =
    registry?.maintenance?.pushgateway !== undefined || (isMonitored(site) && monitoring?.kubernetes === undefined);
  if (own === undefined) return isNamedForHosts ? pushgatewayUrlOnHost(site) : undefined;
  if (runsRegistry(site, host)) return pushgatewayUrlOnHost(site);
  return isMonitored(site) && !isLoopback(own.listen) ? pushgatewayUrl(site) : undefined;
};

/** How clients outside the host reach a service: `host:port`, which is also the label `instance` of its metrics. */
export const serviceInstance = (site: Site, service: ProbedService): string => {
  if (isExternal(service)) return new URL(service.url).host;
  const host = known(hasRegistry(site) ? registryHost(site) : undefined, "host of the registries");
  return `${inUrl(service.role === "private" ? service.serverName : host.address)}:${service.port}`;
};

/** The hosts under which image references name a service: the address that clients use, and that of its host. */
export const imageHosts = (site: Site, service: Service): string[] => {
  const host = known(hasRegistry(site) ? registryHost(site) : undefined, "host of the registries");
  return [...new Set([serviceInstance(site, service), `${inUrl(host.address)}:${service.port}`])];
};

/** Whether the clean-up of a probe's registry depends on the probe's workload report. */
export const mustReport = (site: Site, probe: Probe): boolean => {
  if (!probe.workloads) return false;
  const service = probedService(site, probe);
  if (isExternal(service)) return service.cleanUp?.retention.protectInUse !== undefined;
  return service.role === "private" && service.retention?.protectInUse !== undefined;
};

/** An external registry that is cleaned up, and the probe that monitors it. */
export interface CleanedUp {
  readonly service: ExternalRegistry;
  readonly cleanUp: CleanUp;
  readonly probe: ClusterProbe;
}

/** The registries that are cleaned up over HTTP. */
export const cleanUps = (site: Site): CleanedUp[] =>
  (site.monitoring?.externalRegistries ?? []).flatMap((service) => {
    const { name, cleanUp } = service;
    if (cleanUp === undefined) return [];
    const probe = clusterProbes(site).find((each) => each.service === name);
    return [{ service, cleanUp, probe: known(probe, `probe of ${name} in the cluster`) }];
  });

/** Base URL of a service. nginx speaks TLS for a private registry only. */
export const serviceUrl = (site: Site, service: ProbedService): string =>
  isExternal(service)
    ? service.url
    : `${service.role === "private" ? "https" : "http"}://${serviceInstance(site, service)}`;
