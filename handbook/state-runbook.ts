import { dirname } from "node:path/posix";
import { NAMESPACE_RELEASE } from "../monitoring/namespace-release";
import { cleanUpName, isInCluster } from "../site/monitoring";
import { pushSecret, workloadRole } from "../site/probe-walk";
import {
  type ClusterSite,
  cleanUps,
  clusterProbes,
  dnsHosts,
  hasCluster,
  hasRegistry,
  isMonitored,
  mustReport,
  type Site,
} from "../site/schema";
import { stacksOf, stateKey } from "../site/stacks";
import { deployMonitoring, inCluster, kubectl } from "./cluster";
import { type Block, command, type Document, heading, list, paragraph } from "./document";
import { deployHosts, WORKSTATION } from "./places";
import { link, md, type Prose, plain, sh } from "./prose";

const place = (site: Site): Prose => {
  const { state } = site;
  const keys = stacksOf(site).map((stack) => stateKey(site, stack));
  switch (state.backend) {
    case "local":
      return md`The state of each stack is a file of the checkout: ${keys}.`;
    case "kubernetes":
      return md`The state of each stack is a Secret in the namespace ${state.namespace}: ${keys.map((key) => `tfstate-default-${key}`)}.`;
    case "s3":
      return md`The state of each stack is an object of the bucket ${state.bucket}: ${keys}.`;
    case "http":
      return md`The state of each stack is kept at ${keys}.`;
  }
};

const backup = (site: Site): Block[] => {
  const { state } = site;
  switch (state.backend) {
    case "local": {
      const [file = "", ...others] = stacksOf(site).map((stack) => stateKey(site, stack));
      return [
        paragraph(md`Terraform keeps the state before the last change beside it. Is it there?`),
        command(WORKSTATION, sh`ls -l ${dirname(file)}`),
        command(WORKSTATION, sh`cp ${`${file}.backup`} ${file}`),
        paragraph(
          md`${others.length === 0 ? md`` : md`The same for the other stacks. `}Keep a copy of ${state.directory} elsewhere: git does not.`,
        ),
      ];
    }
    case "kubernetes":
      return [
        command(WORKSTATION, sh`kubectl --namespace ${state.namespace} get secrets --selector tfstate=true`),
        paragraph(md`If they are gone, restore them from the backup of the cluster.`),
      ];
    case "s3":
      return [paragraph(md`If the bucket keeps versions, restore the last one there.`)];
    case "http":
      return [paragraph(md`Restore the last version on the server that keeps them.`)];
  }
};

const hostsAgain = (site: Site): Block[] => {
  if (site.hosts.length === 0) return [];
  return [
    heading(md`Without a backup: the hosts`),
    paragraph(
      md`Deploy again. Each delivery compares the host with the site first, and touches nothing where they agree:`,
    ),
    command(WORKSTATION, deployHosts(site), {
      expected: [
        // The hosts are queried in parallel, so none is named.
        ...dnsHosts(site).map(() => "…: dns is as delivered, nothing to change"),
        ...(hasRegistry(site) ? ["…: registry is as delivered, nothing to change"] : []),
      ]
        .join("\n")
        .concat("…"),
    }),
  ];
};

/** The site's values that let Terraform take over what is in the cluster. */
const adoptions = (site: ClusterSite): Prose[] => {
  const { rules, dashboard } = site.monitoring;
  return [
    ...clusterProbes(site).map(({ name }) => md`${'adopt: ["cron-job"]'} of the probe ${name}`),
    ...(isInCluster(rules) ? [md`${"adopt: true"} of ${"monitoring.rules"}`] : []),
    ...(dashboard === undefined ? [] : [md`${"adopt: true"} of ${"monitoring.dashboard"}`]),
  ];
};

/**
 * What the deploy recreates: Secrets, because Terraform could not take one over without reading its values, and the
 * permissions of probes to list workloads, which hold no data.
 */
const recreated = (site: ClusterSite): Block[] => [
  ...clusterProbes(site).flatMap((probe): Block[] => {
    const { credentials } = probe;
    if (credentials?.from !== "variables") return [];
    return [credentials.secret, ...(mustReport(site, probe) ? [pushSecret(credentials)] : [])].map((secret) =>
      inCluster(sh`${kubectl(site)} delete secret ${secret}`, `secret "${secret}" deleted…`),
    );
  }),
  ...cleanUps(site).flatMap(({ service, cleanUp: { credentials } }): Block[] => [
    inCluster(
      sh`${kubectl(site)} delete cronjob ${cleanUpName(service)}`,
      `cronjob.batch "${cleanUpName(service)}" deleted…`,
    ),
    ...(credentials.from === "variables"
      ? [inCluster(sh`${kubectl(site)} delete secret ${credentials.secret}`, `secret "${credentials.secret}" deleted…`)]
      : []),
  ]),
  ...clusterProbes(site)
    .filter(({ workloads }) => workloads)
    .flatMap(({ name }): Block[] => {
      const role = workloadRole(site.monitoring.namespace.name, name);
      return [
        inCluster(sh`${kubectl(site)} delete serviceaccount ${name}`, `serviceaccount "${name}" deleted…`),
        inCluster(
          sh`${kubectl(site)} delete clusterrole,clusterrolebinding ${role}`,
          `clusterrole.rbac.authorization.k8s.io "${role}" deleted\nclusterrolebinding.rbac.authorization.k8s.io "${role}" deleted`,
        ),
      ];
    }),
  ...(site.monitoring.namespace.create
    ? [
        inCluster(
          sh`${kubectl(site)} delete secret --selector ${`owner=helm,name=${NAMESPACE_RELEASE}`}`,
          `secret "sh.helm.release.v1.${NAMESPACE_RELEASE}.v1" deleted…`,
        ),
      ]
    : []),
];

/** The common prefix of the programs' ConfigMap names. */
const programs = (site: ClusterSite): string =>
  cleanUps(site).length === 0 ? "registry-probe-program" : "registry-.*-program";

const seesWorkloads = (site: ClusterSite): boolean => clusterProbes(site).some(({ workloads }) => workloads);

const clusterAgain = (site: ClusterSite): Block[] => [
  heading(md`Without a backup: the cluster`),
  paragraph(
    md`There the objects exist already, and creating them again is refused. Take them over instead. In the site, set:`,
  ),
  list(...adoptions(site)),
  paragraph(
    md`What is quick to make again is deleted, and made by the deploy: the program, whose name follows its content, and Secrets, because Terraform would read the values of one that it takes over${seesWorkloads(site) ? plain("; and the service account by which a probe sees the pods of the cluster") : plain("")}. The namespace and what else is in it stay. A run that has started keeps its copy; one that starts before the deploy is done waits for it.`,
  ),
  inCluster(
    sh`${kubectl(site)} get configmaps --output name | grep ${programs(site)}`,
    "configmap/registry-probe-program-…",
  ),
  inCluster(
    sh`${kubectl(site)} get configmaps --output name | grep ${programs(site)} | xargs ${kubectl(site)} delete`,
    'configmap "registry-probe-program-…" deleted…',
  ),
  ...recreated(site),
  deployMonitoring,
  paragraph(
    md`If it is refused because a CronJob is of other shards, the error has the command that changes the CronJob in place. Run it, and deploy again. When the plan shows no changes, take ${"adopt"} out of the site again.`,
  ),
];

/** What to do when Terraform has lost track of what it created. */
export const stateRunbook = (site: Site): Document => ({
  path: "runbooks/terraform-state.md",
  title: md`Runbook: the state of Terraform is lost`,
  body: [
    paragraph(place(site)),
    paragraph(
      md`Losing it breaks nothing that runs. Terraform only forgets what it made, so its plan says that everything is new.`,
    ),
    heading(md`Is it lost?`),
    command(WORKSTATION, sh`npm run plan`, { expected: `…\n${stacksOf(site)[0]} …` }),
    paragraph(
      md`${"no changes"}, or only what you changed: it is there. Everything "to add" for what exists already: it is lost, or this is another checkout than the one from which it was deployed.`,
    ),
    heading(md`Restore it`),
    ...backup(site),
    ...hostsAgain(site),
    ...(hasCluster(site) ? clusterAgain(site) : []),
    heading(md`Verify`),
    command(WORKSTATION, sh`npm run plan`, { expected: "…no changes…" }),
    list(
      ...(isMonitored(site)
        ? [
            md`The alert ${link(md`RegistryIntegrityProbeStale`, "alerts/RegistryIntegrityProbeStale.md")} stays quiet: the probe still runs.`,
          ]
        : []),
      md`There is nothing to take back: a state is only a record.`,
    ),
  ],
});
