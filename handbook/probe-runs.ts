import { probeUnit } from "../hosts/probe";
import { isClusterProbe, type Probe } from "../site/monitoring";
import { type ClusterSite, hasCluster, hasRegistry, type RegistrySite, registryHost, type Site } from "../site/schema";
import { deployMonitoring, inCluster, kubectl, logs, runCronJob } from "./cluster";
import { type Block, command, paragraph } from "./document";
import { onHost } from "./places";
import { md, sh } from "./prose";
import { deliverRegistries } from "./warden";

/** The last run of a probe, and its log. */
export const lastRun = (site: Site, probe: Probe): Block[] => {
  const { name } = probe;
  if (isClusterProbe(probe))
    return hasCluster(site)
      ? [
          scheduled(site, name),
          logs(sh`${kubectl(site)} logs --selector ${`app.kubernetes.io/name=${name}`} --tail 20`),
        ]
      : [];
  if (!hasRegistry(site)) return [];
  return [timerActive(site, name), journal(site, name)];
};

const timerActive = (site: RegistrySite, name: string): Block =>
  command(onHost(registryHost(site)), sh`systemctl is-active ${`${probeUnit(name)}.timer`}`, { expected: "active" });

const journal = (site: RegistrySite, name: string): Block =>
  command(onHost(registryHost(site)), sh`journalctl --no-pager --lines 20 --unit ${`${probeUnit(name)}.service`}`);

/** The column that matters is SUSPEND: even if it is True, a run by hand works, and the alert ends. */
const scheduled = (site: ClusterSite, name: string): Block =>
  inCluster(sh`${kubectl(site)} get cronjob ${name}`, `NAME…\n${name}…False…`);

/** Resumes the scheduled runs of a probe in the cluster: if it is suspended, nothing else does. */
export const resume = (site: Site, probe: Probe): Block[] =>
  isClusterProbe(probe) && hasCluster(site)
    ? [
        paragraph(
          md`${"True"} under SUSPEND: somebody suspended it, and that is the cause. Ask who and why, and let it run again:`,
        ),
        inCluster(
          sh`${kubectl(site)} patch cronjob ${probe.name} --patch ${'{"spec":{"suspend":false}}'}`,
          `cronjob.batch/${probe.name} patched…`,
        ),
      ]
    : [];

/** A run now, and its log. */
export const runNow = (site: Site, probe: Probe): Block[] => {
  const { name } = probe;
  if (isClusterProbe(probe))
    return hasCluster(site)
      ? [
          ...runCronJob(site, name),
          paragraph(md`That run would have worked without the schedule too. Does the next one start by itself?`),
          scheduled(site, name),
        ]
      : [];
  if (!hasRegistry(site)) return [];
  return [
    command(onHost(registryHost(site)), sh`systemctl start ${`${probeUnit(name)}.service`}`),
    journal(site, name),
    paragraph(md`That run would have worked without the timer too. Does the next one start by itself?`),
    timerActive(site, name),
  ];
};

/** Restores a probe whose objects or timer are gone. */
export const deployProbe = (site: Site, { runsOn }: Probe): Block[] =>
  runsOn === "cluster"
    ? [paragraph(md`If objects are missing, deploy them again:`), deployMonitoring]
    : [
        paragraph(
          md`If the timer is missing, deliver the registries again, which brings it. Terraform may see no change; this asks the host:`,
        ),
        ...(hasRegistry(site) ? [deliverRegistries(site)] : []),
      ];
