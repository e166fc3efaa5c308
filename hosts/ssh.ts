import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import type { Host, Ssh } from "../site/host";
import { quote } from "./shell";

/** A host that could not be asked. */
export class HostError extends Error {
  constructor(
    /** A short word for programs. */
    readonly code: "unreachable" | "unknown-host" | "deferred" | "no-backup" | "no-resolver" | "failed",
    message: string,
    /** What the operator can do about it. */
    readonly hint: string,
  ) {
    super(message);
    this.name = "HostError";
  }
}

/** What a command on a host printed, and its exit code. */
export interface HostOutput {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How long a host may take to answer, in seconds. */
const CONNECT_TIMEOUT = 10;
/** ssh(1), "Exit status": an error of its own. */
const SSH_FAILED = 255;

const pinned = (address: string, { port, hostKey }: Pick<Ssh, "port" | "hostKey">): string[] =>
  hostKey === undefined
    ? []
    : [`[${address}]:${port} ${hostKey}\n`, ...(port === 22 ? [`${address} ${hostKey}\n`] : [])];

/** The pinned keys of a host and of the jump host before it, as a file of known hosts; sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT". */
export const knownHosts = ({ address, ssh }: Pick<Host, "address" | "ssh">): string =>
  [...pinned(address, ssh), ...(ssh.jump === undefined ? [] : pinned(ssh.jump.address, ssh.jump))].join("");

const identity = ({ identityFile }: Ssh): string[] =>
  identityFile === undefined
    ? []
    : ["-i", identityFile.replace(/^~(?=\/)/, () => homedir()), "-o", "IdentitiesOnly=yes"];

/** A key that is not pinned is taken at the first connection, and has to stay the same from then on. */
const trust = (hostKey: string | undefined, knownHostsFile: string): string[] =>
  hostKey === undefined
    ? ["-o", "StrictHostKeyChecking=accept-new"]
    : [
        ...["-o", `UserKnownHostsFile=${knownHostsFile}`, "-o", "GlobalKnownHostsFile=/dev/null"],
        ...["-o", "StrictHostKeyChecking=yes", "-o", "HostKeyAlgorithms=ecdsa-sha2-nistp256"],
      ];

const COMMON = [
  ...["-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-o", `ConnectTimeout=${CONNECT_TIMEOUT}`],
  // A host that falls silent ends the connection.
  ...["-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3"],
];

/** ssh gives the command to a shell after it has replaced its own tokens; ssh_config(5), "TOKENS". */
const jumpCommand = (ssh: Ssh, jump: NonNullable<Ssh["jump"]>, knownHostsFile: string): string =>
  [
    ...["ssh", ...COMMON, ...identity(ssh), ...trust(jump.hostKey, knownHostsFile), "-p", String(jump.port)].map(
      (word) => quote(word).replaceAll("%", "%%"),
    ),
    "-W '[%h]:%p'",
    quote(`${jump.user}@${jump.address}`),
  ].join(" ");

/** The arguments with which ssh runs a command on a host as root, in the way that Terraform reaches it too. */
export const sshArguments = (
  host: Pick<Host, "address" | "ssh">,
  command: string,
  knownHostsFile: string,
): string[] => {
  const { address, ssh } = host;
  return [
    ...COMMON,
    ...identity(ssh),
    ...trust(ssh.hostKey, knownHostsFile),
    ...(ssh.jump === undefined ? [] : ["-o", `ProxyCommand=${jumpCommand(ssh, ssh.jump, knownHostsFile)}`]),
    ...["-p", String(ssh.port), `${ssh.user}@${address}`],
    `${ssh.user === "root" ? "" : "sudo -n "}${command}`,
  ];
};

/** Says that the far end is gone, not why. */
const PARTING = /^(Connection (to \S+ )?(closed|reset)|kex_exchange_identification|client_loop|ssh: |\s*$)/;

/** The line of ssh that says why it failed: with a jump host the last one does not. */
const reasonOf = (stderr: string): string => {
  const lines = stderr.trim().split("\n");
  return (lines.findLast((line) => !PARTING.test(line)) ?? lines.at(-1) ?? "").trim();
};

/** How a script is run on a host. */
export interface RunOptions {
  /** Arguments of the script. */
  readonly args?: readonly string[];
  /** Gets what the script prints, as it does. */
  readonly onOutput?: (text: string) => void;
}

/**
 * Runs a bash script on a host as root. The script travels by standard input, so that nothing of it is in any argv.
 *
 * @throws HostError `unreachable` where ssh itself fails
 */
export const runOnHost = async (host: Host, script: string, options: RunOptions = {}): Promise<HostOutput> => {
  const directory = mkdtempSync(join(tmpdir(), "warden-ssh-"));
  try {
    const file = join(directory, "known_hosts");
    writeFileSync(file, knownHosts(host), { mode: 0o600 });
    const command = ["bash", "-s", "--", ...(options.args ?? [])].map(quote).join(" ");
    const output = await execute(sshArguments(host, command, file), `${script}\n`, options.onOutput);
    if (output.status !== SSH_FAILED) return output;
    throw new HostError(
      "unreachable",
      `${host.name} cannot be reached (${reasonOf(output.stderr)})`,
      `check that ssh -p ${host.ssh.port} ${host.ssh.user}@${host.address} works, and its host key`,
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
};

const execute = (args: string[], input: string, onOutput?: (text: string) => void): Promise<HostOutput> =>
  new Promise((resolve, reject) => {
    const child = spawn("ssh", args, { stdio: "pipe", env: process.env });
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8");
      child[name].on("data", (text: string) => {
        output[name] += text;
        if (name === "stdout") onOutput?.(text);
      });
    }
    child.on("error", () => reject(new HostError("failed", "ssh cannot be run", "install an OpenSSH client")));
    child.on("close", (status) => resolve({ status: status ?? SSH_FAILED, ...output }));
    // A host that closes the connection early makes the rest of the script undeliverable; its exit code tells.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
  });
