import type { Subject } from "../monitoring/alert";
import { CLEAN_UP_JOB } from "../monitoring/metrics";
import { cleanUpName } from "../site/monitoring";
import { hasCluster, type MonitoredSite, pushgatewayUrl } from "../site/schema";
import { CLEAN_UP, cleanUpLog, cleanUpNow } from "./clean-up-runbook";
import { deployMonitoring, inCluster, kubectl } from "./cluster";
import { type Block, list, paragraph } from "./document";
import { link, md, type Prose, sh } from "./prose";

/** The registry whose clean-up an alert is about. */
export type WatchedCleanUp = Extract<Subject, { kind: "clean-up" }> & { readonly site: MonitoredSite };

/** What a person on call has to know about an alert about a clean-up. */
export interface CleanUpAdvice {
  readonly meaning: Prose;
  readonly impact: Prose;
  readonly diagnosis: (watched: WatchedCleanUp) => Block[];
  readonly mitigation: (watched: WatchedCleanUp) => Block[];
}

const runbook = link(md`its runbook`, CLEAN_UP);

/** Whether it starts, and its log. */
const lastRuns = (watched: WatchedCleanUp): Block[] =>
  hasCluster(watched.site)
    ? [
        paragraph(
          md`Does it start? ${"True"} under SUSPEND: somebody stopped it, and that is the cause. What did it say?`,
        ),
        inCluster(sh`${kubectl(watched.site)} get cronjob ${cleanUpName(watched.service)}`, "NAME…"),
        cleanUpLog(watched.site, watched),
      ]
    : [];

const again = (watched: WatchedCleanUp): Block[] =>
  hasCluster(watched.site)
    ? [
        paragraph(md`Run it now. The alert ends when it has done all of its work:`),
        ...cleanUpNow(watched.site, watched),
      ]
    : [];

const refusals = list(
  md`"the report of what runs in … is missing", or is hours old: its probe does not report. Nothing was removed, and nothing will be until it does.`,
  md`"takes no deletions", "refuses the credentials": the account in the Secret, or the registry's own settings.`,
  md`${"failed"} and ${"broken"} before a name: what could not be removed, and what is broken now. If that is what an image needs, undo the run: ${runbook}.`,
);

const ADVICE: Readonly<Record<string, CleanUpAdvice>> = {
  RegistryCleanUpFailed: {
    meaning: md`The last clean-up over HTTP refused, failed on the way, or found something broken when it was done.`,
    impact: md`Where it refused nothing was removed, and the registry grows. Where something is broken, an image cannot be pulled: every manifest that it removed is in its journal.`,
    diagnosis: (watched) => [...lastRuns(watched), refusals],
    mitigation: (watched) => [paragraph(md`Remove the cause that the log names.`), ...again(watched)],
  },
  RegistryCleanUpStale: {
    meaning: md`No clean-up over HTTP has done all of its work for longer than its schedule allows.`,
    impact: md`The registry grows.`,
    diagnosis: (watched) => [...lastRuns(watched), refusals],
    mitigation: (watched) => [
      paragraph(md`Suspended, and the reason is over: deploy, which starts the schedule again.`),
      deployMonitoring,
      ...again(watched),
    ],
  },
  RegistryCleanUpAbsent: {
    meaning: md`Nothing is known of a clean-up over HTTP: it has not run since it was deployed, or its reports do not arrive.`,
    impact: md`The registry grows, or is cleaned up and nobody sees how that went.`,
    diagnosis: (watched) => lastRuns(watched),
    mitigation: (watched) => [
      list(
        md`No pod: the PersistentVolumeClaim or the Secret does not exist. ${runbook} names both.`,
        md`It ran, and "the pushgateway cannot be reached": its pods must reach ${pushgatewayUrl(watched.site)}, which keeps the reports under the job ${CLEAN_UP_JOB}.`,
      ),
      ...again(watched),
    ],
  },
};

export const cleanUpAdviceFor = (alert: string): CleanUpAdvice | undefined => ADVICE[alert];
