import type { Probe } from "../site/monitoring";
import type { Site } from "../site/schema";
import { type Command, command } from "./document";
import { WORKSTATION } from "./places";
import { Shell, sh } from "./prose";

/** kubectl in the namespace of the probes. */
export const kubectl = ({ monitoring }: Site): Shell => {
  const { configPath, context } = monitoring.kubernetes;
  return sh`kubectl ${[
    // The schema allows no character in it that a shell would change, and the tilde has to be expanded.
    sh`--kubeconfig ${new Shell(configPath)}`,
    ...(context === undefined ? [] : [sh`--context ${context}`]),
    sh`--namespace ${monitoring.namespace.name}`,
  ]}`;
};

/** A command that asks the cluster. */
export const inCluster = (run: Shell, expected?: string): Command => command(WORKSTATION, run, { expected });

/** What a pod wrote. */
const logs = (run: Shell): Command =>
  command(WORKSTATION, run, { notRun: "it needs a pod that has run, and the lab's cluster has no nodes" });

export const deployMonitoring: Command = command(WORKSTATION, sh`npm run cdktf -- deploy monitoring`, {
  notRun: "it needs Terraform's providers, which no package registry carries",
});

/** The last run of a probe, and its own words. */
export const lastRun = (site: Site, { name }: Probe): Command[] => [
  inCluster(sh`${kubectl(site)} get cronjob ${name}`, `NAME…\n${name}…`),
  logs(sh`${kubectl(site)} logs --selector ${`app.kubernetes.io/name=${name}`} --tail 20`),
];

/** A run now, and its words. */
export const runNow = (site: Site, { name }: Probe): Command[] => [
  inCluster(
    sh`${kubectl(site)} create job --from ${`cronjob/${name}`} ${`${name}-now`}`,
    `job.batch/${name}-now created`,
  ),
  logs(sh`${kubectl(site)} logs --follow ${`job/${name}-now`}`),
  inCluster(sh`${kubectl(site)} delete job ${`${name}-now`}`, `job.batch "${name}-now" deleted…`),
];
