import type { ClusterSite } from "../site/schema";
import { type Command, command } from "./document";
import { WORKSTATION } from "./places";
import { Shell, sh } from "./prose";

/** kubectl in the namespace of the probes. */
export const kubectl = ({ monitoring }: ClusterSite): Shell => {
  const { configPath, context } = monitoring.kubernetes;
  return sh`kubectl ${[
    // The schema allows no character in it that is special to a shell, and the tilde has to be expanded.
    sh`--kubeconfig ${new Shell(configPath)}`,
    ...(context === undefined ? [] : [sh`--context ${context}`]),
    sh`--namespace ${monitoring.namespace.name}`,
  ]}`;
};

/** A command that queries the cluster. */
export const inCluster = (run: Shell, expected?: string): Command => command(WORKSTATION, run, { expected });

/** The log of a pod. */
export const logs = (run: Shell): Command =>
  command(WORKSTATION, run, { notRun: "it needs a pod that has run, and the lab's cluster has no nodes" });

/**
 * The log of a job that was just created, and the job deleted when it has ended. Until its container has started, kubectl
 * refuses or prints nothing, and ends, which would delete a job that still runs.
 */
export const followToEnd = (site: ClusterSite, job: string): Command[] => [
  logs(sh`until ${kubectl(site)} logs --follow ${`job/${job}`} | grep .; do sleep 2; done`),
  inCluster(sh`${kubectl(site)} delete job ${job}`, `job.batch "${job}" deleted…`),
];

/** A run of a CronJob now, whatever its schedule, even if it is suspended. */
export const runCronJob = (site: ClusterSite, name: string): Command[] => {
  const job = `${name}-now`;
  return [
    inCluster(sh`${kubectl(site)} create job --from ${`cronjob/${name}`} ${job}`, `job.batch/${job} created`),
    ...followToEnd(site, job),
  ];
};

export const deployMonitoring: Command = command(WORKSTATION, sh`npm run cdktf -- deploy monitoring`, {
  notRun: "it needs Terraform's providers, which no package registry carries",
});
