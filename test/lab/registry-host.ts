import type { ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assembleScript } from "../../hosts/delivery";
import { registryDelivery } from "../../hosts/registry";
import { privateServices, type RegistrySite, registryHost, serviceInstance } from "../../site/schema";
import { parsed, reference, type WholeInput } from "../sites";
import { type CertificateAuthority, createCertificateAuthority } from "./certificates";
import type { Component } from "./components";
import { importImages } from "./docker-images";
import { endProcessGroup, type Hosts, type Outcome } from "./hosts";
import { labHtpasswdLine } from "./registry";

/** The operator's machine in the lab; its registry is the upstream of every cache. */
export const OPERATOR = "10.99.0.20";

/** The registry on the operator's machine, once it is started. */
export const UPSTREAM = `http://${OPERATOR}:5000`;

/** Where the operator's Pushgateway listens, in the labs that have one. */
export const PUSHGATEWAY_ADDRESS = `${OPERATOR}:9091`;

/** An account of the private registry. */
export const account = { username: "operator", password: "planted-secret-7f3a" };

/**
 * The reference site as adapted to the lab. The upstream of one cache, kyverno, is down.
 *
 * @param site for example the reference site of another version
 */
export const labSite = (hosts: Hosts, site: WholeInput = reference): WholeInput => ({
  ...site,
  hosts: site.hosts.map((host) =>
    host.deferred === undefined
      ? {
          ...host,
          ssh: {
            identityFile: hosts.key,
            hostKey: hosts.hostKey(host.name === site.registry.host ? "vm" : "pve"),
          },
        }
      : host,
  ),
  registry: {
    ...site.registry,
    services: site.registry.services.map((service) =>
      service.role === "proxy"
        ? { ...service, upstream: service.name === "kyverno" ? `http://${OPERATOR}:5999` : UPSTREAM }
        : service,
    ),
  },
});

/** Starts the registry that is the upstream of the caches. @param folder of its configuration and its data */
export const startUpstream = (hosts: Hosts, registry: Component, folder: string): ChildProcess => {
  const configuration = join(folder, "upstream.yml");
  const storage = { filesystem: { rootdirectory: join(folder, "upstream") } };
  writeFileSync(configuration, JSON.stringify({ version: 0.1, storage, http: { addr: `${OPERATOR}:5000` } }));
  return hosts.startAtOperator(...registry.command, "serve", configuration);
};

/** What a registry VM was set up with. */
export interface RegistryHost {
  readonly authority: CertificateAuthority;
  remove(): void;
}

/**
 * Sets up the VM as an operator does before the first delivery: certificate, key and account, the images, which cannot be pulled
 * here, and a registry that the caches have as their upstream.
 */
export const prepareRegistryHost = async (
  hosts: Hosts,
  { nginx, registry }: Record<"nginx" | "registry", Component>,
): Promise<RegistryHost> => {
  const site = parsed(labSite(hosts));
  const folder = mkdtempSync(join(tmpdir(), "warden-registry-host-"));
  const authority = createCertificateAuthority();
  importImages(hosts, nginx, site.registry);
  const { address } = registryHost(site);
  for (const service of privateServices(site.registry)) {
    const { certificate, key } = authority.issue([service.serverName, address]);
    hosts.put(service.tls.certificate, "644", readFileSync(certificate));
    hosts.put(service.tls.key, "600", readFileSync(key));
    hosts.put(service.htpasswd, "600", labHtpasswdLine(account, 5));
    hosts.put(
      `/etc/docker/certs.d/${serviceInstance(site, service)}/ca.crt`,
      "644",
      readFileSync(authority.certificate),
    );
    hosts.ssh("vm", `echo ${address} ${service.serverName} >>/etc/hosts`);
  }
  if (site.registry.maintenance !== undefined)
    hosts.put(
      site.registry.maintenance.credentialsFile,
      "600",
      `REG_USER=${account.username}\nREG_PASS=${account.password}\n`,
    );
  const upstream = startUpstream(hosts, registry, folder);
  await hosts.until("vm", `curl -sf ${UPSTREAM}/v2/`);
  return {
    authority,
    remove: () => {
      endProcessGroup(upstream);
      authority.remove();
      rmSync(folder, { recursive: true });
    },
  };
};

/** Delivers the registries of a site to the VM. */
export const deliverToVm = (hosts: Hosts, site: RegistrySite): Outcome => {
  hosts.put(".registry-warden/registry.sh", "600", assembleScript(registryDelivery(site)));
  return hosts.try("vm", "bash .registry-warden/registry.sh apply && bash .registry-warden/registry.sh confirm");
};
