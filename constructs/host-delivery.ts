import { createHash } from "node:crypto";
import type { SSHProvisionerConnection } from "cdktf";
import { Construct } from "constructs";
import { type Delivery, deliveryInputs, deliveryScript, type ScriptPart } from "../hosts/delivery";
import { knownHosts } from "../hosts/ssh";
import type { Host } from "../site/host";
import { literal } from "./literal";
import { TerraformData } from "./terraform-data";

export interface HostDeliveryProps {
  /** What is delivered to which host. */
  readonly delivery: Delivery;
}

/** The folder on the host that receives the script; relative to the user's home directory, and readable by that user only. */
const INBOX = ".registry-warden";

/**
 * Where Terraform uploads the commands of a step, which it executes: /tmp may be mounted noexec. It leaves an empty file there.
 * https://developer.hashicorp.com/terraform/language/resources/provisioners/connection
 */
const STEP = "./.registry-warden-step-%RAND%.sh";

/** Removes what earlier runs left: the empty files of their steps, and scripts of unconfirmed deliveries. */
const forgetOld = `find . -maxdepth 1 -name '.registry-warden-step-*.sh' -size 0 -mmin +60 -delete; find ${INBOX} -name '*.sh' -mtime +7 -delete`;

/** A string inside an expression. */
const quoted = (text: string): string => literal(JSON.stringify(text));

const key = (path: string): string => `file(pathexpand(${quoted(path)}))`;

/**
 * A host key that matches no server: a digest stands in place of the 32 bytes of an Ed25519 public key, so no one can know its
 * private half. Pinned keys are of another type.
 */
const keyThatMatchesNoHost = (): string => {
  const field = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from([0, 0, 0, bytes.length]), bytes]);
  const digest = createHash("sha256").update("registry-warden: no host has this key").digest();
  const blob = Buffer.concat([field(Buffer.from("ssh-ed25519")), field(digest)]);
  return `ssh-ed25519 ${blob.toString("base64")}`;
};

/**
 * Before 1.15, Terraform also compares the jump host's key with host_key, and ignores bastion_host_key
 * (hashicorp/terraform#38318). It writes host_key to a known hosts file, after the address that it is about to connect to: with
 * several lines, it can contain the keys of both hosts, each with its address.
 */
const comparedKeys = (host: Pick<Host, "address" | "ssh">, hostKey: string): string =>
  host.ssh.jump === undefined ? hostKey : `${keyThatMatchesNoHost()}\n${knownHosts(host)}`;

/** Terraform reads the private key when it connects, so the key is in no plan and no state. */
const connection = ({ address, ssh }: Host): SSHProvisionerConnection => ({
  type: "ssh",
  host: address,
  port: ssh.port,
  user: ssh.user,
  timeout: "30s",
  scriptPath: STEP,
  ...(ssh.identityFile === undefined
    ? { agent: "true" }
    : { agent: "false", privateKey: `\${${key(ssh.identityFile)}}` }),
  ...(ssh.hostKey === undefined ? {} : { hostKey: comparedKeys({ address, ssh }, ssh.hostKey) }),
  ...(ssh.jump === undefined
    ? {}
    : {
        bastionHost: ssh.jump.address,
        bastionPort: ssh.jump.port,
        bastionUser: ssh.jump.user,
        ...(ssh.identityFile === undefined ? {} : { bastionPrivateKey: `\${${key(ssh.identityFile)}}` }),
        ...(ssh.jump.hostKey === undefined ? {} : { bastionHostKey: ssh.jump.hostKey }),
      }),
});

const expression = (piece: ScriptPart): string => {
  if ("text" in piece) return literal(piece.text);
  if ("digest" in piece) return "${sha256(jsonencode(self.triggers_replace))}";
  const input = `self.triggers_replace[${quoted(piece.input)}]`;
  return piece.as === "text" ? `\${${input}}` : `\${base64encode(${input})}`;
};

/**
 * Delivers files to a host in one transaction. The plan shows each file as a diff of its lines; on any change the whole delivery
 * runs again, and leaves the host alone if nothing has to be done.
 *
 * Needs no provider except the built-in terraform_data.
 */
export class HostDelivery extends Construct {
  readonly resource: TerraformData;

  constructor(scope: Construct, id: string, props: HostDeliveryProps) {
    super(scope, id);
    const { delivery } = props;
    const { host } = delivery;
    const inputs = Object.entries(deliveryInputs(delivery));
    this.resource = new TerraformData(this, "Resource", {
      triggersReplace: Object.fromEntries(inputs.map(([name, value]) => [literal(name), literal(value)])),
    });

    // A unique name for each run: two operators have separate states, and therefore different ids.
    const script = `${INBOX}/${delivery.name}-\${self.id}.sh`;
    const run = (command: string) => `${host.ssh.user === "root" ? "" : "sudo -n "}bash '${script}' ${command}`;
    this.resource.connection = connection(host);
    this.resource.provisioners = [
      { type: "remote-exec", inline: [`install -d -m 0700 ${INBOX}`, forgetOld] },
      { type: "file", destination: script, content: deliveryScript(delivery).map(expression).join("") },
      { type: "remote-exec", inline: [run("apply")] },
      // A new connection proves that the host is still reachable; otherwise the host rolls back.
      { type: "remote-exec", inline: [`${run("confirm")} && rm -f '${script}'`] },
    ];
  }
}
