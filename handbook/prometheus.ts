import { stringify } from "yaml";
import { PUSHGATEWAY } from "../hosts/compose";
import { integrityDashboard } from "../monitoring/dashboard";
import { INHIBIT_RULES } from "../monitoring/inhibition";
import { rulesFor } from "../monitoring/rules";
import { rulesFile } from "../monitoring/rules-file";
import { isInCluster } from "../site/monitoring";
import {
  hasRegistry,
  isLoopback,
  isMonitored,
  type MonitoredSite,
  ownPushgateway,
  pushgatewayUrl,
  pushgatewayUrlOnHost,
  registryHost,
  type Site,
} from "../site/schema";
import { type Block, code, type Document, heading, paragraph, table } from "./document";
import { md, plain } from "./prose";

const FOLDER = "prometheus";
const RULES = "registry-alerts.rules.yaml";
const SCRAPE = "prometheus.yaml";
const INHIBITIONS = "alertmanager.yaml";

const YAML = { lineWidth: 0 };

/** Whether the operator installs the rules in a Prometheus by hand, wherever that runs. */
const isByHand = (site: Site): site is MonitoredSite => isMonitored(site) && !isInCluster(site.monitoring.rules);

/** The Pushgateway as Prometheus reaches it: if it listens on loopback only, Prometheus must be on the same host. */
const scraped = (site: MonitoredSite): URL => {
  const own = ownPushgateway(site);
  return new URL(own !== undefined && isLoopback(own.listen) ? pushgatewayUrlOnHost(site) : pushgatewayUrl(site));
};

/** The configuration of Prometheus: scrape targets and rule files. */
const scrape = (site: MonitoredSite): string => {
  const { protocol, host } = scraped(site);
  return stringify(
    {
      rule_files: [RULES],
      scrape_configs: [
        {
          job_name: "pushgateway",
          honor_labels: true,
          ...(protocol === "https:" ? { scheme: "https" } : {}),
          static_configs: [{ targets: [host] }],
        },
      ],
    },
    YAML,
  );
};

/** The files for Prometheus, Alertmanager and Grafana, by path; none if these are in a cluster. */
export const prometheusFiles = (site: Site): ReadonlyMap<string, string> => {
  if (!isByHand(site)) return new Map();
  const dashboard = integrityDashboard();
  return new Map([
    [`${FOLDER}/${RULES}`, rulesFile(rulesFor(site))],
    [`${FOLDER}/${SCRAPE}`, scrape(site)],
    [`${FOLDER}/${INHIBITIONS}`, stringify({ inhibit_rules: INHIBIT_RULES }, YAML)],
    [`${FOLDER}/${dashboard.uid}.json`, `${JSON.stringify(dashboard, null, 2)}\n`],
  ]);
};

const gateway = (site: MonitoredSite): Block[] => {
  const own = ownPushgateway(site);
  if (own === undefined || !hasRegistry(site))
    return [
      paragraph(
        md`The probes push to ${pushgatewayUrl(site)}. If nothing runs there yet: Debian and Ubuntu have it as ${"apt-get install prometheus-pushgateway"}, which listens on port 9091, and its image is ${"prom/pushgateway"}. It asks nobody for a password, and whoever reaches it can silence every alert: let only the hosts of the site and Prometheus reach it. It needs no disk: every report comes again.`,
      ),
    ];
  const { network } = site.registry;
  return [
    paragraph(
      md`It is the service ${PUSHGATEWAY.service} beside the registries on the ${plain(registryHost(site).title)}, and comes and goes with them. ${isLoopback(own.listen) ? md`Only programs of that host reach it, at ${scraped(site).host}: a Prometheus that runs elsewhere needs ${"listen"} in the site.` : md`It can be reached at ${scraped(site).host} by whoever reaches that address: it asks nobody for a password, and whoever reaches it can silence every alert.`}`,
    ),
    paragraph(
      md`A Prometheus in a container of the same host joins the network ${network} of the compose project, and takes ${new URL(PUSHGATEWAY.url).host} for the target.`,
    ),
  ];
};

/** How to set up a Prometheus outside a cluster; undefined if it is in one. */
export const prometheusPage = (site: Site): Document | undefined => {
  if (!isByHand(site)) return undefined;
  const { uid } = integrityDashboard();
  const row = (file: string, what: ReturnType<typeof md>) => [md`${`${FOLDER}/${file}`}`, what];
  return {
    path: "prometheus.md",
    title: md`Prometheus, Alertmanager and Grafana`,
    body: [
      paragraph(
        md`No stack delivers what follows: the files are beside this page, ${"npm run docs"} writes them again with every change of the site, and its check says when they are stale. Bring them to where Prometheus runs.`,
      ),
      table(
        [md`file`, md`what to do with it`],
        [
          row(RULES, md`beside ${"prometheus.yml"}; ${"warden rules"} prints the same`),
          row(
            SCRAPE,
            md`its two lists go into those of ${"prometheus.yml"}; then restart Prometheus, or send it SIGHUP`,
          ),
          row(INHIBITIONS, md`its list goes into ${"alertmanager.yml"}: one cause, one page`),
          row(`${uid}.json`, md`Grafana, Dashboards, New, Import`),
        ],
      ),
      heading(md`The Pushgateway`),
      ...gateway(site),
      heading(md`The scrape`),
      code("yaml", scrape(site).trimEnd()),
      paragraph(
        md`Without ${"honor_labels: true"} the labels of each report are replaced by those of the Pushgateway, and no alert knows its registry.`,
      ),
    ],
  };
};
