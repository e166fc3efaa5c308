import { CLEAN_UP_JOURNALS, cleanUpName } from "../site/monitoring";
import { type CleanedUp, type ClusterSite, cleanUps, hasCluster, type Site, serviceInstance } from "../site/schema";
import { caFile, fetchAuthority } from "./authority";
import { followToEnd, inCluster, kubectl, logs, runCronJob } from "./cluster";
import { type Block, command, type Document, heading, list, paragraph } from "./document";
import { WORKSTATION } from "./places";
import { link, md, type Prose, plain, sh } from "./prose";
import { askForAccount, verifyRegistry, wardenHere } from "./warden";
import { workloadsHere } from "./workload-runbook";

export const CLEAN_UP = "runbooks/clean-up.md";

/** The log of the last runs. */
export const cleanUpLog = (site: ClusterSite, { service }: Pick<CleanedUp, "service">): Block =>
  logs(sh`${kubectl(site)} logs --selector ${`app.kubernetes.io/name=${cleanUpName(service)}`} --tail=-1`);

/** Runs it now, whether it is suspended or not. */
export const cleanUpNow = (site: ClusterSite, { service }: Pick<CleanedUp, "service">): Block[] =>
  runCronJob(site, cleanUpName(service));

/** Prevents new runs, and ends a running one. */
export const stopCleanUps = (site: ClusterSite, { service }: Pick<CleanedUp, "service">): Block[] => {
  const name = cleanUpName(service);
  return [
    inCluster(
      sh`${kubectl(site)} patch cronjob ${name} --patch ${'{"spec":{"suspend":true}}'}`,
      `cronjob.batch/${name} patched…`,
    ),
    inCluster(sh`${kubectl(site)} delete jobs --selector ${`app.kubernetes.io/name=${name}`}`),
  ];
};

const when = ({ cleanUp: { schedule, suspend } }: CleanedUp): Prose =>
  md`at ${schedule.at} UTC on ${schedule.days}${suspend ? md`, once it is no longer suspended` : md``}`;

const section = (site: ClusterSite, cleaned: CleanedUp): Block[] => {
  const { service, cleanUp, probe } = cleaned;
  const name = cleanUpName(service);
  const journal = `${CLEAN_UP_JOURNALS}/HOST/TIME`;
  return [
    heading(md`${serviceInstance(site, service)}`),
    paragraph(
      md`The CronJob ${name} removes what ${"cleanUp.retention"} of ${plain(service.name)} does not keep, ${when(cleaned)}.`,
    ),
    heading(md`Before it runs by itself`, 3),
    paragraph(md`What would go, and why? This changes nothing:`),
    ...fetchAuthority(site, service),
    askForAccount(WORKSTATION),
    command(WORKSTATION, sh`${wardenHere} prune ${service.name} ${caFile(site, service)}`, {
      notRun: "the registry is somebody else's",
      expected: `registry  ${service.url}\nkeep      …`,
    }),
    paragraph(
      md`Its account, which may push and delete, is in the Secret ${cleanUp.credentials.secret}; its journal is on the PersistentVolumeClaim ${cleanUp.journalClaim}, which you make:`,
    ),
    inCluster(sh`${kubectl(site)} get pvc ${cleanUp.journalClaim}`, `NAME…\n${cleanUp.journalClaim}…`),
    paragraph(
      md`A run now prints the plan before it removes anything${cleanUp.retention.protectInUse === undefined ? md`` : md`, and refuses where a report of what runs is missing or too old`}:`,
    ),
    ...cleanUpNow(site, cleaned),
    paragraph(md`When that is what you want, set ${"suspend: false"} in the site and deploy.`),
    heading(md`Stop it`, 3),
    paragraph(
      md`A run may be ended at any moment: what it has removed is in the journal, and the next run goes on. Terraform starts the schedule again with the next deploy, unless the site says ${"suspend: true"}.`,
    ),
    ...stopCleanUps(site, cleaned),
    heading(md`It removed what is needed`, 3),
    paragraph(
      md`An image that still runs, or one that somebody asks for. The log of each run ends with its journal, which holds every manifest that was removed. Read it first, because the log goes with the run that is stopped:`,
    ),
    cleanUpLog(site, cleaned),
    ...stopCleanUps(site, cleaned),
    paragraph(
      md`Put all of that run back, with the path of its journal. It works until the registry has collected the layers; on Gitea and Forgejo that is a day:`,
    ),
    command(
      WORKSTATION,
      sh`${kubectl(site)} create job ${`${name}-undo`} --from ${`cronjob/${name}`} --dry-run=client --output yaml | ${kubectl(site)} set env --local --filename - ${`UNDO=${journal}`} --output yaml | ${kubectl(site)} create --filename -`,
      { expected: `job.batch/${name}-undo created` },
    ),
    ...followToEnd(site, `${name}-undo`),
    paragraph(md`Verify:`),
    ...(probe.workloads ? workloadsHere(site, probe) : verifyRegistry(site, service)),
    paragraph(md`The next run removes it again unless the site keeps it. Before you let it start:`),
    list(
      md`It ran, and nobody had said so: ${"workloads: true"} of the probe, and ${"cleanUp.retention.protectInUse"} with the cluster.`,
      md`It did not run: ${"protect"}, or ${"keep"} of the rule, with its tag.`,
    ),
  ];
};

/** How to start, stop and undo the clean-ups over HTTP; undefined if there are none. */
export const cleanUpRunbook = (site: Site): Document | undefined => {
  const cleaned = cleanUps(site);
  if (cleaned.length === 0 || !hasCluster(site)) return undefined;
  return {
    path: CLEAN_UP,
    title: md`Runbook: the clean-up of a registry over HTTP`,
    body: [
      paragraph(
        md`What is kept and why, and what can happen meanwhile: ${link(md`Cleaning up a registry over HTTP`, "clean-up-over-http.md")}.`,
      ),
      ...cleaned.flatMap((each) => section(site, each)),
    ],
  };
};
