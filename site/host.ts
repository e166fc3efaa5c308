import * as z from "zod";
import {
  absolutePath,
  address,
  count,
  domainName,
  duplicates,
  label,
  line,
  matching,
  port,
  record,
  refused,
  seconds,
  workstationPath,
} from "./fields";
import { rule } from "./rule";

/** At least a primary and a fallback, in this order. */
type Nameservers = readonly [primary: string, fallback: string, ...more: string[]];

const nameservers = (maximum: number, reason: string) =>
  z
    .array(address, { error: "allowed is a list of addresses, the primary first" })
    .min(2, {
      error:
        "allowed are two or more addresses, the primary first: a host with one resolver stops working when it does: add a fallback",
    })
    .max(maximum, { error: `allowed are at most ${maximum} addresses: ${reason}` })
    .refine((given) => duplicates(given).length === 0, {
      error: "allowed are different addresses: a resolver that is listed twice is no fallback of itself",
    })
    .transform((given) => given as unknown as Nameservers);

const domains = z
  .array(domainName, { error: "allowed is a list of domain names" })
  .min(1, { error: 'allowed is at least one domain name, for example "example.lan": short internal names need it' });

/** Whether a deploy also blocks the primary for a few seconds, to verify that the fallback answers. */
const failoverTest = z.boolean({ error: "allowed is true or false" }).default(true);

/**
 * Only glibc: /etc/resolv.conf is a plain file that no service manages.
 * resolv.conf(5): at most three nameservers (MAXNS), timeout at most 30 s, attempts at most 5.
 */
const plainResolver = record({
  kind: z.literal("resolv.conf"),
  search: domains,
  nameservers: nameservers(3, "glibc reads the first three and ignores the rest (MAXNS)"),
  timeout: seconds(1, 30).default(2),
  attempts: count(1, 5).default(2),
  failoverTest,
  rotate: refused(
    "allowed is to leave it out: with rotate a part of the internal lookups goes to the fallback, which does not know them",
  ),
});

const FALLBACK_REASON =
  "systemd-resolved uses FallbackDNS= only when it knows no other server, so it never fails over to it; list the fallback in nameservers, behind the primary";

const interfaceName = (what: string) =>
  z.string({ error: `allowed is ${what}, for example "eth0"` }).regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$/, {
    error: `allowed is ${what}, at most 15 characters, for example "eth0"`,
  });

const NETWORK_FILE = 'the name of the file that configures the interface, for example "10-eth0.network"';

/**
 * systemd-resolved, with a link configured by netplan or systemd-networkd. Both parts come from one list: the global drop-in
 * has only the primary, with the search domains, and the link has every server, without search domains. No other arrangement
 * fails over, keeps internal names from the fallback and recovers without intervention.
 */
const resolvedFields = record({
  kind: z.literal("systemd-resolved"),
  search: domains,
  nameservers: nameservers(8, "a lookup that has to pass more takes longer than any client waits"),
  failoverTest,
  /** File name in /etc/systemd/resolved.conf.d, without the extension. */
  dropIn: label,
  netplan: record({
    /** The file that already defines the interface: lists in a second file are appended instead of replacing it. */
    file: absolutePath.refine((path) => path.startsWith("/etc/netplan/") && path.endsWith(".yaml"), {
      error: 'allowed is the file that defines the interface, for example "/etc/netplan/50-cloud-init.yaml"',
    }),
    interface: interfaceName("the key of the interface in the netplan file"),
    nameservers: refused(
      "allowed is to leave it out: the link gets the resolver's own nameservers, so that the two never disagree",
    ),
    search: refused(
      "allowed is to leave it out: with a search list on the link, internal names are asked of the fallback too",
    ),
  }).optional(),
  /** For a host without netplan: the link gets its servers from a drop-in for its file. */
  networkd: record({
    network: matching(/^[A-Za-z0-9][\w.@-]*\.network$/, NETWORK_FILE),
    interface: interfaceName("the name of the interface"),
  }).optional(),
  dns: refused(
    "allowed is to leave it out: with both servers in DNS= internal names are asked of the fallback and stay unknown after the primary is back; list them in nameservers",
  ),
  fallbackDns: refused(`allowed is to leave it out: ${FALLBACK_REASON}`),
});

const resolvedResolver = resolvedFields.check(
  rule(resolvedFields, ["netplan?", "networkd?"], ({ netplan, networkd }) =>
    (netplan === undefined) === (networkd === undefined)
      ? `netplan and networkd are ${netplan === undefined ? "both left out" : "both set"}; allowed is one of the two: whichever configures the interface on the host`
      : undefined,
  ),
);

const ECDSA = 'the ECDSA key of the host, "ecdsa-sha2-nistp256 AAAA…"';

const USER = 'a user name, for example "root"';

const user = z
  .string({ error: `allowed is ${USER}` })
  .regex(/^[a-z_][a-z0-9_-]{0,31}$/, { error: `allowed is ${USER}` })
  .default("root");

const hostKey = z
  .string({ error: `allowed is ${ECDSA}` })
  .regex(/^ecdsa-sha2-nistp256 [A-Za-z0-9+/]+=*$/, {
    error: `allowed is ${ECDSA}: Terraform compares no other; read it with "ssh-keyscan -t ecdsa <host>"`,
  })
  .optional();

const connection = record({
  port: port.default(22),
  /** Users other than root need sudo without a password. */
  user,
  /** Private key on the workstation. Default: the SSH agent. */
  identityFile: workstationPath.optional(),
  hostKey,
  /** The jump host, reached with the same key or agent. */
  jump: record({ address, port: port.default(22), user, hostKey }).optional(),
});

const keysOfBothOrNeither = rule(connection, ["hostKey", "jump.hostKey"], ({ hostKey, jump }) =>
  jump === undefined || (hostKey === undefined) === (jump.hostKey === undefined)
    ? undefined
    : `the key of ${hostKey === undefined ? "the jump host" : "the host"} alone is pinned; allowed are both keys or neither: Terraform compares the two with one list, add the other`,
);

const ssh = connection.check(keysOfBothOrNeither);

export const host = record({
  name: label,
  title: line,
  address,
  ssh: ssh.prefault({}),
  resolver: z
    .discriminatedUnion("kind", [plainResolver, resolvedResolver], {
      error: 'allowed is a resolver of kind "resolv.conf" or "systemd-resolved"',
    })
    .optional(),
  /** Declared, documented and planned as deferred; nothing is sent to the host until this is removed. */
  deferred: record(
    { reason: line },
    'a reason, { reason: "…" }: a reader has to know when it can be lifted',
  ).optional(),
});

export type Host = z.output<typeof host>;
export type PlainResolver = z.output<typeof plainResolver>;
export type ResolvedResolver = z.output<typeof resolvedResolver>;
/** What configures the link of a host with systemd-resolved, and where. */
export interface NetworkLink {
  readonly manager: "netplan" | "networkd";
  /** For netplan the path of its file; for networkd the file's name. */
  readonly file: string;
  readonly interface: string;
}

export const linkOf = ({ netplan, networkd }: ResolvedResolver): NetworkLink => {
  if (netplan !== undefined) return { manager: "netplan", file: netplan.file, interface: netplan.interface };
  if (networkd !== undefined) return { manager: "networkd", file: networkd.network, interface: networkd.interface };
  // The schema rejects a resolver without one.
  throw new Error("the resolver has no link");
};

export type Ssh = z.output<typeof ssh>;

/** A host that the site manages: it runs the registries, or the site configures its DNS, or both. */
export type ManagedHost = Host & { deferred?: undefined };
/** A managed host whose DNS the site configures. */
export type DnsHost = ManagedHost & { resolver: NonNullable<Host["resolver"]> };
/** A host that exists in the model only. */
export type DeferredHost = Host & { deferred: NonNullable<Host["deferred"]> };

export const isManaged = (candidate: Host): candidate is ManagedHost => candidate.deferred === undefined;
export const hasResolver = (candidate: ManagedHost): candidate is DnsHost => candidate.resolver !== undefined;
export const isDeferred = (candidate: Host): candidate is DeferredHost => candidate.deferred !== undefined;
