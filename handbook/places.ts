import type { Delivery } from "../hosts/delivery";
import type { Host } from "../site/host";
import { registryPaths } from "../site/registry";
import type { RegistrySite, Site } from "../site/schema";
import { type StackName, stacksOf } from "../site/stacks";
import type { Place } from "./document";
import { md, plain, Shell, sh } from "./prose";

/** The checkout of the site, where every `npm` command is typed. */
export const WORKSTATION: Place = { name: md`the workstation, in the checkout`, host: undefined };

/** Deploys stacks, and waits for the operator to approve the plan. */
const deploy = (stacks: readonly StackName[]): Shell => sh`npm run cdktf -- deploy ${stacks}`;

/** Deploys everything for hosts: one stack may need the one before it. */
export const deployHosts = (site: Site): Shell => deploy(stacksOf(site).filter((stack) => stack !== "monitoring"));

/** The arguments of an SSH connection to a host, without a remote command. */
export const sshTo = ({ address, ssh }: Host): Shell => {
  const { port, user, identityFile, jump } = ssh;
  const options = [
    ...(port === 22 ? [] : [sh`-p ${port}`]),
    // The schema allows no character in it that is special to a shell, and the tilde has to be expanded.
    ...(identityFile === undefined ? [] : [sh`-i ${new Shell(identityFile)}`]),
    ...(jump === undefined ? [] : [sh`-J ${`${jump.user}@${jump.address}:${jump.port}`}`]),
  ];
  return sh`ssh ${[...options, `${user}@${address}`]}`;
};

/** A root shell on a host. */
export const onHost = (host: Host): Place => ({
  name: md`the ${plain(host.title)} as root (${host.ssh.user === "root" ? sshTo(host).text : `${sshTo(host).text}, then sudo -i`})`,
  host: host.name,
});

/** Path of the runbook of a host. */
export const runbookOf = ({ name }: { readonly name: string }): string => `runbooks/${name}.md`;

/** The program that a delivery leaves on its host: it verifies and rolls back without the workstation. */
export const deliveryProgram = (name: Delivery["name"]): string => `/var/lib/registry-warden/${name}/delivery.sh`;

/** The stack's compose command, with its file. */
export const compose = ({ registry }: RegistrySite): Shell =>
  sh`docker compose --file ${registryPaths(registry.directory).compose}`;
