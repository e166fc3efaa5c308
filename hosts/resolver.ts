import { type DnsHost, linkOf, type PlainResolver, type ResolvedResolver } from "../site/host";
import { type Dns, type DnsSite, privateServices } from "../site/schema";
import type { DeliveredFile, Delivery } from "./delivery";
import { GENERATED_COMMENT } from "./generated";
import { WATCH_UNIT } from "./systemd-unit";
import { type HostReports, reportsOf, WITH_NAMES, watchDelivery } from "./watch";

const lines = (...each: string[]): string => `${each.join("\n")}\n`;

/** /etc/resolv.conf for a host that uses only glibc; resolv.conf(5). */
export const resolvConf = (resolver: PlainResolver): DeliveredFile => ({
  path: "/etc/resolv.conf",
  mode: "0644",
  content: lines(
    GENERATED_COMMENT,
    `search ${resolver.search.join(" ")}`,
    ...resolver.nameservers.map((address) => `nameserver ${address}`),
    `options timeout:${resolver.timeout} attempts:${resolver.attempts}`,
  ),
});

/**
 * The global scope of systemd-resolved has only the primary, so that no internal name leaks and a primary that is back is used at
 * once. FallbackDNS= has no effect alongside DNS=: the link's servers provide the failover.
 * resolved.conf(5)
 */
export const resolvedDropIn = ({ dropIn, nameservers, search }: ResolvedResolver): DeliveredFile => {
  const [primary, ...fallbacks] = nameservers;
  return {
    path: `/etc/systemd/resolved.conf.d/${dropIn}.conf`,
    mode: "0644",
    content: lines(
      GENERATED_COMMENT,
      "[Resolve]",
      `DNS=${primary}`,
      `FallbackDNS=${fallbacks.join(" ")}`,
      `Domains=${search.join(" ")}`,
    ),
  };
};

/**
 * cloud-init rewrites its netplan file when the instance id changes, for example with a changed cloud-init drive. This preserves
 * the edit. https://docs.cloud-init.io/en/latest/reference/network-config.html
 */
export const cloudInitGuard: DeliveredFile = {
  path: "/etc/cloud/cloud.cfg.d/99-disable-network-config.cfg",
  mode: "0644",
  content: lines(GENERATED_COMMENT, "network: {config: disabled}"),
};

/** The link's servers, the only managed node in the host's netplan file; netplan-yaml(5). */
const netplanNode = (resolver: ResolvedResolver): Record<string, string> => {
  const { manager, file, interface: name } = linkOf(resolver);
  if (manager !== "netplan") return {};
  const addresses = resolver.nameservers.map((address) => `  - ${address}`);
  return { [`${file}: nameservers of ${name}`]: lines("addresses:", ...addresses) };
};

/**
 * The same for a link of systemd-networkd: an empty value resets what the link's file sets, and servers offered by a router or a
 * lease are ignored. systemd.network(5)
 */
const networkDropIn = (resolver: ResolvedResolver): DeliveredFile[] => {
  const { manager, file } = linkOf(resolver);
  if (manager !== "networkd") return [];
  return [
    {
      path: `/etc/systemd/network/${file}.d/${resolver.dropIn}.conf`,
      mode: "0644",
      content: lines(
        GENERATED_COMMENT,
        "[Network]",
        "DNS=",
        ...resolver.nameservers.map((address) => `DNS=${address}`),
        "Domains=",
        ...["DHCPv4", "DHCPv6", "IPv6AcceptRA"].map((section) => `\n[${section}]\nUseDNS=no`),
      ),
    },
  ];
};

const filesOf = (resolver: PlainResolver | ResolvedResolver): DeliveredFile[] =>
  resolver.kind === "resolv.conf"
    ? [resolvConf(resolver)]
    : [resolvedDropIn(resolver), ...networkDropIn(resolver), cloudInitGuard];

/** Everything that determines a host's DNS; no other part of a site affects it. */
export interface HostNames {
  readonly host: DnsHost;
  /** The names with which the host verifies its own resolution. */
  readonly names: Dns;
  /**
   * The names of the private registries that it pulls from, which must resolve too.
   * @default none
   */
  readonly registries?: readonly string[];
  /**
   * Where the host reports whether its resolvers answer and its files are unchanged.
   * @default it is not monitored
   */
  readonly reports?: HostReports;
}

/** The DNS input of a site's host. */
export const hostNames = (site: DnsSite, host: DnsHost): HostNames => ({
  host,
  names: site.dns,
  registries: privateServices(site.registry).map(({ serverName }) => serverName),
  reports: reportsOf(site, host),
});

/** The DNS configuration of a host, including the names with which the host verifies it. */
export const namesDelivery = ({ host, names, registries = [], reports }: HostNames): Delivery => {
  const { resolver } = host;
  const { nameservers } = resolver;
  const link = resolver.kind === "systemd-resolved" ? linkOf(resolver) : undefined;
  const watch = watchDelivery(host, WITH_NAMES, reports, { nameservers, names });
  return {
    name: "dns",
    host,
    files: [...filesOf(resolver), ...watch.files],
    links: watch.links,
    directories: [],
    parts: resolver.kind === "systemd-resolved" ? netplanNode(resolver) : {},
    backups: "/root/dns-backups/dns-config-backup",
    programs: ["timers.sh", ...(link === undefined ? [] : [`${link.manager}.sh`]), "dns.sh"],
    settings: {
      RESOLVER: resolver.kind,
      NAMESERVERS: nameservers,
      SEARCH: resolver.search,
      ...(link === undefined ? {} : { LINK_FILE: link.file, LINK_INTERFACE: link.interface }),
      INTERNAL_NAME: names.internal.name,
      INTERNAL_ADDRESS: names.internal.address,
      EXTERNAL_NAME: names.external,
      REGISTRY_NAMES: registries,
      TIMERS: WATCH_UNIT,
      FAILOVER_TEST: resolver.failoverTest ? "yes" : "no",
    },
  };
};

/** Like namesDelivery, for a host of a site. */
export const dnsDelivery = (site: DnsSite, host: DnsHost): Delivery => namesDelivery(hostNames(site, host));
