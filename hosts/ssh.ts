import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import type { Host, Ssh } from "../site/host";
import { quote } from "../text/shell-word";

/** A host that could not be asked. */
export class HostError extends Error {
  constructor(
    /** A short word for programs. */
    readonly code: "unreachable" | "unknown-host" | "deferred" | "no-backup" | "no-delivery" | "no-resolver" | "failed",
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

const identityOptions = ({ identityFile }: Ssh): string[] =>
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
    ...["ssh", ...COMMON, ...identityOptions(ssh), ...trust(jump.hostKey, knownHostsFile), "-p", String(jump.port)].map(
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
    ...identityOptions(ssh),
    ...trust(ssh.hostKey, knownHostsFile),
    ...(ssh.jump === undefined ? [] : ["-o", `ProxyCommand=${jumpCommand(ssh, ssh.jump, knownHostsFile)}`]),
    ...["-p", String(ssh.port), `${ssh.user}@${address}`],
    `${ssh.user === "root" ? "" : "sudo -n "}${command}`,
  ];
};

/** Says that the far end is gone, not why. */
const PARTING = /^(Connection (to \S+ )?(closed|reset)|kex_exchange_identification|client_loop|ssh: |\s*$)/;

/** The line of ssh that says why it failed: with a jump host the last one does not. */
const sshError = (stderr: string): string => {
  const lines = stderr.trim().split("\n");
  return (lines.findLast((line) => !PARTING.test(line)) ?? lines.at(-1) ?? "").trim();
};

/** Printed before a script begins: what comes before it is what the host says to everybody who logs in. */
const BEGIN = "registry-warden begins";

/** Why a host began no script, by what it said in its place, and what can be done about it. */
const HINTS: readonly [said: RegExp, hint: string][] = [
  [/sudo/, "let the user of ssh.user become root by sudo without a password"],
  [/sftp/i, "set ssh.user to one whom sshd lets run commands, not only transfer files"],
  [/not available|nologin/i, "set ssh.user to one with a login shell"],
  [/bash.*(not found|no such file)/i, "install bash on the host"],
];

const notBegun = ({ name, ssh }: Host, { stdout, stderr }: HostOutput): HostError => {
  const said = sshError(stderr) || sshError(stdout) || "it says nothing";
  const hint = HINTS.find(([pattern]) => pattern.test(said))?.[1] ?? "set ssh.user to one whom sshd lets run bash";
  return new HostError("failed", `${name} runs no command for ${ssh.user} (${said})`, hint);
};

/** What the script itself prints, out of all that comes; whole lines before it are dropped. */
const fromTheBeginning = (printed: string): string | undefined => {
  const at = printed.indexOf(`${BEGIN}\n`);
  return at < 0 ? undefined : printed.slice(at + BEGIN.length + 1);
};

/** Passes on what the script prints, once it has begun. */
const onceBegun = (onOutput: (text: string) => void): ((text: string) => void) => {
  let waiting: string | undefined = "";
  return (text) => {
    if (waiting === undefined) return onOutput(text);
    waiting += text;
    const begun = fromTheBeginning(waiting);
    if (begun === undefined) return;
    waiting = undefined;
    if (begun !== "") onOutput(begun);
  };
};

/** How a script is run on a host. */
export interface RunOptions {
  /** Arguments of the script. */
  readonly args?: readonly string[];
  /** Gets what the script prints, as it does. */
  readonly onOutput?: (text: string) => void;
}

/**
 * Runs a bash script on a host as root. The script travels by standard input, so that nothing of it is in any argv. What
 * the host's shell says before it begins is left out.
 *
 * @throws HostError `unreachable` where ssh itself fails, `failed` where the host runs no command
 */
export const runOnHost = async (host: Host, script: string, options: RunOptions = {}): Promise<HostOutput> => {
  const directory = mkdtempSync(join(tmpdir(), "warden-ssh-"));
  try {
    const file = join(directory, "known_hosts");
    writeFileSync(file, knownHosts(host), { mode: 0o600 });
    const command = ["bash", "-s", "--", ...(options.args ?? [])].map(quote).join(" ");
    const onOutput = options.onOutput && onceBegun(options.onOutput);
    const output = await execute(sshArguments(host, command, file), `echo '${BEGIN}'\n${script}\n`, onOutput);
    const stdout = fromTheBeginning(output.stdout);
    if (stdout !== undefined && output.status !== SSH_FAILED) return { ...output, stdout };
    if (output.status !== SSH_FAILED) throw notBegun(host, output);
    throw new HostError(
      "unreachable",
      `${host.name} cannot be reached (${sshError(output.stderr)})`,
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
