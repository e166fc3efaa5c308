import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import type { Host, Ssh } from "../site/host";
import { quote } from "../text/shell-word";

/** A host that could not be reached or did not do its work. */
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

/** The output of a command on a host, and its exit code. */
export interface HostOutput {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How long a host may take to answer, in seconds. */
const CONNECT_TIMEOUT = 10;
/** The exit code of ssh's own errors; ssh(1), "Exit status". */
const SSH_FAILED = 255;

const pinned = (address: string, { port, hostKey }: Pick<Ssh, "port" | "hostKey">): string[] =>
  hostKey === undefined
    ? []
    : [`[${address}]:${port} ${hostKey}\n`, ...(port === 22 ? [`${address} ${hostKey}\n`] : [])];

/** The pinned keys of a host and its jump host, as a known hosts file; sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT". */
export const knownHosts = ({ address, ssh }: Pick<Host, "address" | "ssh">): string =>
  [...pinned(address, ssh), ...(ssh.jump === undefined ? [] : pinned(ssh.jump.address, ssh.jump))].join("");

const identityOptions = ({ identityFile }: Ssh): string[] =>
  identityFile === undefined
    ? []
    : ["-i", identityFile.replace(/^~(?=\/)/, () => homedir()), "-o", "IdentitiesOnly=yes"];

/** Without a pinned key, the first one is trusted and must not change afterwards. */
const trust = (hostKey: string | undefined, knownHostsFile: string): string[] =>
  hostKey === undefined
    ? ["-o", "StrictHostKeyChecking=accept-new"]
    : [
        ...["-o", `UserKnownHostsFile=${knownHostsFile}`, "-o", "GlobalKnownHostsFile=/dev/null"],
        ...["-o", "StrictHostKeyChecking=yes", "-o", "HostKeyAlgorithms=ecdsa-sha2-nistp256"],
      ];

const COMMON = [
  ...["-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-o", `ConnectTimeout=${CONNECT_TIMEOUT}`],
  // Ends the connection when a host stops responding.
  ...["-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3"],
];

/** ssh expands its own tokens before it passes the command to a shell; ssh_config(5), "TOKENS". */
const jumpCommand = (ssh: Ssh, jump: NonNullable<Ssh["jump"]>, knownHostsFile: string): string =>
  [
    ...["ssh", ...COMMON, ...identityOptions(ssh), ...trust(jump.hostKey, knownHostsFile), "-p", String(jump.port)].map(
      (word) => quote(word).replaceAll("%", "%%"),
    ),
    "-W '[%h]:%p'",
    quote(`${jump.user}@${jump.address}`),
  ].join(" ");

/** The arguments for ssh to run a command on a host as root, over the same route as Terraform. */
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

/** Lines that say the connection ended, but not why. */
const PARTING = /^(Connection (to \S+ )?(closed|reset)|kex_exchange_identification|client_loop|ssh: |\s*$)/;

/** The line of ssh's output with the reason of a failure: with a jump host it is not the last one. */
const sshError = (stderr: string): string => {
  const lines = stderr.trim().split("\n");
  return (lines.findLast((line) => !PARTING.test(line)) ?? lines.at(-1) ?? "").trim();
};

/** Printed before a script begins: everything before it is the host's login output. */
const BEGIN = "registry-warden begins";

/** Why a host did not run the script, judging by its output, and what to do about it. */
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

/** The script's own output; preceding lines are dropped. */
const fromTheBeginning = (printed: string): string | undefined => {
  const at = printed.indexOf(`${BEGIN}\n`);
  return at < 0 ? undefined : printed.slice(at + BEGIN.length + 1);
};

/** Passes on the output of the script from its beginning. */
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
  /** Receives the script's output as it is printed. */
  readonly onOutput?: (text: string) => void;
}

/**
 * Runs a bash script on a host as root. The script is passed on standard input, so that it never appears in an argument list.
 * Login output before it is left out.
 *
 * @throws HostError `unreachable` when ssh itself fails, `failed` when the host does not run the command
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
    // If the host closes the connection early, the rest of the script cannot be sent; the exit code reports it.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
  });
