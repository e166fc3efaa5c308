import { createHash } from "node:crypto";
import { stringify } from "yaml";
import { imageReference } from "../site/image";
import type { OwnPushgateway } from "../site/monitoring";
import {
  containerName,
  dataDirectory,
  type PrivateService,
  type Registry,
  registryPaths,
  type Service,
} from "../site/registry";
import { privateServices } from "../site/schema";
import { GENERATED_COMMENT } from "./generated";
import { nginxConfiguration, tlsPaths } from "./nginx";
import { CONFIGURATION, DATA, HTPASSWD, registryConfiguration } from "./registry-configuration";

export const NGINX = "nginx";
export const UI = "registry-ui";
/** The service with the profile `maintenance`; it is started with `run`, never with `up`. */
export const WARDEN = "warden";
const UI_PORT = 80;

/** The fields of a service that are used here. https://github.com/compose-spec/compose-spec/blob/main/spec.md */
export interface ComposeService {
  readonly image: string;
  /** For services started with `up`; a container started with `run` gets a name of its own. */
  readonly container_name?: string;
  readonly command?: readonly string[];
  readonly restart: "unless-stopped" | "no";
  readonly networks: readonly string[];
  /** A service without a profile is always started. */
  readonly profiles?: readonly ["maintenance"];
  readonly entrypoint?: readonly string[];
  readonly read_only?: boolean;
  readonly tmpfs?: readonly string[];
  readonly cap_drop?: readonly ["ALL"];
  readonly cap_add?: readonly string[];
  readonly security_opt?: readonly ["no-new-privileges:true"];
  /** "[<address>:]<published>:<container port>", both TCP. */
  readonly ports?: readonly string[];
  /** `<name>=<address>` */
  readonly extra_hosts?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly env_file?: readonly string[];
  readonly volumes?: readonly (BindMount | VolumeMount)[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly logging?: { readonly driver: string; readonly options: Readonly<Record<string, string>> };
  readonly healthcheck?: {
    readonly test: readonly ["CMD-SHELL", string];
    readonly interval: string;
    readonly timeout: string;
    readonly retries: number;
    readonly start_period: string;
    /** Until the first success within start_period; Docker 25 is the first to know it. */
    readonly start_interval: string;
  };
}

/** A missing source is an error; with the short syntax, Docker would create a directory there. */
export interface BindMount {
  readonly type: "bind";
  readonly source: string;
  readonly target: string;
  readonly read_only: boolean;
  readonly bind: { readonly create_host_path: false };
}

/** A Docker volume, by its name in the file. */
export interface VolumeMount {
  readonly type: "volume";
  readonly source: string;
  readonly target: string;
  readonly read_only: boolean;
}

export interface ComposeFile {
  readonly name: string;
  readonly services: Readonly<Record<string, ComposeService>>;
  /** Existing volumes: compose neither creates nor removes them. */
  readonly volumes?: Readonly<Record<string, { readonly external: true; readonly name: string }>>;
  readonly networks: Readonly<Record<string, { readonly driver: "bridge" }>>;
}

export const bind = (source: string, target: string, access: "read" | "write" = "read"): BindMount => ({
  type: "bind",
  source,
  target,
  read_only: access === "read",
  bind: { create_host_path: false },
});

/** The mount with a service's images. */
const dataMount = (
  registry: Registry,
  service: Service,
  target: string,
  access: "read" | "write",
): BindMount | VolumeMount =>
  service.volume === undefined
    ? bind(dataDirectory(registry, service), target, access)
    : { type: "volume", source: service.volume, target, read_only: access === "read" };

/**
 * Restrictions for every container: a read-only image, no capabilities, no new privileges. Logs are rotated, because a log that
 * grows forever fills the disk of the registries.
 */
const HARDENED = {
  read_only: true,
  cap_drop: ["ALL"],
  security_opt: ["no-new-privileges:true"],
  logging: { driver: "json-file", options: { "max-size": "10m", "max-file": "5" } },
} as const satisfies Partial<ComposeService>;

/** An address in the form that precedes a port. */
const bracketed = (address: string): string => (address.includes(":") ? `[${address}]` : address);

const publishedMetrics = ({ metricsPort, metricsAddress }: Service): Pick<ComposeService, "ports"> =>
  metricsPort === undefined
    ? {}
    : {
        ports: [`${bracketed(metricsAddress)}:${metricsPort}:${metricsPort}`],
      };

/** Compose only notices changes in its own file: a digest of the mounted files makes it recreate exactly what changed. */
const configurationLabel = (content: string) => ({
  "registry-warden.configuration": `sha256:${createHash("sha256").update(content).digest("hex")}`,
});

/**
 * What starts is looked at twice a second until it answers, because nginx waits for the registries, and a delivery for all
 * of them: with Docker's own five seconds, each restart of a registry would last as long. What serves is looked at less
 * often, because Docker starts a program in the container each time: of six registries every five seconds, that is a
 * fifteenth of a core.
 */
const CHECK_TIMES = {
  interval: "20s",
  timeout: "5s",
  retries: 2,
  start_period: "30s",
  start_interval: "500ms",
};

/**
 * A pull-through registry must answer 200; a private one may answer anything, because it asks for credentials. wget is the
 * busybox version in the image.
 */
const healthcheck = ({ role, port }: Service): NonNullable<ComposeService["healthcheck"]> => {
  const url = `http://127.0.0.1:${port}/v2/`;
  return {
    test: [
      "CMD-SHELL",
      role === "proxy" ? `wget -q -O /dev/null ${url}` : `wget -S -O /dev/null ${url} 2>&1 | grep -q 'HTTP/1'`,
    ],
    ...CHECK_TIMES,
  };
};

const registryService = (registry: Registry, service: Service): ComposeService => {
  const paths = registryPaths(registry.directory);
  return {
    image: imageReference(registry.images.registry),
    container_name: containerName(service),
    // Set explicitly, because the version 3 image defaults to another path, with a configuration that requires no password.
    command: [CONFIGURATION],
    restart: "unless-stopped",
    networks: [registry.network],
    ...publishedMetrics(service),
    ...(service.role === "proxy" && service.credentialsFile !== undefined
      ? { env_file: [service.credentialsFile] }
      : {}),
    volumes: [
      dataMount(registry, service, DATA, "write"),
      bind(paths.config(service.name), CONFIGURATION),
      ...(service.role === "private" ? [bind(service.htpasswd, HTPASSWD)] : []),
    ],
    labels: configurationLabel(registryConfiguration(service)),
    healthcheck: healthcheck(service),
    ...HARDENED,
  };
};

/**
 * The reverse proxy depends on no other service: it starts without its upstreams and answers 502 for missing ones.
 */
const nginxService = (registry: Registry): ComposeService => ({
  image: imageReference(registry.images.nginx),
  container_name: "registry-nginx",
  // nginx opens its log before it reads that it should use standard error: the compiled-in path is not writable.
  command: ["nginx", "-e", "stderr", "-g", "daemon off;"],
  restart: "unless-stopped",
  networks: [registry.network],
  ports: registry.services.map(({ port }) => `${port}:${port}`),
  volumes: [
    bind(registryPaths(registry.directory).nginx, "/etc/nginx/nginx.conf"),
    ...registry.services.flatMap((service) =>
      service.role === "private"
        ? [bind(service.tls.certificate, tlsPaths(service).certificate), bind(service.tls.key, tlsPaths(service).key)]
        : [],
    ),
  ],
  labels: configurationLabel(nginxConfiguration(registry)),
  ...HARDENED,
  tmpfs: ["/tmp"],
});

const uiService = (registry: Registry, title: string): Record<string, ComposeService> => {
  const { ui, images, network, services } = registry;
  const browsed = services.find(({ name }) => name === ui?.browses);
  if (ui === undefined || images.ui === undefined || browsed === undefined) return {};
  return {
    [UI]: {
      image: imageReference(images.ui),
      container_name: UI,
      restart: "unless-stopped",
      networks: [network],
      ports: [`${ui.port}:${UI_PORT}`],
      // https://github.com/Joxit/docker-registry-ui#available-options
      environment: {
        SINGLE_REGISTRY: "true",
        REGISTRY_TITLE: title,
        NGINX_PROXY_PASS_URL: `http://${containerName(browsed)}:${browsed.port}`,
        DELETE_IMAGES: "false",
      },
      ...HARDENED,
      // At startup it writes its configuration into its own image, over files of nginx's user, and it runs its workers as
      // that user.
      read_only: false,
      cap_add: ["CHOWN", "DAC_OVERRIDE", "NET_BIND_SERVICE", "SETGID", "SETUID"],
    },
  };
};

/** The project's own Pushgateway, if the site has one, as the project's containers reach it. */
export const PUSHGATEWAY = {
  service: "pushgateway",
  container: "registry-pushgateway",
  url: "http://registry-pushgateway:9091",
} as const;
const PUSHGATEWAY_PORT = 9091;

/**
 * It stores nothing on disk: every report is repeated within its period. wget is the busybox version in the image.
 *
 * https://github.com/prometheus/pushgateway#configuration
 */
export const pushgatewayService = (
  { network }: Registry,
  pushgateway: OwnPushgateway | undefined,
): Record<string, ComposeService> => {
  if (pushgateway === undefined) return {};
  const { image, listen, port } = pushgateway;
  return {
    [PUSHGATEWAY.service]: {
      image: imageReference(image),
      container_name: PUSHGATEWAY.container,
      restart: "unless-stopped",
      networks: [network],
      ports: [`${bracketed(listen)}:${port}:${PUSHGATEWAY_PORT}`],
      ...HARDENED,
      healthcheck: {
        test: ["CMD-SHELL", `wget -q -O /dev/null http://127.0.0.1:${PUSHGATEWAY_PORT}/-/healthy`],
        ...CHECK_TIMES,
      },
    },
  };
};

const PROGRAM = "/opt/warden.mjs";

/** The paths of a service's data and policy in the warden container. */
export const wardenPaths = (name: string) => ({
  data: `/data/${name}`,
  retention: `/etc/warden/retention-${name}.json`,
});

/**
 * warden in a stock Node image, so that the host needs no Node. It can only read the data and, for a private registry, change it;
 * root without any capability owns those files. The account is the operator's.
 */
const wardenService = (registry: Registry): Record<string, ComposeService> => {
  const { images, maintenance, network, services } = registry;
  if (maintenance === undefined || images.node === undefined) return {};
  const paths = registryPaths(registry.directory);
  return {
    [WARDEN]: {
      image: imageReference(images.node),
      restart: "no",
      profiles: ["maintenance"],
      networks: [network],
      entrypoint: ["node", PROGRAM],
      env_file: [maintenance.credentialsFile],
      volumes: [
        bind(paths.warden, PROGRAM),
        ...services.flatMap((service) => [
          dataMount(registry, service, wardenPaths(service.name).data, service.role === "private" ? "write" : "read"),
          ...(service.role === "private" && service.retention !== undefined
            ? [bind(paths.retention(service.name), wardenPaths(service.name).retention)]
            : []),
        ]),
      ],
      ...HARDENED,
      // repair stores here what it fetches from another registry, until it is complete.
      tmpfs: ["/tmp"],
    },
  };
};

/** Makes a private registry read-only; compose reads it after the main file. */
export const readOnlyOverride = (registry: Registry, service: PrivateService) => ({
  services: {
    [containerName(service)]: {
      volumes: [bind(registryPaths(registry.directory).readOnlyConfig(service.name), CONFIGURATION)],
      labels: configurationLabel(registryConfiguration(service, "read-only")),
    },
  },
});

/** The private registries that become read-only during a clean-up. */
export const cleanedUp = (registry: Registry): PrivateService[] =>
  registry.maintenance?.cleanUp === undefined ? [] : privateServices(registry);

/** The services that run permanently. */
export const servicesUp = ({ services }: ComposeFile): Record<string, ComposeService & { container_name: string }> =>
  Object.fromEntries(
    Object.entries(services).flatMap(([name, service]) =>
      service.container_name === undefined ? [] : [[name, { ...service, container_name: service.container_name }]],
    ),
  );

const externalVolumes = ({ services }: Registry): Pick<ComposeFile, "volumes"> => {
  const names = services.flatMap(({ volume }) => (volume === undefined ? [] : [volume]));
  return names.length === 0
    ? {}
    : { volumes: Object.fromEntries(names.map((name) => [name, { external: true, name }])) };
};

/**
 * The services of the registry host: the registries, their web UI, the reverse proxy and, for the maintenance, warden.
 *
 * @param title of the web UI
 * @param more additional services; default: none
 */
export const composeFile = (
  registry: Registry,
  title: string,
  more: Readonly<Record<string, ComposeService>> = {},
): ComposeFile => ({
  name: registry.project,
  services: {
    ...Object.fromEntries(
      registry.services.map((service) => [containerName(service), registryService(registry, service)]),
    ),
    ...uiService(registry, title),
    [NGINX]: nginxService(registry),
    ...wardenService(registry),
    ...more,
  },
  networks: { [registry.network]: { driver: "bridge" } },
  ...externalVolumes(registry),
});

/** Compose expands `$name` in every value; `$$` is a literal dollar sign. */
const withoutInterpolation = (value: unknown): unknown => {
  if (typeof value === "string") return value.replaceAll("$", () => "$$");
  if (Array.isArray(value)) return value.map(withoutInterpolation);
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, withoutInterpolation(each)]));
  return value;
};

/** A compose file or an override, as YAML. Without block scalars, in which a value of blanks would lose its spaces. */
export const renderCompose = (file: ComposeFile | ReturnType<typeof readOnlyOverride>): string =>
  `${GENERATED_COMMENT}\n${stringify(withoutInterpolation(file), { lineWidth: 0, blockQuote: false })}`;
