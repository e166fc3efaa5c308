import { parse } from "yaml";
import { render } from "../../handbook/document";
import { prometheusFiles, prometheusPage } from "../../handbook/prometheus";
import { integrityDashboard } from "../../monitoring/dashboard";
import { INHIBIT_RULES } from "../../monitoring/inhibition";
import { rulesFor } from "../../monitoring/rules";
import type { MonitoredSite, Site } from "../../site/schema";
import { parsed, referenceSite, SHIPPED, type WholeInput } from "../sites";

const shipped = SHIPPED["no-kubernetes"] as WholeInput;
const withGateway = (pushgateway: unknown): Site =>
  parsed({ ...shipped, monitoring: { ...shipped.monitoring, pushgateway } } as WholeInput);
const scrapeOf = (site: Site) => parse(prometheusFiles(site).get("prometheus/prometheus.yaml") ?? "");
const textOf = (site: Site): string => {
  const page = prometheusPage(site);
  return page === undefined ? "" : render(page);
};

test("a site whose cluster has everything gets none of it", () => {
  expect([prometheusPage(referenceSite), [...prometheusFiles(referenceSite)]]).toEqual([undefined, []]);
});

test("rules, inhibitions and dashboard are those of a cluster", () => {
  const site = parsed(shipped) as MonitoredSite;
  const files = prometheusFiles(site);
  const read = (name: string) => parse(files.get(`prometheus/${name}`) ?? "");
  expect(read("registry-alerts.rules.yaml")).toEqual(JSON.parse(JSON.stringify({ groups: rulesFor(site) })));
  expect(read("alertmanager.yaml")).toEqual(JSON.parse(JSON.stringify({ inhibit_rules: INHIBIT_RULES })));
  expect(read("registry-integrity.json")).toEqual(JSON.parse(JSON.stringify(integrityDashboard())));
  for (const path of files.keys()) expect(textOf(site)).toContain(`\`${path}\``);
});

test.each([
  ["that its own host alone reaches", { listen: undefined }, "127.0.0.1:9091", /needs `listen` in the site/],
  ["that its network reaches", { listen: "192.0.2.40" }, "192.0.2.40:9091", /whoever reaches that address/],
])("a Pushgateway of the site's own, %s", (_, more, target, words) => {
  const { listen: _listen, ...own } = shipped.monitoring.pushgateway as { listen?: string };
  const site = withGateway({ ...own, ...more });
  expect(scrapeOf(site).scrape_configs).toEqual([
    { job_name: "pushgateway", honor_labels: true, static_configs: [{ targets: [target] }] },
  ]);
  expect(textOf(site)).toMatch(words);
  expect(textOf(site)).toContain("joins the network `registry`");
});

test("one that runs elsewhere, with TLS: how one is had, and the scheme", () => {
  const site = withGateway("https://push.example.org");
  expect(scrapeOf(site).scrape_configs).toMatchObject([
    { scheme: "https", static_configs: [{ targets: ["push.example.org"] }] },
  ]);
  expect(textOf(site)).toContain("apt-get install prometheus-pushgateway");
});
