import { managedHosts, type Site } from "../site/schema";
import type { State } from "../site/state";
import { deployMonitoring, inCluster, kubectl } from "./cluster";
import { type Block, command, type Document, heading, list, paragraph, steps } from "./document";
import { WORKSTATION } from "./places";
import { link, md, type Prose, sh } from "./prose";

const STACKS = ["dns", "registry-vm", "monitoring"] as const;

const place = (state: State): Prose => {
  switch (state.backend) {
    case "local":
      return md`The state of each stack is a file of the checkout: ${STACKS.map((stack) => `${state.directory}/${stack}.tfstate`)}.`;
    case "kubernetes":
      return md`The state of each stack is a Secret in the namespace ${state.namespace}.`;
    case "s3":
      return md`The state of each stack is an object of the bucket ${state.bucket}: ${STACKS.map((stack) => `${stack}.tfstate`)}.`;
    case "http":
      return md`The state of each stack is kept at ${STACKS.map((stack) => `${state.address.replace(/\/$/, "")}/${stack}`)}.`;
  }
};

const backup = (state: State): Block[] => {
  switch (state.backend) {
    case "local":
      return [
        paragraph(md`Terraform keeps the state before the last change beside it. Is it there?`),
        command(WORKSTATION, sh`ls -l ${state.directory}`),
        command(WORKSTATION, sh`cp ${`${state.directory}/dns.tfstate.backup`} ${`${state.directory}/dns.tfstate`}`),
        paragraph(md`The same for the other stacks. Keep a copy of ${state.directory} elsewhere: git does not.`),
      ];
    case "kubernetes":
      return [
        inCluster(sh`kubectl --namespace ${state.namespace} get secrets --selector tfstate=true`),
        paragraph(md`If they are gone, restore them from the backup of the cluster.`),
      ];
    case "s3":
      return [paragraph(md`If the bucket keeps versions, restore the last one there.`)];
    case "http":
      return [paragraph(md`Restore the last version on the server that keeps them.`)];
  }
};

/** What to do when Terraform has forgotten what it made. */
export const stateRunbook = (site: Site): Document => ({
  path: "runbooks/terraform-state.md",
  title: md`Runbook: the state of Terraform is lost`,
  body: [
    paragraph(place(site.state)),
    paragraph(
      md`Losing it breaks nothing that runs. Terraform only forgets what it made, so its plan says that everything is new.`,
    ),
    heading(md`Is it lost?`),
    command(WORKSTATION, sh`npm run plan`, { expected: "…\ndns …" }),
    paragraph(
      md`${"no changes"}, or only what you changed: it is there. Everything "to add" for what exists already: it is lost, or this is another checkout than the one from which it was deployed.`,
    ),
    heading(md`Restore it`),
    ...backup(site.state),
    heading(md`Without a backup: the hosts`),
    paragraph(
      md`Deploy again. Each delivery compares the host with the site first, and touches nothing where they agree:`,
    ),
    command(WORKSTATION, sh`npm run cdktf -- deploy dns registry-vm`, {
      expected: [
        // The hosts are asked side by side, so none is named.
        ...managedHosts(site).map(() => "…: dns is as delivered, nothing to change"),
        "…: registry is as delivered, nothing to change…",
      ].join("\n"),
    }),
    heading(md`Without a backup: the cluster`),
    paragraph(md`There the objects exist already, and creating them again is refused. Take them over instead:`),
    steps(
      md`In the site, set ${"adopt"} of each probe to the objects that exist, and ${"adopt"} of the rules.`,
      md`The program's ConfigMap is named by its content and cannot be taken over: delete it, and deploy at once. A run that has started keeps its copy.`,
      md`Take ${"adopt"} out of the site again when the plan shows no changes.`,
    ),
    inCluster(
      sh`${kubectl(site)} get configmaps --output name | grep registry-probe-program`,
      "configmap/registry-probe-program-…",
    ),
    inCluster(
      sh`${kubectl(site)} get configmaps --output name | grep registry-probe-program | xargs ${kubectl(site)} delete`,
      'configmap "registry-probe-program-…" deleted…',
    ),
    deployMonitoring,
    heading(md`Verify`),
    command(WORKSTATION, sh`npm run plan`, { expected: "…no changes…" }),
    list(
      md`The alert ${link(md`RegistryIntegrityProbeStale`, "alerts/RegistryIntegrityProbeStale.md")} stays quiet: the probe still runs.`,
      md`There is nothing to take back: a state is only a record.`,
    ),
  ],
});
