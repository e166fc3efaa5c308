import { stringify } from "yaml";
import type { ProxyService, Service } from "../site/registry";
import { GENERATED_COMMENT } from "./generated";

/** The port of the image's own configuration, for those who run it without ours. */
export const REGISTRY_PORT = 5000;
export const HTPASSWD = "/auth/htpasswd";
export const DATA = "/var/lib/registry";
export const CONFIGURATION = "/etc/docker/registry/config.yml";

const DESCRIPTOR_CACHE = { cache: { blobdescriptor: "inmemory" } };

/** Whether a registry accepts pushes. If not, only the maintenance changes its storage. */
type WriteAccess = "read-write" | "read-only";

const storageMaintenance = (hours: number, access: WriteAccess) => ({
  maintenance:
    access === "read-only"
      ? { uploadpurging: { enabled: false }, readonly: { enabled: true } }
      : { uploadpurging: { enabled: true, age: `${hours}h`, interval: "24h", dryrun: false } },
});

/**
 * A private registry has no cache of blob descriptors: with a cache, a lost blob would still be announced, and pushing it again
 * would succeed without storing anything. A pull-through registry fetches it again either way.
 */
const storage = (service: Service, access: WriteAccess) => ({
  filesystem: { rootdirectory: DATA },
  ...(service.role === "private"
    ? { delete: { enabled: true }, ...storageMaintenance(service.purgeUploadsAfterHours, access) }
    : DESCRIPTOR_CACHE),
});

/**
 * In its container, each registry listens on its published port, which no other registry uses. A reverse proxy that still has the
 * address of a removed container then finds nothing there instead of another registry.
 */
const http = ({ port, metricsPort }: Service) => ({
  addr: `:${port}`,
  headers: { "X-Content-Type-Options": ["nosniff"] },
  ...(metricsPort === undefined
    ? {}
    : { debug: { addr: `:${metricsPort}`, prometheus: { enabled: true, path: "/metrics" } } }),
});

const authorization = (service: Service) =>
  service.role === "private"
    ? { auth: { htpasswd: { realm: service.serverName, path: HTPASSWD } } }
    : { proxy: { remoteurl: upstream(service) } };

const upstream = (service: ProxyService): string => service.upstream.replace(/\/$/, "");

/**
 * The configuration of one registry of version 2.8; a private one may be read-only. Credentials of an upstream are not
 * in it: they are the operator's, in an env file. https://distribution.github.io/distribution/about/configuration/
 */
export const registryConfiguration = (service: Service, access: WriteAccess = "read-write"): string =>
  `${GENERATED_COMMENT}\n${stringify({
    version: 0.1,
    log: { level: "info", formatter: "text" },
    storage: storage(service, access),
    http: http(service),
    ...authorization(service),
    health: { storagedriver: { enabled: true, interval: "10s", threshold: 3 } },
  })}`;
