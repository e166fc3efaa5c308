import { type AlertingRule, watchesOf } from "../monitoring/rules";
import { isExternal, type Site, serviceInstance } from "../site/schema";
import { adviceFor, type Watched } from "./alert-advice";
import { type Block, code, type Document, heading, paragraph, table } from "./document";
import { diagnosisElsewhere, mitigationElsewhere, type WatchedElsewhere } from "./external-registry";
import { md, plain } from "./prose";

/** A rule, and what it watches. */
interface Firing {
  readonly rule: AlertingRule;
  readonly watched: Watched | WatchedElsewhere;
}

const firings = (site: Site): Firing[] =>
  watchesOf(site).flatMap(({ group, ...watch }) => group.rules.map((rule) => ({ rule, watched: { site, ...watch } })));

const instance = ({ watched: { site, service } }: Firing): string => serviceInstance(site, service);

const isElsewhere = (watched: Watched | WatchedElsewhere): watched is WatchedElsewhere => isExternal(watched.service);

/** The blocks of each registry that the alert is about, under its name where they are not the same for all. */
const forEach = (
  all: readonly Firing[],
  blocks: (watched: Watched) => Block[],
  elsewhere: (watched: WatchedElsewhere) => Block[],
): Block[] => {
  const each = all.map((firing) => ({
    firing,
    own: isElsewhere(firing.watched) ? elsewhere(firing.watched) : blocks(firing.watched),
  }));
  const different = new Set(each.map(({ own }) => JSON.stringify(own))).size > 1;
  return different
    ? each.flatMap(({ firing, own }) => [heading(md`${instance(firing)}`, 3), ...own])
    : (each[0]?.own ?? []);
};

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
      ...forEach(all, advice.diagnosis, diagnosisElsewhere),
      heading(md`Mitigation`),
      ...forEach(all, advice.mitigation, mitigationElsewhere),
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
