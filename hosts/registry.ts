import { containerName, dataDirectory, registryPaths, type Service } from "../site/registry";
import { ownPushgateway, type RegistrySite, registryHost } from "../site/schema";
import { type ComposeFile, composeFile, NGINX, pushgatewayService, renderCompose, servicesUp } from "./compose";
import type { DeliveredFile, Delivery } from "./delivery";
import { maintenanceDelivery } from "./maintenance";
import { nginxConfiguration, READ_LATE } from "./nginx";
import { probeDelivery, probeServices } from "./probe";
import { registryConfiguration } from "./registry-configuration";
import { composeUnit, MAINTENANCE_UNIT, UNITS } from "./systemd-unit";
import { isWatchedWithNames, reportsOf, WITH_REGISTRIES, watchDelivery } from "./watch";

const readable = (path: string, content: string): DeliveredFile => ({ path, mode: "0644", content });

/** The operator's files that a service needs: those with a secret must be readable by root only. */
const secretsOf = (service: Service): string[] => {
  if (service.role === "private") return [service.htpasswd, service.tls.key];
  return service.credentialsFile === undefined ? [] : [service.credentialsFile];
};

/** The whole compose project of a site. */
export const composeOf = (site: RegistrySite): ComposeFile =>
  composeFile(site.registry, registryHost(site).title, {
    ...pushgatewayService(site.registry, ownPushgateway(site)),
    ...probeServices(site),
  });

/** The registries of the site, their reverse proxy, web UI and maintenance, on the host that runs them. */
export const registryDelivery = (site: RegistrySite): Delivery => {
  const { registry } = site;
  const { directory, services, unit } = registry;
  const host = registryHost(site);
  const paths = registryPaths(directory);
  const compose = composeOf(site);
  const up = servicesUp(compose);
  const maintenance = maintenanceDelivery(site);
  const probes = probeDelivery(site);
  // Part of the delivery of the host's DNS, if there is one.
  const watch = isWatchedWithNames(site, host)
    ? undefined
    : watchDelivery(host, WITH_REGISTRIES, reportsOf(site, host));
  const privates = services.filter((service) => service.role === "private");
  const stores = new Map(services.map((service) => [containerName(service), dataDirectory(registry, service)]));
  const inVolumes = services.filter(({ volume }) => volume !== undefined);
  const portsOf = (role: Service["role"]) =>
    services.filter((service) => service.role === role).map(({ port }) => String(port));
  return {
    name: "registry",
    host,
    files: [
      ...services.map((service) => readable(paths.config(service.name), registryConfiguration(service))),
      readable(paths.nginx, nginxConfiguration(registry)),
      readable(paths.compose, renderCompose(compose)),
      readable(`${UNITS}/${unit}`, composeUnit(paths.compose)),
      ...maintenance.files,
      ...probes.files,
      ...(watch?.files ?? []),
    ],
    // What `systemctl enable` would create.
    links: [
      { path: `${UNITS}/multi-user.target.wants/${unit}`, target: `../${unit}` },
      ...maintenance.links,
      ...probes.links,
      ...(watch?.links ?? []),
    ],
    directories: services.flatMap((service) =>
      service.volume === undefined ? [dataDirectory(registry, service)] : [],
    ),
    parts: maintenance.parts,
    backups: "/root/registry-backups/registry-config-backup",
    programs: ["timers.sh", "collectors.sh", "takeover.sh", "registry.sh"],
    settings: {
      COMPOSE_FILE: paths.compose,
      REVERSE_PROXY_FILE: paths.nginx,
      PROJECT: registry.project,
      SYSTEMD_UNIT: unit,
      ADDRESS: host.address,
      IMAGES: [...new Set(Object.values(compose.services).map(({ image }) => image))],
      CONTAINERS: Object.values(up).map(({ container_name }) => container_name),
      // In the order of the containers.
      IMAGES_OF: Object.values(up).map(({ image }) => image),
      COMPOSE_SERVICES: Object.keys(up),
      DATA: Object.values(up).map(({ container_name }) => stores.get(container_name) ?? ""),
      VOLUMES: inVolumes.map(({ volume = "" }) => volume),
      MOUNTPOINTS: inVolumes.map((service) => dataDirectory(registry, service)),
      PORTS: Object.values(up).flatMap(({ ports = [] }) => ports.map((port) => port.replace(/:\d+$/, ""))),
      NETWORK: registry.network,
      SERVICES: Object.keys(up).filter((name) => name !== NGINX),
      REVERSE_PROXY: NGINX,
      READ_LATE,
      AUTHORITATIVE: privates.map(containerName),
      PRIVATE_PORTS: portsOf("private"),
      PRIVATE_NAMES: privates.map(({ serverName }) => serverName),
      PROXY_PORTS: portsOf("proxy"),
      SECRETS: [...new Set([...services.flatMap(secretsOf), ...maintenance.secrets, ...probes.secrets])],
      CERTIFICATES: [...new Set([...privates.map(({ tls }) => tls.certificate), ...probes.certificates])],
      HTPASSWDS: privates.map(({ htpasswd }) => htpasswd),
      TIMERS: MAINTENANCE_UNIT,
      REPLACED: maintenance.replaced,
    },
  };
};
