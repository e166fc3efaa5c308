import { type AlertingRule, rulesFor } from "../monitoring/rules";
import { probedService, type Site, serviceInstance } from "../site/schema";
import { adviceFor, type Watched } from "./alert-advice";
import { type Block, code, type Document, heading, paragraph, table } from "./document";
import { md, plain } from "./prose";

/** A rule, and what it watches. */
interface Firing {
  readonly rule: AlertingRule;
  readonly watched: Watched;
}

const firings = (site: Site): Firing[] =>
  rulesFor(site).flatMap(({ rules }, index) => {
    const probe = site.monitoring.probes[index];
    if (probe === undefined) return [];
    return rules.map((rule) => ({ rule, watched: { site, probe, service: probedService(site, probe) } }));
  });

const instance = ({ watched: { site, service } }: Firing): string => serviceInstance(site, service);

/** The blocks of each registry that the alert is about, under its name where there are several. */
const forEach = (all: readonly Firing[], blocks: (watched: Watched) => Block[]): Block[] =>
  all.flatMap((firing) => [
    ...(all.length === 1 ? [] : [heading(md`${instance(firing)}`, 3)]),
    ...blocks(firing.watched),
  ]);

const page = (alert: string, all: readonly Firing[]): Document => {
  const advice = adviceFor(alert);
  const [first] = all;
  return {
    path: `alerts/${alert}.md`,
    title: md`${plain(alert)}`,
    body: [
      ...(first === undefined ? [] : [paragraph(plain(first.rule.annotations.summary))]),
      table(
        [md`registry`, md`severity`, md`has to hold for`],
        all.map((firing) => [md`${instance(firing)}`, plain(firing.rule.labels.severity), plain(firing.rule.for)]),
      ),
      heading(md`Meaning`),
      paragraph(advice.meaning),
      ...all.map(({ rule }) => code("promql", rule.expr)),
      heading(md`Impact`),
      paragraph(advice.impact),
      heading(md`Diagnosis`),
      ...forEach(all, advice.diagnosis),
      heading(md`Mitigation`),
      ...forEach(all, advice.mitigation),
    ],
  };
};

/** One page an alert, in the order of the rules. */
export const alertPages = (site: Site): Document[] => {
  const all = firings(site);
  const names = [...new Set(all.map(({ rule }) => rule.alert))];
  return names.map((name) =>
    page(
      name,
      all.filter(({ rule }) => rule.alert === name),
    ),
  );
};
