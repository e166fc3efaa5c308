import { isClusterProbe, type Probe } from "../site/monitoring";
import {
  clusterProbes,
  hasCluster,
  isExternal,
  probedService,
  type RegistrySite,
  type Site,
  serviceInstance,
  serviceUrl,
} from "../site/schema";
import { caFile, fetchAuthority } from "./authority";
import { kubectl } from "./cluster";
import { type Block, command, type Document, heading, list, paragraph } from "./document";
import { startCleanUp, stopCleanUp } from "./maintenance";
import { WORKSTATION } from "./places";
import { link, md, sh } from "./prose";
import { REBUILD } from "./rebuild-runbook";
import { TAG_DELETED } from "./undelete-runbook";
import { askForAccount, wardenHere } from "./warden";

export const WORKLOAD_IMAGE = "runbooks/workload-image.md";

const NEEDS_BOTH = {
  notRun: "it needs a cluster and the registry that it pulls from; the lab tries the same with both",
};

/** The images in use compared with the registry, from the workstation. */
export const workloadsHere = (site: Site, probe: Probe): Block[] => {
  if (!isClusterProbe(probe) || !hasCluster(site)) return [];
  const service = probedService(site, probe);
  const url = serviceUrl(site, service);
  return [
    ...fetchAuthority(site, service),
    askForAccount(WORKSTATION),
    command(
      WORKSTATION,
      sh`${kubectl(site)} get pods,cronjobs --all-namespaces --output json | ${wardenHere} workloads ${url} - ${caFile(site, service)}`,
      { ...NEEDS_BOTH, expected: `registry  ${url}\nin use    …` },
    ),
  ];
};

const ofProbe = (site: RegistrySite, probe: Probe): Block[] => {
  const host = serviceInstance(site, probedService(site, probe));
  return [
    paragraph(md`What of ${host} is missing, what needs it, and which digest runs:`),
    ...workloadsHere(site, probe),
  ];
};

/** What to do when the registry has lost an image that is still in use; undefined if no probe verifies workloads. */
export const workloadRunbook = (site: RegistrySite): Document | undefined => {
  const probes = clusterProbes(site).filter((probe) => probe.workloads && !isExternal(probedService(site, probe)));
  const [first] = probes;
  if (first === undefined) return undefined;
  const host = serviceInstance(site, probedService(site, first));
  return {
    path: WORKLOAD_IMAGE,
    title: md`Runbook: an image that runs was removed`,
    body: [
      paragraph(
        md`A pod runs an image that the registry does not have any more, or not whole. It goes on to run; the next start on a node that does not have the image fails. **Do not restart, scale or drain what runs it**: the nodes that run it may hold the only copy.`,
      ),
      ...stopCleanUp(site),
      heading(md`What is gone`),
      ...probes.flatMap((probe) => ofProbe(site, probe)),
      list(
        md`The tag is gone and the digest that runs is there: tag it again, as below, from what is there.`,
        md`"The tag has moved", and the digest that runs is gone: what would start next is another image than what runs. Ask before you put the old one back.`,
        md`It never ran (${"-"} for what runs): the name may be wrong in the first place. Ask whoever deployed it.`,
      ),
      heading(md`Put it back`),
      list(
        md`It was deleted, or pruned and not collected yet: its bytes are on the disk, ${link(md`a tag was deleted`, TAG_DELETED)}.`,
        md`Another registry has it: ${link(md`repair it from there`, REBUILD)}.`,
        md`A node still has it. What it pushes is the image of its own platform, with the digest of that, and only where it keeps the packed layers:`,
      ),
      command(WORKSTATION, sh`ssh NODE ctr --namespace k8s.io images push --user USER ${`${host}/REPOSITORY:TAG`}`, {
        notRun: "it needs a node that runs it, and the lab's cluster has no nodes",
      }),
      paragraph(md`None of them: ${link(md`build it again`, REBUILD)}.`),
      heading(md`Verify`),
      ...probes.flatMap((probe) => workloadsHere(site, probe)),
      paragraph(
        md`There is nothing to take back: what was put back was there before, and nothing that was there has changed.`,
      ),
      heading(md`So that a clean-up never takes one again`),
      paragraph(
        md`${"retention.protectInUse"} of the service keeps what runs, with its tag, by what the probe of each cluster reports; a report that is missing or too old refuses the clean-up. Give the probe an account that may push: ${link(md`Credentials and certificates`, "runbooks/rotate-credentials.md")}. Without the protection a plan still names what runs before it goes.`,
      ),
      ...startCleanUp(site),
    ],
  };
};
