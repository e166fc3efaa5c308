import * as z from "zod";
import { ci } from "./ci";
import { address, domainName, duplicates, record, rule } from "./fields";
import { host, isDeferred, isManaged, type ManagedHost } from "./host";
import { type ExternalRegistry, monitoring, type Probe } from "./monitoring";
import { type PrivateService, type Registry, registry, type Service } from "./registry";
import { state } from "./state";

const named = z.object({ name: z.string() });

const distinctHosts = rule(z.object({ hosts: z.array(named.extend({ address: z.string() })) }), ({ hosts }) => {
  const twice = [...duplicates(hosts.map(({ name }) => name)), ...duplicates(hosts.map(({ address }) => address))];
  return twice.length === 0
    ? undefined
    : `host ${twice.join(", ")} is declared more than once; allowed is one host of a name and of an address: rename or remove one`;
});

const registryHostIsManaged = rule(
  z.object({
    hosts: z.array(named.extend({ deferred: z.unknown().optional() })),
    registry: z.object({ host: z.string() }),
  }),
  ({ hosts, registry }) => {
    const found = hosts.find(({ name }) => name === registry.host);
    if (found === undefined)
      return `registry.host names ${JSON.stringify(registry.host)}, which is no host; allowed is ${hosts.map(({ name }) => JSON.stringify(name)).join(", ")}`;
    return found.deferred === undefined
      ? undefined
      : `registry.host names ${JSON.stringify(registry.host)}, which is deferred; allowed is a host that is not: nothing is sent to a deferred one`;
  },
);

const sshPortIsFree = rule(
  z.object({
    hosts: z.array(named.extend({ ssh: z.object({ port: z.number() }).optional() })),
    registry: z.object({ host: z.string(), services: z.array(z.object({ port: z.number() })) }),
  }),
  ({ hosts, registry }) => {
    const ssh = hosts.find(({ name }) => name === registry.host)?.ssh?.port ?? 22;
    return registry.services.some(({ port }) => port === ssh)
      ? `port ${ssh} of registry.services is the SSH port of its host; allowed is any other port`
      : undefined;
  },
);

const probesKnownServices = rule(
  z.object({
    registry: z.object({ services: z.array(named.extend({ role: z.string() })) }),
    monitoring: z.object({
      probes: z.array(named.extend({ service: z.string(), credentials: z.unknown().optional() })),
      externalRegistries: z.array(named).default([]),
    }),
  }),
  ({ registry, monitoring }) => {
    const known = [...registry.services, ...monitoring.externalRegistries].map(({ name }) => name);
    for (const probe of monitoring.probes) {
      const service = registry.services.find(({ name }) => name === probe.service);
      if (!known.includes(probe.service) && registry.services.length > 0)
        return `probe ${probe.name} names the service ${JSON.stringify(probe.service)}, which is none; allowed is ${known.map((name) => JSON.stringify(name)).join(", ")}`;
      if (service?.role === "private" && probe.credentials === undefined)
        return `probe ${probe.name} has no credentials for ${probe.service}, which asks for them; allowed is credentials from "existing-secret" or "variables"`;
    }
    return undefined;
  },
);

/** Metrics and alerts tell registries apart by where clients reach them. */
const externalRegistriesAreOthers = rule(
  z.object({
    registry: z.object({
      services: z.array(named.extend({ port: z.number(), serverName: z.string().optional() })),
    }),
    monitoring: z.object({ externalRegistries: z.array(named.extend({ url: z.string() })) }),
  }),
  ({ registry, monitoring }) => {
    const { externalRegistries } = monitoring;
    const hosts = externalRegistries.filter(({ url }) => URL.canParse(url)).map(({ url }) => new URL(url).host);
    const own = registry.services.map(({ serverName, port }) => `${serverName}:${port}`);
    const twice = [
      ...duplicates([...registry.services, ...externalRegistries].map(({ name }) => name)).filter((name) =>
        externalRegistries.some((each) => each.name === name),
      ),
      ...duplicates([...own, ...hosts]).filter((host) => hosts.includes(host)),
    ];
    return twice.length === 0
      ? undefined
      : `monitoring.externalRegistries has ${twice.join(", ")} more than once, or registry.services has it too; allowed is one registry of a name and of a url: rename or remove one`;
  },
);

const programsRunOnImagesFromElsewhere = rule(
  z.object({
    registry: z.object({
      services: z.array(z.object({ serverName: z.string().optional() })),
      images: z.object({ node: z.object({ repository: z.string() }).optional() }).optional(),
    }),
    monitoring: z.object({ probeImage: z.object({ repository: z.string() }) }),
  }),
  ({ registry, monitoring }) => {
    const images = { "monitoring.probeImage": monitoring.probeImage, "registry.images.node": registry.images?.node };
    for (const [field, image] of Object.entries(images)) {
      const from = image?.repository.split("/", 1)[0]?.split(":", 1)[0];
      if (registry.services.some(({ serverName }) => serverName !== undefined && serverName === from))
        return `${field} comes from ${from}, which it looks after; allowed is another registry: what runs on it has to start when this one is broken`;
    }
    return undefined;
  },
);

const ciPushesToPrivateServices = rule(
  z.object({
    registry: z.object({ services: z.array(named.extend({ role: z.string() })) }),
    ci: z.object({ images: z.array(z.object({ service: z.string() })) }),
  }),
  ({ registry, ci }) => {
    const allowed = registry.services.filter(({ role }) => role === "private").map(({ name }) => name);
    const wrong = ci.images.find(({ service }) => !allowed.includes(service));
    return wrong === undefined || registry.services.length === 0
      ? undefined
      : `ci.images names the service ${JSON.stringify(wrong.service)}, to which nothing can be pushed; allowed is ${allowed.map((name) => JSON.stringify(name)).join(", ") || "none, because no service is private: leave ci out"}`;
  },
);

/** One description of everything; each value stands in it once. */
export const siteSchema = record({
  state,
  dns: record({
    /** A name that the primary resolvers alone know, and its address. */
    internal: record({ name: domainName, address }),
    /** A name that every resolver knows. */
    external: domainName,
  }),
  hosts: z.array(host, { error: "allowed is a list of hosts" }).min(1, { error: "allowed is at least one host" }),
  registry,
  monitoring,
  ci: ci.optional(),
}).check(
  distinctHosts,
  registryHostIsManaged,
  sshPortIsFree,
  probesKnownServices,
  externalRegistriesAreOthers,
  programsRunOnImagesFromElsewhere,
  ciPushesToPrivateServices,
);

/** A site as an operator writes it. */
export type SiteInput = z.input<typeof siteSchema>;
/** A site that passed every rule. */
export type Site = z.output<typeof siteSchema>;

/** Gives an operator's file the type of a site. Nothing is checked here: the loader does, and reports all at once. */
export const defineSite = (site: SiteInput): SiteInput => site;

export const managedHosts = (site: Site): ManagedHost[] => site.hosts.filter(isManaged);
export const deferredHosts = (site: Site) => site.hosts.filter(isDeferred);

const known = <T>(found: T | undefined, what: string): T => {
  // The schema refuses a site in which this could happen.
  if (found === undefined) throw new Error(`the site has no ${what}`);
  return found;
};

/** The host that runs the registry services. */
export const registryHost = (site: Site): ManagedHost =>
  known(
    managedHosts(site).find(({ name }) => name === site.registry.host),
    `host ${site.registry.host}`,
  );

/** What a probe looks at: a service of the site's own, or a registry that somebody else runs. */
export type ProbedService = Service | ExternalRegistry;

export const isExternal = (service: ProbedService): service is ExternalRegistry => "url" in service;

export const probedService = (site: Site, probe: Probe): ProbedService =>
  known<ProbedService>(
    [...site.registry.services, ...site.monitoring.externalRegistries].find(({ name }) => name === probe.service),
    `service ${probe.service}`,
  );

export const privateServices = (registry: Registry): PrivateService[] =>
  registry.services.filter((service) => service.role === "private");

/** How clients outside the host reach a service: `host:port`, the value of the label `instance` of its metrics too. */
export const serviceInstance = (site: Site, service: ProbedService): string => {
  if (isExternal(service)) return new URL(service.url).host;
  const name = service.role === "private" ? service.serverName : registryHost(site).address;
  return `${name.includes(":") ? `[${name}]` : name}:${service.port}`;
};

/** Base URL of a service. nginx speaks TLS for a private registry only. */
export const serviceUrl = (site: Site, service: ProbedService): string =>
  isExternal(service)
    ? service.url
    : `${service.role === "private" ? "https" : "http"}://${serviceInstance(site, service)}`;
