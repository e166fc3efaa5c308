import { join } from "node:path/posix";
import * as z from "zod";
import {
  absolutePath,
  address,
  baseUrl,
  domainName,
  duplicates,
  hours,
  label,
  line,
  matching,
  port,
  record,
  refused,
} from "./fields";
import { completeVersion, pinnedImage } from "./image";
import { maintenance } from "./maintenance";
import { retention } from "./retention";
import { rule } from "./rule";

const serviceName = label.refine((name) => !["ui", "nginx", "pushgateway"].includes(name), {
  error:
    'allowed is any other label: "registry-ui", "registry-nginx" and "registry-pushgateway" are containers of the stack itself',
});

const lockstep = refused(
  "allowed is to leave it out: the registry services move in lockstep, set registry.images.registry instead",
);

/** Where a service keeps its images. */
const data = {
  /** A directory on the host. @default `<directory>/data/<name>` */
  data: absolutePath.optional(),
  /** An existing named Docker volume, for example of a stack that is taken over. */
  volume: matching(
    /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/,
    'the name of a Docker volume, as "docker volume ls" prints it, for example "registry_data"',
  ).optional(),
};

/** Publishes the registry's debug address: /metrics, and also /debug/pprof, neither with authentication. */
const metrics = {
  metricsPort: port.optional(),
  /** The host address on which that port listens. The default is reachable from the host only. */
  metricsAddress: address.default("127.0.0.1"),
};

const proxyService = record({
  /** The compose service and its container are called `registry-<name>`. */
  name: serviceName,
  role: z.literal("proxy"),
  upstream: baseUrl(["https", "http"]),
  port,
  ...data,
  ...metrics,
  /** The operator's env file, mode 0600, with REGISTRY_PROXY_USERNAME and REGISTRY_PROXY_PASSWORD. */
  credentialsFile: absolutePath.optional(),
  image: lockstep,
  blobCache: refused(
    "allowed is to leave it out: a pull-through registry is itself the cache, and one in front answers 200 for what it has lost",
  ),
});

const privateService = record({
  name: serviceName,
  role: z.literal("private"),
  port,
  ...data,
  ...metrics,
  /** The name in the certificate; clients reach the registry as `<serverName>:<port>`. */
  serverName: domainName,
  /** The operator's files on the host; their contents are never read into a plan. */
  tls: record({ certificate: absolutePath, key: absolutePath }),
  htpasswd: absolutePath,
  purgeUploadsAfterHours: hours(1, 8760),
  /** What a clean-up keeps. */
  retention: retention.optional(),
  image: lockstep,
  blobCache: refused(
    "allowed is to leave it out: a cached blob is served without credentials, and still served when the registry has lost it",
  ),
});

/** The default account of the probes. The reverse proxy of a private registry grants it read access only. */
export const PROBE_ACCOUNT = "registry-probe";

/** Paths of the stack's files on its host. */
export const registryPaths = (directory: string) => ({
  compose: join(directory, "docker-compose.yml"),
  nginx: join(directory, "nginx.conf"),
  config: (name: string) => join(directory, `config-${name}.yml`),
  retention: (name: string) => join(directory, `retention-${name}.json`),
  /** A label contains no dot, so this cannot be the file of another service. */
  readOnlyConfig: (name: string) => join(directory, `config-${name}.read-only.yml`),
  readOnlyCompose: (name: string) => join(directory, `docker-compose.${name}.read-only.yml`),
  warden: join(directory, "warden.mjs"),
  probe: join(directory, "probe.mjs"),
  maintenance: join(directory, "maintenance.sh"),
  maintenanceSettings: join(directory, "maintenance.settings"),
  serviceSettings: (name: string) => join(directory, `maintenance.${name}.settings`),
});

const fields = record({
  /** The host that runs the stack. */
  host: label,
  directory: absolutePath,
  /** systemd unit that starts the stack at boot. */
  unit: z
    .string({ error: 'allowed is a service unit, for example "docker-compose-registry.service"' })
    .regex(/^[A-Za-z0-9][\w.@-]*\.service$/, {
      error: 'allowed is a service unit, for example "docker-compose-registry.service"',
    }),
  /** Compose project and its bridge network; unchanged when an existing stack is taken over. */
  project: label,
  network: label,
  /** `node` is a stock Node image, in which warden runs on the host. */
  images: record({
    registry: pinnedImage,
    nginx: pinnedImage,
    ui: pinnedImage.optional(),
    node: pinnedImage.optional(),
  }),
  services: z
    .array(
      z.discriminatedUnion("role", [proxyService, privateService], {
        error: 'allowed is a service of role "proxy" or "private"',
      }),
      { error: "allowed is a list of services" },
    )
    .min(1, { error: "allowed is at least one service" }),
  ui: record({ port, browses: matching(/^[a-z0-9-]+$/, "the name of a service") }).optional(),
  /** The operator's copy of the data on another machine, from which a restore starts. */
  offsiteCopy: record({
    title: line,
    /** How old the copy may be, and thus how many hours of pushes a restore may lose. */
    maximumAgeHours: hours(1, 8760),
  }).optional(),
  /** Default: none, so nothing is ever removed. */
  maintenance: maintenance.optional(),
});

const distinctPorts = rule(fields, ["services.port", "services.metricsPort", "ui.port"], ({ services, ui }) => {
  const published = [...services.flatMap((service) => [service.port, service.metricsPort]), ui?.port];
  const twice = duplicates(published.filter((each) => each !== undefined));
  return twice.length === 0
    ? undefined
    : `port ${twice.join(", ")} is published more than once; allowed is one service a port: give each its own`;
});

const distinctNames = rule(fields, ["services.name"], ({ services }) => {
  const twice = duplicates(services.map(({ name }) => name));
  return twice.length === 0
    ? undefined
    : `service ${twice.join(", ")} is declared more than once; allowed is one of a name: rename or remove one`;
});

const oneStoreEach = rule(
  fields,
  ["directory", "services.name", "services.data", "services.volume"],
  ({ directory, services }) => {
    const undecided = services.filter(({ data, volume }) => data !== undefined && volume !== undefined);
    if (undecided.length > 0)
      return `service ${undecided.map(({ name }) => name).join(", ")} has both data and volume; allowed is one of the two: name where its images are`;
    // Duplicate names are reported by another rule.
    const different = services.filter(({ name }, index) => services.findIndex((each) => each.name === name) === index);
    const twice = duplicates(different.map((service) => dataDirectory({ directory }, service)));
    return twice.length === 0
      ? undefined
      : `${twice.join(", ")} holds the data of more than one service; allowed is one service a store: give each its own`;
  },
);

const distinctPaths = rule(
  fields,
  [
    "directory",
    "services.name",
    "services.role",
    "services.htpasswd",
    "services.tls",
    "services.credentialsFile",
    "maintenance.credentialsFile",
  ],
  ({ directory, services, maintenance }) => {
    const paths = registryPaths(directory);
    const generated = [
      paths.compose,
      paths.nginx,
      paths.warden,
      paths.probe,
      paths.maintenance,
      paths.maintenanceSettings,
      ...services.flatMap(({ name }) => [
        paths.config(name),
        paths.retention(name),
        paths.readOnlyConfig(name),
        paths.readOnlyCompose(name),
        paths.serviceSettings(name),
      ]),
    ];
    const owned = [
      ...services.flatMap((service) =>
        service.role === "private"
          ? [service.htpasswd, service.tls.certificate, service.tls.key]
          : [service.credentialsFile],
      ),
      maintenance?.credentialsFile,
    ];
    const twice = duplicates([...new Set(generated), ...owned.filter((each) => each !== undefined)]);
    return twice.length === 0
      ? undefined
      : `path ${twice.join(", ")} has more than one use; allowed is one use a path, and none of the generated files: give each its own`;
  },
);

const browsesKnownService = rule(fields, ["services.name", "ui.browses"], ({ services, ui }) =>
  ui === undefined || services.length === 0 || services.some(({ name }) => name === ui.browses)
    ? undefined
    : `ui.browses names ${JSON.stringify(ui.browses)}, which is no service; allowed is ${services.map(({ name }) => JSON.stringify(name)).join(", ")}`,
);

const uiHasImage = rule(fields, ["ui?", "images.ui?"], ({ ui, images }) =>
  ui === undefined || images.ui !== undefined
    ? undefined
    : "ui is set without an image; allowed is a pinned images.ui beside it",
);

const maintenanceHasImage = rule(fields, ["maintenance?", "images.node?"], ({ maintenance, images }) =>
  maintenance === undefined || images.node !== undefined
    ? undefined
    : "maintenance is set without an image; allowed is a pinned images.node beside it, which runs warden on the host",
);

const cleanUpKnowsWhatToKeep = rule(
  fields,
  ["services.name", "services.role", "services.retention?", "maintenance.cleanUp?"],
  ({ services, maintenance }) => {
    if (maintenance?.cleanUp === undefined) return undefined;
    const undecided = services.filter((service) => service.role === "private" && service.retention === undefined);
    return undecided.length === 0
      ? undefined
      : `maintenance.cleanUp is set and ${undecided.map(({ name }) => name).join(", ")} has no retention; allowed is a retention for each private service: say what it keeps`;
  },
);

const jobsHaveWork = rule(
  fields,
  ["services.role", "maintenance.cleanUp?", "maintenance.caches?"],
  ({ services, maintenance }) => {
    const has = (role: string) => services.some((service) => service.role === role);
    if (services.length === 0) return undefined;
    if (maintenance?.cleanUp !== undefined && !has("private"))
      return "maintenance.cleanUp is set and no service is private; allowed is to leave it out: a cache drops what is not asked for";
    if (maintenance?.caches !== undefined && !has("proxy"))
      return "maintenance.caches is set and no service is a pull-through cache; allowed is to leave it out";
    return undefined;
  },
);

/** `server … resolve` in an upstream block came with nginx 1.27.3. https://nginx.org/en/CHANGES */
const nginxResolvesUpstreams = rule(fields, ["images.nginx.tag"], ({ images }) => {
  const [major = 0, minor = 0, patch = 0] = (images.nginx.tag.match(/\d+/g) ?? []).map(Number);
  const recent = major !== 1 ? major > 1 : minor !== 27 ? minor > 27 : patch >= 3;
  return recent || !completeVersion.test(images.nginx.tag)
    ? undefined
    : `images.nginx.tag is ${JSON.stringify(images.nginx.tag)}; allowed is 1.27.3 or newer: an older one keeps the address of a recreated container until it is reloaded`;
});

export const registry = fields.check(
  distinctPorts,
  distinctNames,
  distinctPaths,
  oneStoreEach,
  browsesKnownService,
  uiHasImage,
  nginxResolvesUpstreams,
  maintenanceHasImage,
  cleanUpKnowsWhatToKeep,
  jobsHaveWork,
);

export type Registry = z.output<typeof registry>;
export type Service = Registry["services"][number];
export type ProxyService = Extract<Service, { role: "proxy" }>;
export type PrivateService = Extract<Service, { role: "private" }>;

/** Where Docker's "local" driver stores its volumes, unless the daemon has another `data-root`. */
const VOLUMES = "/var/lib/docker/volumes";

/** Where a service's images are on the host: the folder that contains `docker/registry/v2`. */
export const dataDirectory = (
  { directory }: { readonly directory: string },
  { name, data, volume }: { readonly name: string; readonly data?: string; readonly volume?: string },
): string => (volume === undefined ? (data ?? join(directory, "data", name)) : join(VOLUMES, volume, "_data"));

/** Compose service, container and host name of a registry service. */
export const containerName = (service: Pick<Service, "name">): string => `registry-${service.name}`;
