import type { DeferredHost, DnsHost } from "../site/host";
import type { DnsSite } from "../site/schema";
import { command, type Document, heading, paragraph, steps, table } from "./document";
import { onHost, runbookOf, sshTo, WORKSTATION } from "./places";
import { link, md, plain, sh } from "./prose";
import { resolverSections } from "./resolver";

/** The runbook of a host for which the site only configures DNS. */
export const hostRunbook = (site: DnsSite, host: DnsHost): Document => ({
  path: runbookOf(host),
  title: md`Runbook: ${plain(host.title)}`,
  body: [
    table(
      [md`name`, md`address`, md`reached with`],
      [[md`${host.name}`, md`${host.address}`, md`${sshTo(host).text}`]],
    ),
    paragraph(md`The only thing here that comes from this repository is where the host looks names up.`),
    heading(md`Is it up?`),
    command(onHost(host), sh`uptime`, { expected: "… up …" }),
    paragraph(
      md`If it cannot be reached, everything that runs on it is gone too: see the ${link(md`service catalog`, "services.md")} for what that is.`,
    ),
    ...resolverSections(site, host),
  ],
});

/** The page of a deferred host. */
export const deferredRunbook = (host: DeferredHost): Document => ({
  path: runbookOf(host),
  title: md`Runbook: ${plain(host.title)} (deferred)`,
  body: [
    table(
      [md`name`, md`address`, md`deferred because`],
      [[md`${host.name}`, md`${host.address}`, plain(host.deferred.reason)]],
    ),
    paragraph(md`Nothing is sent to this host, and nothing on it comes from this repository. The plan says so too.`),
    heading(md`When it can be reached`),
    command(WORKSTATION, sh`ssh-keyscan -T 5 -p ${host.ssh.port} -t ecdsa ${host.address}`, {
      expected: `… ecdsa-sha2-nistp256 …`,
    }),
    steps(
      md`In the site, replace ${"deferred"} of ${host.name} by its ${"resolver"}, and put the key from above into ${"ssh.hostKey"}.`,
      md`Write these documents again, and read the plan: it must create one resource, and change no other.`,
      md`Deploy the stack ${"dns"}. This page is then the runbook of a host like the others.`,
    ),
    command(WORKSTATION, sh`npm run docs && npm run plan`),
    heading(md`Take it back`),
    paragraph(
      md`Put ${"deferred"} with its reason into the site again: nothing is sent any more. What was delivered stays on the host until it is rolled back there; its page says how, and how to verify it.`,
    ),
  ],
});
