import type { AlertingRule, Subject } from "../monitoring/alert";
import { documentedRules } from "../monitoring/rules";
import { hasRegistry, type MonitoredSite, serviceInstance } from "../site/schema";
import { adviceFor } from "./alert-advice";
import { cleanUpAdviceFor } from "./clean-up-advice";
import { type Block, code, type Document, heading, paragraph, table } from "./document";
import { diagnosisElsewhere, mitigationElsewhere } from "./external-registry";
import { hostAdviceFor } from "./host-advice";
import { startCleanUp, stopCleanUp } from "./maintenance";
import { md, plain } from "./prose";

/** A rule, and one of the things that it is about. */
interface Firing {
  readonly site: MonitoredSite;
  readonly rule: AlertingRule;
  readonly subject: Subject;
}

const firings = (site: MonitoredSite): Firing[] =>
  documentedRules(site).flatMap(({ rule, about }) => about.map((subject) => ({ site, rule, subject })));

/** @throws Error for an alert without a page: whoever adds an alert also writes its page in that file */
const known = <Advice>(alert: string, advice: Advice | undefined, file: string): Advice => {
  if (advice === undefined) throw new Error(`the alert ${alert} has no page; write it in handbook/${file}`);
  return advice;
};

/** Its name in the alert. */
const nameOf = ({ site, subject }: Firing): string =>
  subject.kind === "host" ? subject.host.name : serviceInstance(site, subject.service);

/** What to do about one firing alert, for our own registries or for external ones. */
const blocksOf = ({ site, rule, subject }: Firing, part: "diagnosis" | "mitigation"): Block[] => {
  switch (subject.kind) {
    case "service":
      return hasRegistry(site) ? adviceFor(rule.alert)[part]({ site, ...subject }) : [];
    case "external":
      return (part === "diagnosis" ? diagnosisElsewhere : mitigationElsewhere)({ site, ...subject });
    case "host":
      return known(rule.alert, hostAdviceFor(rule.alert), "host-advice.ts")[part]({ site, host: subject.host });
    case "clean-up":
      return known(rule.alert, cleanUpAdviceFor(rule.alert), "clean-up-advice.ts")[part]({ site, ...subject });
  }
};

/** The blocks for everything that the alert is about, under separate headings if they differ. */
const forEach = (all: readonly Firing[], part: "diagnosis" | "mitigation"): Block[] => {
  const each = all.map((firing) => ({ firing, own: blocksOf(firing, part) }));
  const different = new Set(each.map(({ own }) => JSON.stringify(own))).size > 1;
  return different
    ? each.flatMap(({ firing, own }) => [heading(md`${nameOf(firing)}`, 3), ...own])
    : (each[0]?.own ?? []);
};

const page = (alert: string, all: readonly Firing[]): Document => {
  const advice = hostAdviceFor(alert) ?? cleanUpAdviceFor(alert) ?? adviceFor(alert);
  const [first] = all;
  const ours = all.find(({ subject }) => subject.kind === "service")?.site;
  const site = "stopsCleanUp" in advice && ours !== undefined && hasRegistry(ours) ? ours : undefined;
  return {
    path: `alerts/${alert}.md`,
    title: md`${plain(alert)}`,
    body: [
      ...(first === undefined ? [] : [paragraph(plain(first.rule.annotations.summary))]),
      ...(site === undefined ? [] : stopCleanUp(site)),
      table(
        [first?.subject.kind === "host" ? md`host` : md`registry`, md`severity`, md`has to hold for`],
        all.map((firing) => [md`${nameOf(firing)}`, plain(firing.rule.labels.severity), plain(firing.rule.for)]),
      ),
      heading(md`Meaning`),
      paragraph(advice.meaning),
      ...[...new Set(all.map(({ rule }) => rule.expr))].map((expr) => code("promql", expr)),
      heading(md`Impact`),
      paragraph(advice.impact),
      heading(md`Diagnosis`),
      ...forEach(all, "diagnosis"),
      heading(md`Mitigation`),
      ...forEach(all, "mitigation"),
      ...(site === undefined ? [] : startCleanUp(site)),
    ],
  };
};

/** One page for each alert, in the order of the rules. */
export const alertPages = (site: MonitoredSite): Document[] => {
  const all = firings(site);
  const names = [...new Set(all.map(({ rule }) => rule.alert))];
  return names.map((name) =>
    page(
      name,
      all.filter(({ rule }) => rule.alert === name),
    ),
  );
};
