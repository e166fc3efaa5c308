import { probeUnit } from "../hosts/probe";
import { isClusterProbe, type Probe } from "../site/monitoring";
import { hasCluster, hasRegistry, registryHost, type Site } from "../site/schema";
import { deployMonitoring, inCluster, kubectl, logs } from "./cluster";
import { type Block, command, paragraph } from "./document";
import { deployHosts, onHost, WORKSTATION } from "./places";
import { md, sh } from "./prose";

/** The last run of a probe, and its own words. */
export const lastRun = (site: Site, probe: Probe): Block[] => {
  const { name } = probe;
  if (isClusterProbe(probe))
    return hasCluster(site)
      ? [
          inCluster(sh`${kubectl(site)} get cronjob ${name}`, `NAME…\n${name}…`),
          logs(sh`${kubectl(site)} logs --selector ${`app.kubernetes.io/name=${name}`} --tail 20`),
        ]
      : [];
  if (!hasRegistry(site)) return [];
  return [
    command(onHost(registryHost(site)), sh`systemctl list-timers --all --no-pager ${`${probeUnit(name)}.timer`}`, {
      expected: "NEXT…\n…",
    }),
    command(onHost(registryHost(site)), sh`journalctl --no-pager --lines 20 --unit ${`${probeUnit(name)}.service`}`, {
      expected: "…",
    }),
  ];
};

/** A run now, and its words. */
export const runNow = (site: Site, probe: Probe): Block[] => {
  const { name } = probe;
  if (isClusterProbe(probe))
    return hasCluster(site)
      ? [
          inCluster(
            sh`${kubectl(site)} create job --from ${`cronjob/${name}`} ${`${name}-now`}`,
            `job.batch/${name}-now created`,
          ),
          logs(sh`${kubectl(site)} logs --follow ${`job/${name}-now`}`),
          inCluster(sh`${kubectl(site)} delete job ${`${name}-now`}`, `job.batch "${name}-now" deleted…`),
        ]
      : [];
  if (!hasRegistry(site)) return [];
  return [
    command(onHost(registryHost(site)), sh`systemctl start ${`${probeUnit(name)}.service`}`),
    command(onHost(registryHost(site)), sh`journalctl --no-pager --lines 20 --unit ${`${probeUnit(name)}.service`}`, {
      expected: "…",
    }),
  ];
};

/** Brings a probe back where its objects, or its timer, are gone. */
export const deployProbe = (site: Site, { runsOn }: Probe): Block[] =>
  runsOn === "cluster"
    ? [paragraph(md`If objects are missing, deploy them again:`), deployMonitoring]
    : [
        paragraph(md`If the timer is missing, deliver the registries again, which brings it:`),
        command(WORKSTATION, deployHosts(site), {
          notRun: "it is the deploy of the runbook of the registry host, which is run there",
        }),
      ];
