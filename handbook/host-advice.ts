import { watchUnit } from "../hosts/watch";
import { hasResolver, type ManagedHost } from "../site/host";
import type { Site } from "../site/schema";
import { type Block, command, list, paragraph } from "./document";
import { onHost, runbookOf, WORKSTATION } from "./places";
import { link, md, type Prose, sh } from "./prose";
import { wardenHere } from "./warden";

/** The host that an alert is about. */
export interface WatchedHost {
  readonly site: Site;
  readonly host: ManagedHost;
}

/** What a person on call has to know about an alert about a host. */
export interface HostAdvice {
  readonly meaning: Prose;
  readonly impact: Prose;
  readonly diagnosis: (watched: WatchedHost) => Block[];
  readonly mitigation: (watched: WatchedHost) => Block[];
}

const compareWithSite = ({ host }: WatchedHost): Block[] => [
  paragraph(md`What is not as the site has it?`),
  command(WORKSTATION, sh`${wardenHere} drift ${host.name}`, { expected: `site: …\n${host.name}: …` }),
];

/** Ends every mitigation: the host checks itself now instead of within minutes. */
const reportNow = ({ site, host }: WatchedHost): Block[] => [
  paragraph(md`Let the host report now. The alert ends with the next evaluation after it:`),
  command(onHost(host), sh`systemctl start ${`${watchUnit(site, host)}.service`}`),
  command(onHost(host), sh`systemctl show --property Result ${`${watchUnit(site, host)}.service`}`, {
    expected: "Result=success",
  }),
];

const ADVICE: Readonly<Record<string, HostAdvice>> = {
  RegistryHostDrifted: {
    meaning: md`A file, the resolver, a container or a timer of the host is not as the last delivery left it: somebody changed it by hand, a program rewrote it, or the host was rebuilt.`,
    impact: md`What works now may stop with the next reboot or the next outage of a resolver: it is not what was tested. Terraform does not see it and says that nothing changed.`,
    diagnosis: (watched) => [
      ...compareWithSite(watched),
      list(
        md`Lines of a file: who wants them? If they are right, they belong into the site.`,
        md`"nothing was ever delivered to this host": it was rebuilt. Everything else is absent then.`,
        md`Everything is absent but not that: a delivery was rolled back. Ask who did it, and why.`,
        md`Only the version differs: another version of this product delivered last.`,
      ),
    ],
    mitigation: (watched) => [
      paragraph(
        md`Deliver to the host again: Terraform sees no change, and this asks the host. What is there now is backed up, and ${link(md`its runbook`, runbookOf(watched.host))} has the way back. First what would change:`,
      ),
      command(WORKSTATION, sh`${wardenHere} deliver ${watched.host.name} --dry-run`, { expected: "site: …" }),
      command(WORKSTATION, sh`${wardenHere} deliver ${watched.host.name}`, { expected: `…is delivered…` }),
      ...reportNow(watched),
    ],
  },
  RegistryResolverDown: {
    meaning: md`One resolver of the host, asked by itself, does not answer for the names of the site, or answers wrongly. The label ${"resolver"} says which.`,
    impact: md`None yet while another answers: each lookup may take seconds longer. Internal names are known to the first resolver only.`,
    diagnosis: ({ site, host }) =>
      hasResolver(host) && site.dns !== undefined
        ? [
            paragraph(md`Which of them answers? A fallback knows external names only:`),
            ...host.resolver.nameservers.map((server, index) =>
              index === 0
                ? command(
                    onHost(host),
                    sh`dig +short +time=3 +tries=1 ${`@${server}`} ${site.dns?.internal.name ?? ""}`,
                    {
                      expected: site.dns?.internal.address ?? "",
                    },
                  )
                : command(
                    onHost(host),
                    // dig's message about an unresponsive server begins with a semicolon.
                    sh`dig +short +time=3 +tries=1 ${`@${server}`} ${site.dns?.external ?? ""} | grep -v '^;' && echo 'it answers'`,
                    { expected: "…it answers" },
                  ),
            ),
            paragraph(
              md`One that answers on other hosts is cut off from this one: look at the network and the firewall.`,
            ),
          ]
        : [],
    mitigation: (watched) => [
      list(
        md`The resolver is down: start it, or have its operator do so.`,
        md`It is gone for good: put another into ${"resolver.nameservers"} of the site, and deploy.`,
      ),
      ...reportNow(watched),
    ],
  },
  RegistryHostUnwatched: {
    meaning: md`The host has not said for a while whether it is as delivered and whether its resolvers answer, or it never did.`,
    impact: md`None by itself. A failure of the host or of its fallback goes unseen until it matters.`,
    diagnosis: ({ site, host }) => [
      paragraph(md`Is the host up, and when did it last look?`),
      command(onHost(host), sh`uptime && systemctl is-active ${`${watchUnit(site, host)}.timer`}`, {
        expected: "… up …\nactive",
      }),
      command(onHost(host), sh`journalctl --unit ${`${watchUnit(site, host)}.service`} --lines 20 --no-pager`),
    ],
    mitigation: (watched) => [
      list(
        md`No timer: ${wardenHere.text} deliver ${watched.host.name}`,
        md`${"curl is missing"}: install it there.`,
        md`The report is not taken: the host must reach the Pushgateway that the message names.`,
      ),
      ...reportNow(watched),
    ],
  },
};

/** What to do about an alert about a host; undefined if it is about something else. */
export const hostAdviceFor = (alert: string): HostAdvice | undefined => ADVICE[alert];
