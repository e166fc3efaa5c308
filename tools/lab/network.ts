/**
 * Prints the addresses and names of the lab's network as assignments for tools/lab/hosts: those of the reference site, which are
 * not written anywhere else. The lab boots one host of each kind.
 */

import { assignments } from "../../hosts/shell";
import { linkOf } from "../../site/host";
import { parseSite } from "../../site/load";
import reference from "../../site/reference";
import type { Site } from "../../site/schema";

type Resolver = NonNullable<Site["hosts"][number]["resolver"]>;

/** The first managed host with a resolver of this kind. */
const hostOf = <Kind extends Resolver["kind"]>(site: Site, kind: Kind) => {
  for (const { address, resolver } of site.hosts) {
    if (resolver?.kind === kind) return { address, resolver: resolver as Extract<Resolver, { kind: Kind }> };
  }
  throw new Error(`the lab boots a host of each kind: the site has none with a ${kind} resolver`);
};

export const network = (site: Site): string => {
  const proxmox = hostOf(site, "resolv.conf");
  const machine = hostOf(site, "systemd-resolved");
  const registry = site.registry?.services.find((service) => service.role === "private");
  if (registry === undefined || site.dns === undefined)
    throw new Error("the lab knows the names by which hosts verify what they resolve: the site has none");
  return assignments({
    "address[pve]": proxmox.address,
    "address[vm]": machine.address,
    "gateway[pve]": proxmox.resolver.nameservers[0],
    "gateway[vm]": machine.resolver.nameservers[0],
    public: machine.resolver.nameservers[1],
    netplan: linkOf(machine.resolver).file,
    internal: machine.resolver.search[0] ?? "",
    internal_name: site.dns.internal.name,
    internal_address: site.dns.internal.address,
    external_name: site.dns.external,
    registry_name: registry.serverName,
  });
};

if (require.main === module) process.stdout.write(network(parseSite(reference)));
