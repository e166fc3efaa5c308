import type { Delivery } from "../hosts/delivery";
import { dnsDelivery } from "../hosts/resolver";
import { type DnsHost, linkOf, type ManagedHost } from "../site/host";
import type { DnsSite } from "../site/schema";
import { type Block, command, heading, list, paragraph, table } from "./document";
import { deliveryProgram, onHost, runbookOf, WORKSTATION } from "./places";
import { link, md, type Prose, plain, sh } from "./prose";
import { wardenHere } from "./warden";

/** systemd-resolved gives up on an unresponsive server after five seconds (measured; 252, 255 and 257 agree). */
const RESOLVED_SECONDS = 5;

/** What a host does while its primary resolver does not answer. */
const outage = ({ resolver }: DnsHost): Block => {
  const [primary, fallback] = resolver.nameservers;
  return resolver.kind === "resolv.conf"
    ? list(
        md`Every lookup asks ${primary} first, waits ${resolver.timeout} s, and then asks ${fallback}: everything is slow, and external names go on to work.`,
        md`Internal names are not found: the fallback does not know them.`,
        md`When ${primary} is back, the next lookup uses it. Nothing has to be restarted.`,
      )
    : list(
        md`The first external name takes about ${RESOLVED_SECONDS} s, those after it are quick: the link has switched to ${fallback}.`,
        md`Internal names hang until the client gives up. They are never asked of ${fallback}, so it cannot answer that they do not exist.`,
        md`When ${primary} is back, internal names work at once. Nothing has to be restarted.`,
      );
};

const look = (host: DnsHost): Block =>
  host.resolver.kind === "resolv.conf"
    ? command(onHost(host), sh`cat /etc/resolv.conf`, {
        expected: [
          "…",
          `search ${host.resolver.search.join(" ")}`,
          ...host.resolver.nameservers.map((address) => `nameserver ${address}`),
          `options timeout:${host.resolver.timeout} attempts:${host.resolver.attempts}`,
        ].join("\n"),
      })
    : command(onHost(host), sh`resolvectl dns ${linkOf(host.resolver).interface}`, {
        expected: `Link … (${linkOf(host.resolver).interface}): ${host.resolver.nameservers.join(" ")}`,
      });

const DELIVERED: Readonly<Record<Delivery["name"], string>> = { dns: "names", registry: "registries" };

/** Links to the section written by deliverAgain. */
export const toDeliverAgain = (host: ManagedHost, delivery: Delivery["name"]): Prose =>
  link(md`deliver them again`, `${runbookOf(host)}#deliver-the-${DELIVERED[delivery]}-again`);

/** The commands that restore the delivered state of a host, even if Terraform sees no change. */
export const deliverAgainSteps = (host: ManagedHost, delivery: Delivery["name"]): Block[] => [
  heading(md`Deliver the ${plain(DELIVERED[delivery])} again`, 3),
  paragraph(
    md`Terraform compares the site with what it once delivered. Of a host that somebody changed by hand, that was rolled back or that was rebuilt it says "no changes". This asks the host itself, shows what would change, and changes nothing:`,
  ),
  command(WORKSTATION, sh`${wardenHere} deliver ${host.name} ${delivery} --dry-run`, {
    expected: `site: …\n${host.name}: ${delivery} …`,
  }),
  paragraph(
    md`Is it what you want? Then deliver: the scripts and the transaction are those of a deploy, with its backup, its checks, its confirmation and its way back.`,
  ),
  command(WORKSTATION, sh`${wardenHere} deliver ${host.name} ${delivery}`, {
    expected: `…\n${host.name}: ${delivery} is delivered…`,
  }),
];

/** The commands that undo the last delivery to a host. */
export const rollBack = (host: ManagedHost, delivery: Delivery["name"]): Block[] => [
  command(WORKSTATION, sh`${wardenHere} rollback ${host.name} --dry-run`, {
    expected: `${host.name}: has …\n${host.name}: would go back to …`,
  }),
  command(WORKSTATION, sh`${wardenHere} rollback ${host.name}`, { expected: `…\n${host.name}: rolled back; …` }),
  paragraph(
    md`What each backup holds is said behind its name. One that was "edited by hand" holds that edit: it is no good state to go back to. Terraform does not know of a rollback, and the next deploy would not change the host again: ${toDeliverAgain(host, delivery)} when the cause is gone. Verify as above.`,
  ),
  paragraph(md`Without the workstation, the same on the host:`),
  command(onHost(host), sh`bash ${deliveryProgram(delivery)} difference`),
  command(onHost(host), sh`bash ${deliveryProgram(delivery)} rollback`, {
    expected: `…\n${host.name}: rolled back; …`,
  }),
];

/** The part of a host's runbook about its DNS. */
export const resolverSections = (site: DnsSite, host: DnsHost): Block[] => {
  const { files, parts, backups } = dnsDelivery(site, host);
  const program = deliveryProgram("dns");
  const { internal, external } = site.dns;
  const [primary] = host.resolver.nameservers;
  return [
    heading(md`Names (DNS)`),
    paragraph(
      md`The host asks ${primary}, and when that is silent ${host.resolver.nameservers.slice(1)}. The stack ${"dns"} owns these, and nothing else of the host:`,
    ),
    table(
      [md`what`, md`how much of it`],
      [
        ...files.map(({ path }) => [md`${path}`, md`the whole file`]),
        ...Object.keys(parts).map((part) => [md`${part}`, md`these lines only; the rest belongs to the host`]),
      ],
    ),
    heading(md`Names do not resolve`, 3),
    paragraph(md`First see what the host asks:`),
    look(host),
    paragraph(md`Then let the host check itself. It looks up names and changes nothing:`),
    command(WORKSTATION, sh`${wardenHere} dns verify ${host.name} --without-failover-test`, {
      expected: `site: …\n${host.name}: ${internal.name}, ${external}… resolve through ${primary}\n${host.name}: dns works`,
    }),
    paragraph(md`Without the workstation, the same on the host:`),
    command(onHost(host), sh`bash ${program} verify quiet`, {
      expected: `${host.name}: ${internal.name}, ${external}… resolve through ${primary}\n${host.name}: dns works`,
    }),
    paragraph(md`Did somebody change it by hand? This compares the host with the site, and only reads:`),
    command(WORKSTATION, sh`${wardenHere} drift ${host.name}`, {
      expected: `site: …\n${host.name}: as the site has it`,
    }),
    paragraph(
      md`Anything else: it prints what differs, and the command that comes next: ${toDeliverAgain(host, "dns")}, unless what differs is right. Then it belongs into the site.`,
    ),
    paragraph(
      md`If ${internal.name} is not ${internal.address} there, ask the primary itself. No answer means that the resolver is down, and not this host:`,
    ),
    command(onHost(host), sh`dig +short +time=3 +tries=1 ${`@${primary}`} ${internal.name}`, {
      expected: internal.address,
    }),
    heading(md`While the primary is down`, 3),
    outage(host),
    paragraph(
      md`To see the failover itself, run the whole check: for some seconds the replies of ${primary} are dropped on this host alone. The rule that drops them ends by itself, also if you lose the connection:`,
    ),
    command(WORKSTATION, sh`${wardenHere} dns verify ${host.name}`, {
      expected: `…\n${host.name}: with ${primary} silent, ${external} resolved after … s\n${host.name}: with ${primary} back, ${internal.name} resolves again\n${host.name}: dns works`,
    }),
    heading(md`Change it`, 3),
    paragraph(
      md`Edit the site, read the plan, deploy. The delivery keeps a backup, checks names before and after, tries the failover, and puts everything back by itself when a check fails or the connection is lost:`,
    ),
    command(WORKSTATION, sh`npm run plan`, { expected: "…\ndns …" }),
    command(WORKSTATION, sh`npm run cdktf -- deploy dns`, {
      expected: `…${host.name}: dns is delivered…`,
    }),
    ...deliverAgainSteps(host, "dns"),
    heading(md`Take it back`, 3),
    paragraph(
      md`The backups are ${`${backups}-YYYYMMDD-HHMMSS.tar.gz`} on the host (UTC). First see which there are and what would change, then roll back to the newest, or name one with ${"--to"}:`,
    ),
    ...rollBack(host, "dns"),
    ...(host.resolver.kind === "systemd-resolved"
      ? []
      : [
          paragraph(
            md`Nothing on ${plain(host.title)} rewrites ${"/etc/resolv.conf"}: if it changed, somebody changed it by hand.`,
          ),
        ]),
  ];
};
