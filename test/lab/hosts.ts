import { type ChildProcess, execFileSync, type StdioOptions, spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { type Component, type ComponentName, cacheFolder, describeWith } from "./components";
import { WARDEN_PROGRAM } from "./warden";

const program = join(__dirname, "../../tools/lab/hosts");

/** The hosts of the reference site: the Proxmox host and the registry VM. */
export type LabHost = "pve" | "vm";

/** The output of a command, and its exit status. */
export interface Outcome {
  readonly status: number;
  /** Standard output and standard error, in this order. */
  readonly output: string;
}

/** A separate lab, so that several files, and several runs on one machine, do not interfere. See tools/lab/hosts. */
export class Hosts {
  /** Short, because it is part of interface names; a process runs one file at a time. */
  readonly #name: string;

  /** @param suffix a letter, if a test has a second lab */
  constructor(suffix = "") {
    this.#name = `w${process.pid}${suffix}`;
  }

  readonly program = program;

  get environment(): NodeJS.ProcessEnv {
    return { ...process.env, WARDEN_LAB: this.#name, WARDEN_LAB_OWNER: String(process.pid) };
  }

  /** The private key of the operator. */
  get key(): string {
    return join(cacheFolder, "hosts", this.#name, "key");
  }

  /** A host's key, of the type that a site pins. */
  hostKey(host: LabHost): string {
    return this.ssh(host, "cut -d ' ' -f 1,2 /etc/ssh/ssh_host_ecdsa_key.pub").trim();
  }

  /** The argv of a command on the host: what `tools/lab/hosts ssh` runs, without a shell in between. */
  #ssh(host: LabHost, command: string): [program: string, args: string[]] {
    const config = join(cacheFolder, "hosts", this.#name, "ssh_config");
    return ["nsenter", [`--net=/run/netns/${this.#name}-op`, "ssh", "-F", config, host, command]];
  }

  #lab(...args: string[]): string {
    return execFileSync(program, args, { env: this.environment, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  }

  up(): void {
    this.#lab("down");
    this.#lab("up");
  }

  down(): void {
    this.#lab("down");
  }

  /** Powers the host off, resets it to its image, and boots it. */
  fresh(host: LabHost): void {
    this.#lab("fresh", host);
  }

  reboot(host: LabHost): void {
    this.#lab("reboot", host);
  }

  /** Cuts the power: nothing on the host can do anything more. */
  cut(host: LabHost): void {
    this.#lab("cut", host);
  }

  boot(host: LabHost): void {
    this.#lab("boot", host);
  }

  /** Makes the internal resolver stop answering; the next method lets it answer again. */
  block(): void {
    this.#lab("block");
  }

  unblock(): void {
    this.#lab("unblock");
  }

  /** What a host asked the public resolver: "<name> <type>". */
  queriesOf(address: string): string[] {
    return this.#lab("queries")
      .split("\n")
      .filter((line) => line.startsWith(`${address} `))
      .map((line) => line.slice(address.length + 1));
  }

  /** Output of a command on the host. Throws if it fails. */
  ssh(host: LabHost, command: string, input: string | Buffer = ""): string {
    return execFileSync(...this.#ssh(host, command), { env: this.environment, encoding: "utf8", input });
  }

  /** Writes a file on the VM, and the folders above it. @param mode octal */
  put(path: string, mode: string, content: string | Buffer): void {
    this.ssh("vm", `install -D -m ${mode} /dev/stdin ${path}`, content);
  }

  try(host: LabHost, command: string, input = ""): Outcome {
    return outcome(...this.#ssh(host, command), this.environment, input);
  }

  /** `warden` on the operator's machine, for the site in a file. */
  warden(site: string, ...args: string[]): Outcome {
    return this.operator([process.execPath, WARDEN_PROGRAM, ...args, "--site", site]);
  }

  /** A command on this machine, in the operator's network namespace. */
  operator(command: readonly string[], environment: NodeJS.ProcessEnv = {}, input = ""): Outcome {
    return outcome(program, ["op", ...command], { ...this.environment, ...environment }, input);
  }

  /**
   * Starts a command on this machine, in the operator's network namespace and in a process group of its own: the program that
   * enters the namespace is not the one that runs there.
   */
  startAtOperator(...command: readonly string[]): ChildProcess {
    return spawn(program, ["op", ...command], { env: this.environment, stdio: "ignore", detached: true });
  }

  /** The HTTP status that a client on the operator's machine gets, with any certificate; `000` without an answer. */
  httpStatus(url: string, ...options: string[]): string {
    const curl = ["curl", "-sk", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}"];
    return this.operator([...curl, ...options, url]).output;
  }

  /** Makes the VM answer for a host that the lab does not have. */
  standIn(address: string): void {
    this.ssh("vm", `ip address add ${address}/32 dev lo`);
    const { WARDEN_LAB } = this.environment;
    const vm = this.ssh("vm", "ip -4 -brief address show dev eth0").split(/\s+/)[2]?.split("/", 1)[0] ?? "";
    execFileSync("nsenter", [`--net=/run/netns/${WARDEN_LAB}-router`, "ip", "route", "add", address, "via", vm]);
  }

  /** The command line that runs a command on the host over ssh, for callers that start it themselves. */
  sshCommand(host: LabHost, command: string): [program: string, args: string[], environment: NodeJS.ProcessEnv] {
    return [...this.#ssh(host, command), this.environment];
  }

  /**
   * Waits until the command on the host succeeds.
   *
   * @param seconds where the product promises a time; default: 120, so that a busy machine makes no test fail
   * @throws if it does not within them
   */
  async until(host: LabHost, command: string, seconds = 120): Promise<void> {
    const end = Date.now() + seconds * 1000;
    while (this.try(host, command).status !== 0) {
      if (Date.now() > end) throw new Error(`${host}: not within ${seconds} s: ${command}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

const outcome = (command: string, args: string[], env: NodeJS.ProcessEnv, input: string): Outcome => {
  const stdio: StdioOptions = ["pipe", "pipe", "pipe"];
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    env,
    encoding: "utf8",
    input,
    stdio,
    maxBuffer: 1 << 26,
  });
  if (error !== undefined) throw error;
  return { status: status ?? 1, output: stdout + stderr };
};

/** Ends what `startAtOperator` started, unless it has ended. */
export const endProcessGroup = ({ pid }: ChildProcess): void => {
  try {
    if (pid !== undefined) process.kill(-pid);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
};

/** Like describeWith, for a lab of hosts. */
export const describeWithHosts = <Name extends ComponentName>(
  names: readonly Name[],
  title: string,
  body: (components: Record<Name, Component>) => void,
): void => describeWith(["hosts", ...names], title, body as (components: Record<Name | "hosts", Component>) => void);
