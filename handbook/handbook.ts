import { hasResolver } from "../site/host";
import {
  deferredHosts,
  dnsHosts,
  hasCluster,
  hasDns,
  hasRegistry,
  isMonitored,
  managedHosts,
  runsRegistry,
  type Site,
} from "../site/schema";
import { alertPages } from "./alert-page";
import { catalog } from "./catalog";
import { cleanUpRunbook } from "./clean-up-runbook";
import { type Block, type Document, heading, list, paragraph, render } from "./document";
import { DRILLS, HOST_PAGE } from "./drills";
import { deferredRunbook, hostRunbook } from "./host-runbook";
import { imagePipelines, imagePipelinesPage } from "./image-pipeline";
import { runbookOf } from "./places";
import { prometheusFiles, prometheusPage } from "./prometheus";
import { link, md, plain } from "./prose";
import { rebuildRunbook } from "./rebuild-runbook";
import { registryRunbook } from "./registry-runbook";
import { restoreRunbook } from "./restore-runbook";
import { rotationRunbook } from "./rotation-runbook";
import { siteReference } from "./site-reference";
import { stateRunbook } from "./state-runbook";
import { TOPOLOGY, topology } from "./topology";
import { undeleteRunbook } from "./undelete-runbook";
import { upgradeRunbook } from "./upgrade-runbook";
import { workloadRunbook } from "./workload-runbook";

const runbooks = (site: Site): Document[] =>
  [
    ...managedHosts(site).map((host) => {
      if (runsRegistry(site, host)) return registryRunbook(site);
      return hasDns(site) && hasResolver(host) ? hostRunbook(site, host) : undefined;
    }),
    ...deferredHosts(site).map(deferredRunbook),
    ...(hasRegistry(site)
      ? [rebuildRunbook(site), undeleteRunbook(site), workloadRunbook(site), restoreRunbook(site)]
      : []),
    cleanUpRunbook(site),
    stateRunbook(site),
    rotationRunbook(site),
    ...(hasRegistry(site) ? [upgradeRunbook(site)] : []),
  ].filter((document) => document !== undefined);

const links = (documents: readonly Document[]) => list(...documents.map(({ title, path }) => link(title, path)));

const index = (described: readonly Document[], run: readonly Document[], alerts: readonly Document[]): Document => ({
  path: "README.md",
  title: md`Handbook`,
  body: [
    paragraph(
      md`Everything here but the decisions and the post-mortems is written by ${"npm run docs"} from the site, and a check fails while it is stale.`,
    ),
    heading(md`What there is`),
    links(described),
    heading(md`Something is wrong`),
    links(run),
    ...(alerts.length === 0 ? [] : [heading(md`An alert fired`), links(alerts)]),
    heading(md`Written by hand`),
    list(
      link(md`Ten minutes: from nothing to a site of your own`, "guide.md"),
      link(md`In an app of your own: the package`, "library.md"),
      link(md`Cleaning up a registry over HTTP`, "clean-up-over-http.md"),
      link(md`Another version of this product: up, and back`, "upgrading.md"),
      link(md`Debugging, and the lab by hand`, "debugging.md"),
      link(md`The incident of 2026-04-19`, "post-mortems/2026-04-19-index-without-children.md"),
      link(md`A template for the next post-mortem`, "post-mortems/template.md"),
      link(md`Decisions`, "adr"),
    ),
  ],
});

const contactOf = ({ contact }: Site): Block[] =>
  contact === undefined
    ? []
    : [
        paragraph(
          md`**Owner:** ${plain(contact.owner)}${contact.escalation === undefined ? md`` : md`. **No way out within half an hour:** ${plain(contact.escalation)}`}`,
        ),
      ];

/** How long it may take, if a drill starts with the page. */
const drilled = (site: Site, { path }: Document): Block[] => {
  const isHost = dnsHosts(site).some((host) => host.resolver.kind === "resolv.conf" && runbookOf(host) === path);
  const all = Object.entries(DRILLS).filter(
    ([, { page, inCluster }]) => page === (isHost ? HOST_PAGE : path) && (!inCluster || hasCluster(site)),
  );
  return all.length === 0
    ? []
    : [
        paragraph(
          md`**As drilled:** ${all.map(([incident, { commands, seconds }]) => plain(`${incident}: ${commands} commands, ${seconds} s`))}`,
        ),
      ];
};

/** Added at the top of pages that are read at three in the morning. */
const withHead = (site: Site, documents: readonly Document[]): readonly Document[] =>
  documents.map((document) => ({
    ...document,
    body: [...contactOf(site), ...drilled(site, document), ...document.body],
  }));

/** The pages of a site's handbook. @param more pages about the program, linked beside those about the site */
export const documentsOf = (site: Site, more: readonly Document[] = []): Document[] => {
  const pipelines = imagePipelinesPage(site);
  const own = [pipelines, prometheusPage(site)].filter((page) => page !== undefined);
  const described = [catalog(site), siteReference(), ...own, ...more];
  const run = withHead(site, runbooks(site));
  const alerts = withHead(site, isMonitored(site) ? alertPages(site) : []);
  return [index(described, run, alerts), ...described, ...run, ...alerts];
};

/**
 * Every generated file of a site's handbook, by path.
 *
 * @param more pages in addition to those of the site
 * @param handwritten relative path from the generated pages to the hand-written ones; default: the same folder
 */
export const handbook = (site: Site, more: readonly Document[] = [], handwritten = ""): ReadonlyMap<string, string> => {
  const documents = documentsOf(site, more);
  const others = new Map([...imagePipelines(site), ...prometheusFiles(site), [TOPOLOGY, topology(site)]]);
  const generated = new Set([...documents.map(({ path }) => path), ...others.keys()]);
  return new Map([
    ...documents.map((document) => [document.path, render(document, { generated, handwritten })] as const),
    ...others,
  ]);
};
