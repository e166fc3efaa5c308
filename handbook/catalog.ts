import { DASHBOARD } from "../monitoring/dashboard-identity";
import { imageReference } from "../site/image";
import { cleanUpName, type Probe } from "../site/monitoring";
import { containerName, dataDirectory, registryPaths, type Service } from "../site/registry";
import {
  cleanUps,
  hasRegistry,
  isMonitored,
  type MonitoredSite,
  probedService,
  pushgatewayUrl,
  type RegistrySite,
  registryHost,
  type Site,
  serviceInstance,
  serviceUrl,
} from "../site/schema";
import { CLEAN_UP } from "./clean-up-runbook";
import { delaysOf } from "./delay";
import { type Block, type Document, heading, paragraph, table } from "./document";
import { maintenanceSection, maintenanceTable } from "./maintenance";
import { runbookOf } from "./places";
import { link, md, type Prose, plain } from "./prose";
import { REBUILD } from "./rebuild-runbook";
import { TOPOLOGY } from "./topology";

/** Who has a service's data when its disk is lost. */
const owner = (site: RegistrySite, service: Service): Prose => {
  if (service.role === "proxy") return md`its upstream, ${service.upstream}: the data here are copies`;
  const copy = site.registry.offsiteCopy;
  return copy === undefined
    ? md`**this service alone**: there is no copy`
    : md`this service; a copy of at most ${copy.maximumAgeHours} hours on ${plain(copy.title)}`;
};

const services = (site: RegistrySite): Block[] => {
  const { registry } = site;
  const paths = registryPaths(registry.directory);
  return [
    heading(md`Registries`),
    paragraph(
      md`All on ${link(plain(registryHost(site).title), runbookOf(registryHost(site)))}, in the compose project ${registry.project}, all of the image ${imageReference(registry.images.registry)}, behind ${imageReference(registry.images.nginx)}.`,
    ),
    table(
      [md`service`, md`what it is`, md`clients use`, md`owner of the data`],
      registry.services.map((service) => [
        md`${containerName(service)}`,
        service.role === "private" ? md`private registry` : md`pull-through cache`,
        md`${serviceUrl(site, service)}`,
        owner(site, service),
      ]),
    ),
    table(
      [md`service`, md`published`, md`data`, md`configuration`],
      registry.services.map((service) => [
        md`${containerName(service)}`,
        service.metricsPort === undefined
          ? md`${service.port} (reverse proxy)`
          : md`${service.port} (reverse proxy), ${service.metricsAddress}:${service.metricsPort} (metrics and profiles)`,
        md`${dataDirectory(registry, service)}`,
        md`${paths.config(service.name)}`,
      ]),
    ),
    ...(registry.ui === undefined || registry.images.ui === undefined
      ? []
      : [
          paragraph(
            md`${imageReference(registry.images.ui)} shows what is in ${containerName({ name: registry.ui.browses })}, at ${`http://${registryHost(site).address}:${registry.ui.port}`}. It cannot delete.`,
          ),
        ]),
  ];
};

const hosts = (site: Site): Block[] =>
  site.hosts.length === 0
    ? []
    : [
        heading(md`Hosts`),
        table(
          [md`host`, md`address`, md`looks names up at`, md`runbook`],
          site.hosts.map((host) => [
            md`${host.name}`,
            md`${host.address}`,
            host.resolver === undefined
              ? host.deferred === undefined
                ? md`its own settings`
                : md`not managed (deferred)`
              : md`${host.resolver.nameservers}`,
            link(plain(host.title), runbookOf(host)),
          ]),
        ),
      ];

/** Path below docs/ of the dashboard's picture, taken by test/pictures/dashboard.ts. */
const PICTURE = "pictures/dashboard.png";

const dashboard = ({ monitoring }: MonitoredSite): Block[] =>
  monitoring.dashboard === undefined
    ? []
    : [
        paragraph(
          md`Grafana shows what they report on the dashboard **${plain(DASHBOARD.title)}**. Here a registry of the lab loses parts of its images, is away for a moment, is repaired and then cleaned up, all within two minutes; beside it is a cache that is only asked whether it answers. What is drawn are the answers of a real Prometheus to the dashboard's own queries; the page is drawn by ${"test/pictures/dashboard.ts"}, and Grafana's looks a little different.`,
        ),
        { kind: "image", text: md`The dashboard, after an incident`, target: PICTURE },
      ];

const whereItRuns = (site: MonitoredSite, { runsOn }: Probe): Prose =>
  runsOn === "cluster"
    ? md`as a CronJob in ${site.monitoring.namespace?.name ?? ""}`
    : md`as a timer on ${site.registry?.host ?? ""}`;

const probes = (site: MonitoredSite): Block[] => [
  heading(md`Probes and alerts`),
  table(
    [md`probe`, md`runs`, md`watches`, md`every`, md`reports to`],
    site.monitoring.probes.map((probe) => [
      md`${probe.name}`,
      whereItRuns(site, probe),
      md`${serviceInstance(site, probedService(site, probe))}`,
      md`${probe.periodMinutes} min`,
      md`${pushgatewayUrl(site)}`,
    ]),
  ),
  ...dashboard(site),
  paragraph(
    md`How soon an alert fires in the worst case: a failure begins just after a run has looked there, and every run takes as long as it may. A scrape and an evaluation of Prometheus come on top.`,
  ),
  table(
    [md`alert`, md`severity`, md`fires at most`, md`after`],
    delaysOf(site).map(({ alert, severity, from, atMost }) => [
      link(md`${plain(alert)}`, `alerts/${alert}.md`),
      plain(severity),
      md`${Math.ceil(atMost / 60)} min`,
      plain(from),
    ]),
  ),
];

const cleanUpsOf = (site: MonitoredSite): Block[] => {
  const cleaned = cleanUps(site);
  return cleaned.length === 0
    ? []
    : [
        heading(md`Clean-ups over HTTP`),
        table(
          [md`CronJob`, md`cleans up`, md`runs (UTC)`, md`journal`],
          cleaned.map(({ service, cleanUp: { schedule, suspend, journalClaim } }) => [
            md`${cleanUpName(service)}`,
            md`${serviceInstance(site, service)}`,
            suspend ? md`**suspended**` : md`${schedule.at} on ${schedule.days}`,
            md`${journalClaim}`,
          ]),
        ),
        paragraph(md`How to start it, to stop it and to take back what it did: ${link(md`its runbook`, CLEAN_UP)}.`),
      ];
};

const maintenance = (site: RegistrySite): Block[] =>
  site.registry.maintenance === undefined
    ? []
    : [
        heading(md`Maintenance`),
        maintenanceTable(site.registry.maintenance),
        paragraph(md`How to run it, to stop it and to read what it says: ${maintenanceSection(site)}.`),
      ];

const images = (site: Site): Block[] =>
  site.ci === undefined
    ? []
    : [
        heading(md`Images that CI builds`),
        table(
          [md`image`, md`from`, md`on a push to`, md`when it is broken`],
          site.ci.images.map((image) => [
            md`${[...image.tags.map((tag) => `${image.repository}:${tag}`)]}`,
            md`${image.dockerfile}`,
            md`${image.branch}`,
            link(md`An image cannot be pulled`, REBUILD),
          ]),
        ),
      ];

/** What there is, where it is, and where to read on. */
export const catalog = (site: Site): Document => ({
  path: "services.md",
  title: md`Service catalog`,
  body: [
    { kind: "image", text: md`Who talks to whom`, target: TOPOLOGY },
    ...(hasRegistry(site) ? services(site) : []),
    ...hosts(site),
    ...(isMonitored(site) ? [...probes(site), ...cleanUpsOf(site)] : []),
    ...(hasRegistry(site) ? maintenance(site) : []),
    ...images(site),
  ],
});
