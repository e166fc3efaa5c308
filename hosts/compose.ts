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
import { GENERATED } from "./generated";
import { nginxConfiguration, tlsPaths } from "./nginx";
import { CONFIGURATION, DATA, HTPASSWD, registryConfiguration } from "./registry-configuration";

export const NGINX = "nginx";
export const UI = "registry-ui";
/** The service of profile `maintenance`; it is run, never up. */
export const WARDEN = "warden";
const UI_PORT = 80;

/** What is used here of a service. https://github.com/compose-spec/compose-spec/blob/main/spec.md */
export interface ComposeService {
  readonly image: string;
  /** Of what is up; whatever is run gets a name of its own. */
  readonly container_name?: string;
  readonly command?: readonly string[];
  readonly restart: "unless-stopped" | "no";
  readonly networks: readonly string[];
  /** Without one a service is always up. */
  readonly profiles?: readonly ["maintenance"];
  readonly entrypoint?: readonly string[];
  readonly read_only?: boolean;
  readonly tmpfs?: readonly string[];
  readonly cap_drop?: readonly ["ALL"];
  readonly cap_add?: readonly string[];
  readonly security_opt?: readonly ["no-new-privileges:true"];
  /** "[<address>:]<published>:<within the container>", both TCP. */
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
  };
}

/** A source that does not exist is an error; in the short form Docker would make a directory of it. */
export interface BindMount {
  readonly type: "bind";
  readonly source: string;
  readonly target: string;
  readonly read_only: boolean;
  readonly bind: { readonly create_host_path: false };
}

/** A volume of Docker's, by its name in the file. */
export interface VolumeMount {
  readonly type: "volume";
  readonly source: string;
  readonly target: string;
  readonly read_only: boolean;
}

export interface ComposeFile {
  readonly name: string;
  readonly services: Readonly<Record<string, ComposeService>>;
  /** Volumes that are there already: compose neither makes nor removes them. */
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

/** Where a service keeps its images, as one of its mounts. */
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
 * What a container may not do: write to its image, use a capability of root, gain one. Its log is cut, because one that
 * grows forever fills the disk of the registries.
 */
const HARDENED = {
  read_only: true,
  cap_drop: ["ALL"],
  security_opt: ["no-new-privileges:true"],
  logging: { driver: "json-file", options: { "max-size": "10m", "max-file": "5" } },
} as const satisfies Partial<ComposeService>;

/** An address before a port. */
const bracketed = (address: string): string => (address.includes(":") ? `[${address}]` : address);

const publishedMetrics = ({ metricsPort, metricsAddress }: Service): Pick<ComposeService, "ports"> =>
  metricsPort === undefined
    ? {}
    : {
        ports: [`${bracketed(metricsAddress)}:${metricsPort}:${metricsPort}`],
      };

/** Compose sees changes of its own file only: a digest of what is mounted makes it recreate exactly what changed. */
const configurationLabel = (content: string) => ({
  "registry-warden.configuration": `sha256:${createHash("sha256").update(content).digest("hex")}`,
});

/**
 * A pull-through registry has to answer 200; a private one may answer anything, because it asks for credentials. wget
 * is busybox's, which the image brings.
 */
const healthcheck = ({ role, port }: Service): NonNullable<ComposeService["healthcheck"]> => {
  const url = `http://127.0.0.1:${port}/v2/`;
  return {
    test: [
      "CMD-SHELL",
      role === "proxy" ? `wget -q -O /dev/null ${url}` : `wget -S -O /dev/null ${url} 2>&1 | grep -q 'HTTP/1'`,
    ],
    interval: "5s",
    timeout: "5s",
    retries: 3,
    start_period: "30s",
  };
};

const registryService = (registry: Registry, service: Service): ComposeService => {
  const paths = registryPaths(registry.directory);
  return {
    image: imageReference(registry.images.registry),
    container_name: containerName(service),
    // Said, because the image of version 3 looks elsewhere by itself, and finds a configuration that asks for no password.
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
 * The reverse proxy waits for nobody: it starts without its upstreams and answers 502 for those that are missing.
 */
const nginxService = (registry: Registry): ComposeService => ({
  image: imageReference(registry.images.nginx),
  container_name: "registry-nginx",
  // Its log is open before it reads that it goes to standard error: the one that it was built with cannot be written.
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
      // It writes its configuration into its own image when it starts, over files of nginx's user, and runs its workers as
      // that user.
      read_only: false,
      cap_add: ["CHOWN", "DAC_OVERRIDE", "NET_BIND_SERVICE", "SETGID", "SETUID"],
    },
  };
};

/** The Pushgateway of the project, where the site brings one, and how the containers of the project reach it. */
export const PUSHGATEWAY = {
  service: "pushgateway",
  container: "registry-pushgateway",
  url: "http://registry-pushgateway:9091",
} as const;
const PUSHGATEWAY_PORT = 9091;

/**
 * It keeps nothing on a disk: every report comes again within its period. wget is busybox's, which the image brings.
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
        interval: "5s",
        timeout: "5s",
        retries: 3,
        start_period: "30s",
      },
    },
  };
};

const PROGRAM = "/opt/warden.mjs";

/** Where the data of a service and its policy are within the container of warden. */
export const wardenPaths = (name: string) => ({
  data: `/data/${name}`,
  retention: `/etc/warden/retention-${name}.json`,
});

/**
 * warden on a stock Node image, so that the host needs no Node. It may do nothing but read the data and, of a private
 * registry, change it; root without any capability owns those files. The account is the operator's.
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
      // repair keeps there what it fetches from another registry, until it is whole.
      tmpfs: ["/tmp"],
    },
  };
};

/** What makes a private registry read-only, to be read by compose after the file of all services. */
export const readOnlyOverride = (registry: Registry, service: PrivateService) => ({
  services: {
    [containerName(service)]: {
      volumes: [bind(registryPaths(registry.directory).readOnlyConfig(service.name), CONFIGURATION)],
      labels: configurationLabel(registryConfiguration(service, "read-only")),
    },
  },
});

/** The private registries that a clean-up makes read-only. */
export const cleanedUp = (registry: Registry): PrivateService[] =>
  registry.maintenance?.cleanUp === undefined ? [] : privateServices(registry);

/** The services that are up. */
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
 * The services of the registry host: the registries, their browser, the reverse proxy and, for the maintenance, warden.
 *
 * @param title what the browser calls itself
 * @param more services beside them; default: none
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

/** Compose replaces `$name` in every value; `$$` is a dollar. */
const withoutInterpolation = (value: unknown): unknown => {
  if (typeof value === "string") return value.replaceAll("$", () => "$$");
  if (Array.isArray(value)) return value.map(withoutInterpolation);
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, withoutInterpolation(each)]));
  return value;
};

/** A compose file, or what overrides one, as YAML. A block of a blank line would be read without its spaces, so there is none. */
export const renderCompose = (file: ComposeFile | ReturnType<typeof readOnlyOverride>): string =>
  `${GENERATED}\n${stringify(withoutInterpolation(file), { lineWidth: 0, blockQuote: false })}`;
