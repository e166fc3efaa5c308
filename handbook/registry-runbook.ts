import { NGINX, servicesUp } from "../hosts/compose";
import { composeOf, registryDelivery } from "../hosts/registry";
import { hasResolver } from "../site/host";
import { containerName, type Service } from "../site/registry";
import { hasDns, privateServices, type RegistrySite, registryHost, serviceUrl } from "../site/schema";
import { cacert, fetchAuthority } from "./authority";
import { certificateSection, servedCertificate } from "./certificate";
import { firstAid, measured } from "./disk";
import { type Block, command, type Document, heading, list, paragraph, steps, table } from "./document";
import { maintenanceRunbook, reclaim } from "./maintenance";
import { compose, deliveryProgram, deployHosts, onHost, runbookOf, sshTo, WORKSTATION } from "./places";
import { link, md, plain, type Shell, sh } from "./prose";
import { deliverAgainSteps, resolverSections, rollBack, toDeliverAgain } from "./resolver";
import { bringWarden, STORE, verifyRegistry, wardenHere, wardenOnStore } from "./warden";

/** A service's status for a request without credentials when all is well. */
const status = (role: "private" | "proxy"): number => (role === "private" ? 401 : 200);

const healthy = (site: RegistrySite): string => {
  const up = servicesUp(composeOf(site));
  return Object.values(up)
    .map(({ container_name: name, healthcheck }) => `${name} Up …${healthcheck === undefined ? "" : " (healthy)"}`)
    .sort()
    .join("\n");
};

const firstLook = (site: RegistrySite): Block[] => {
  const host = registryHost(site);
  const { services } = site.registry;
  const trustedByAll = services.filter((service) => cacert(site, service).length === 0);
  const trusted: [Shell[], Service[]][] = [
    ...(trustedByAll.length === 0 ? [] : [[[], trustedByAll] as [Shell[], Service[]]]),
    ...services
      .filter((service) => !trustedByAll.includes(service))
      .map((service): [Shell[], Service[]] => [cacert(site, service), [service]]),
  ];
  return [
    heading(md`First look`),
    paragraph(md`Are all containers up?`),
    command(onHost(host), sh`${compose(site)} ps --all --format ${"{{.Name}} {{.Status}}"} | sort`, {
      expected: healthy(site),
    }),
    paragraph(md`Does each port answer? A private registry has to ask for credentials, a cache answers at once:`),
    ...trusted.flatMap(([options, together]) => [
      ...together.flatMap((service) => fetchAuthority(site, service)),
      command(
        WORKSTATION,
        sh`for url in ${together.map((service) => `${serviceUrl(site, service)}/v2/`)}; do curl --silent --max-time 10 --output /dev/null --write-out ${["%{http_code} %{url_effective}\\n", ...options]} "$url"; done`,
        { expected: together.map((service) => `${status(service.role)} ${serviceUrl(site, service)}/v2/`).join("\n") },
      ),
    ]),
    list(
      md`${"502"} or ${"504"}: the reverse proxy runs and the registry behind it does not. Go on with that service below.`,
      md`${"200"} from a private registry: another registry answers in its place, and pushes go there. ${`${wardenHere.text} drift ${host.name}`} says what was changed: ${toDeliverAgain(host, "registry")}. Nothing was: restart the reverse proxy, below.`,
      md`${"000"} from a private registry alone: its certificate, below.`,
      md`${"000"} from all: the reverse proxy, the host or the network is down.`,
    ),
    ...privateServices(site.registry).flatMap((service) => [
      paragraph(
        md`Is the certificate of ${containerName(service)} still good? If it says "will expire", it has ended: ${link(md`renew it`, certificateSection(site, service))}, and nothing else is wrong.`,
      ),
      servedCertificate(site, service),
    ]),
    ...privateServices(site.registry).flatMap((service) => [
      paragraph(md`Can everything in ${containerName(service)} be pulled?`),
      ...verifyRegistry(site, service),
      paragraph(
        md`Any failure there: go to ${link(md`An image cannot be pulled`, "runbooks/rebuild-image.md")}, and collect no garbage before it is repaired.`,
      ),
    ]),
  ];
};

const oneService = (site: RegistrySite): Block[] => {
  const host = registryHost(site);
  const authoritative = privateServices(site.registry).map(containerName);
  const caches = site.registry.services.filter(({ role }) => role === "proxy").map(containerName);
  const [example = ""] = [...authoritative, ...caches];
  return [
    heading(md`One service is not healthy`),
    paragraph(md`Say which one, once. The commands below use it:`),
    command(onHost(host), sh`service=${example}`),
    command(onHost(host), sh`${compose(site)} logs --tail 50 "$service"`),
    command(onHost(host), sh`${compose(site)} restart "$service"`),
    command(onHost(host), sh`docker inspect --format ${"{{.State.Health.Status}}"} "$service"`),
    paragraph(
      md`It says ${"starting"} for some seconds and then ${"healthy"}. The others are not touched by this: the reverse proxy looks each name up again, and answers ${"502"} or ${"504"} for a service that is down.`,
    ),
    list(
      ...(authoritative.length === 0
        ? []
        : [
            md`${authoritative} holds what exists nowhere else. If it does not come up, look at its disk, its htpasswd file and its certificate.`,
          ]),
      ...(caches.length === 0
        ? []
        : [
            md`${caches} hold copies. A cache cannot start while its upstream is down: that is the upstream's outage, and ends with it.`,
          ]),
    ),
    paragraph(md`The reverse proxy alone:`),
    command(onHost(host), sh`${compose(site)} exec -T ${NGINX} nginx -t && ${compose(site)} restart ${NGINX}`, {
      expected: "…syntax is ok\n…test is successful\n…",
    }),
    heading(md`Everything at once`, 3),
    command(onHost(host), sh`systemctl restart ${site.registry.unit}`),
    command(onHost(host), sh`systemctl is-active ${site.registry.unit}`, { expected: "active" }),
  ];
};

/** Number of tags kept in each repository, in the example of a plan. */
const KEPT = 10;

const disk = (site: RegistrySite): Block[] => [
  heading(md`The disk is full`),
  ...measured(site),
  ...firstAid(site),
  ...(site.registry.maintenance === undefined ? planByHand(site) : reclaim(site)),
  paragraph(
    md`Never run ${"garbage-collect -m"}: on this version of the registry it deletes the parts of images that are in use. That was ${link(md`the incident of 2026-04-19`, "post-mortems/2026-04-19-index-without-children.md")}.`,
  ),
];

/** For a site without maintenance. */
const planByHand = (site: RegistrySite): Block[] =>
  privateServices(site.registry).flatMap((service) => [
    paragraph(
      md`This plans what may go from ${containerName(service)} when the newest ${KEPT} tags of each repository stay, with everything that they need, and says how much that frees. It changes nothing, and it refuses while anything is broken. Its last line says how to go on:`,
    ),
    bringWarden(site),
    command(onHost(registryHost(site)), sh`${wardenOnStore(site, service)} prune ${STORE} --keep-newest ${KEPT}`, {
      expected: `store     ${STORE}\nkeep      …\nremove    …; the garbage collection frees …`,
    }),
  ]);

const change = (site: RegistrySite): Block[] => {
  const host = registryHost(site);
  const program = deliveryProgram("registry");
  const { backups, files } = registryDelivery(site);
  return [
    heading(md`Change it`),
    paragraph(
      md`Never edit these files on the host: the next deploy replaces them. Edit the site, read the plan, deploy. Images are pulled before anything stops; only what changed is recreated; what was healthy before has to be healthy after, or everything is put back.`,
    ),
    list(...files.map(({ path }) => md`${path}`)),
    command(WORKSTATION, sh`npm run plan`, { expected: "…\nregistry-vm …" }),
    command(WORKSTATION, deployHosts(site), {
      expected: `…${host.name}: registry is delivered…`,
    }),
    paragraph(md`Verify, on the host or as in ${link(md`First look`, `${runbookOf(host)}#first-look`)}:`),
    command(onHost(host), sh`bash ${program} verify`, { expected: `…\n${host.name}: registry works` }),
    paragraph(md`Does anything on the host differ from the site, also what somebody changed by hand? This only reads:`),
    command(WORKSTATION, sh`${wardenHere} drift ${host.name}`, {
      expected: `site: …\n${host.name}: as the site has it`,
    }),
    paragraph(
      md`Anything else: it prints what differs, and the command that comes next: ${toDeliverAgain(host, "registry")}.`,
    ),
    ...deliverAgainSteps(host, "registry"),
    heading(md`Take it back`, 3),
    paragraph(
      md`The backups are ${`${backups}-YYYYMMDD-HHMMSS.tar.gz`} on the host (UTC): configurations, not images. The newest of the host's, these and those of its names, is what a rollback goes to; name another with ${"--to"}:`,
    ),
    ...rollBack(host, "registry"),
  ];
};

/** The runbook of the host that runs the registries. */
export const registryRunbook = (site: RegistrySite): Document => {
  const host = registryHost(site);
  const { services, directory, unit, project } = site.registry;
  return {
    path: runbookOf(host),
    title: md`Runbook: ${plain(host.title)}`,
    body: [
      table(
        [md`name`, md`address`, md`reached with`],
        [[md`${host.name}`, md`${host.address}`, md`${sshTo(host).text}`]],
      ),
      paragraph(
        md`It runs ${services.length === 1 ? md`one registry` : plain(`${services.length} registries`)} behind a reverse proxy, as the compose project ${project} in ${directory}, started at boot by ${unit}. What each of them is for is in the ${link(md`service catalog`, "services.md")}.`,
      ),
      steps(
        md`Look: ${link(md`First look`, `${runbookOf(host)}#first-look`)} says in a minute what is wrong.`,
        md`Stop the damage from growing: collect no garbage, prune nothing.`,
        md`Repair one thing, look again.`,
      ),
      ...firstLook(site),
      ...oneService(site),
      ...disk(site),
      ...maintenanceRunbook(site),
      ...change(site),
      ...(hasDns(site) && hasResolver(host) ? resolverSections(site, host) : []),
    ],
  };
};
