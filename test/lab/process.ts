import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

/** The interval at which a condition is checked, in milliseconds. */
const POLL_INTERVAL = 20;
/** How long a process may take to end after SIGTERM before it gets SIGKILL, in seconds. */
const STOP_GRACE = 5;
/** Number of log lines in an error message. */
const LOG_TAIL = 20;

/** A child that was started and is ready. */
export interface RunningProcess {
  readonly pid: number;
  /** Its output so far, standard output and standard error combined. */
  output(): string;
  isRunning(): boolean;
  /** Sends a signal and returns immediately. */
  signal(name: NodeJS.Signals): void;
  /** Ends it (SIGTERM, after five seconds SIGKILL), waits until it has exited and removes its log. Safe to call twice. */
  stop(): Promise<void>;
}

export interface StartOptions {
  /** True once the process can be used; checked every 20 ms. */
  readonly ready: (running: RunningProcess) => boolean | Promise<boolean>;
  /**
   * The maximum time until it is ready, in seconds.
   * @default 20
   */
  readonly seconds?: number;
  /**
   * Added to the environment of this process.
   * @default nothing
   */
  readonly environment?: Readonly<Record<string, string>>;
  /** @default the working directory of this process */
  readonly folder?: string;
}

/** A new folder for temporary files of the lab. */
export const temporaryFolder = (purpose: string): string => mkdtempSync(join(tmpdir(), `warden-${purpose}-`));

/**
 * Waits until a condition holds, checking it repeatedly.
 * @throws if it does not hold within `seconds` (default 30), with what was waited for and the condition's last error
 */
export const waitFor = async (
  what: string,
  condition: () => boolean | Promise<boolean>,
  seconds = 30,
): Promise<void> => {
  const deadline = Date.now() + seconds * 1000;
  let lastError = "";
  for (;;) {
    try {
      if (await condition()) return;
      lastError = "";
    } catch (error) {
      lastError = `: ${error instanceof Error ? error.message : String(error)}`;
    }
    if (Date.now() > deadline) throw new Error(`${what}: not within ${seconds} s${lastError}`);
    await pause(POLL_INTERVAL);
  }
};

/** A TCP port on loopback that is currently free. */
export const freePort = async (): Promise<number> => {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no free port on loopback");
  return address.port;
};

/** Whether something accepts a TCP connection there within one second. */
export const accepts = (port: number, host = "127.0.0.1"): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ port, host, timeout: 1000 });
    const answer = (open: boolean) => {
      socket.destroy();
      resolve(open);
    };
    socket
      .once("connect", () => answer(true))
      .once("error", () => answer(false))
      .once("timeout", () => answer(false));
  });

const running = new Set<ChildProcess>();
// A test run that is aborted must not leave its children behind.
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/**
 * Starts a program and waits until it is ready.
 * @throws when it exits early, or is not ready in time: with the end of its log and the file with all of it
 */
export const startProcess = async (
  command: readonly [string, ...string[]],
  options: StartOptions,
): Promise<RunningProcess> => {
  const [program, ...argv] = command;
  const name = basename(program);
  const logFolder = temporaryFolder(`log-${name}`);
  const log = join(logFolder, "log");
  const file = openSync(log, "a");
  const child = spawn(program, argv, {
    stdio: ["ignore", file, file],
    env: { ...process.env, ...options.environment },
    cwd: options.folder,
  });
  closeSync(file);
  running.add(child);
  let spawnError: Error | undefined;
  const ended = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", (error) => {
      spawnError = error;
      resolve();
    });
  });
  ended.then(() => running.delete(child));
  const hasEnded = () => spawnError !== undefined || child.exitCode !== null || child.signalCode !== null;

  const handle: RunningProcess = {
    get pid() {
      return child.pid ?? -1;
    },
    output: () => readFileSync(log, "utf8"),
    isRunning: () => !hasEnded(),
    signal: (signal) => {
      child.kill(signal);
    },
    stop: async () => {
      await end(child, ended, hasEnded);
      rmSync(logFolder, { recursive: true, force: true });
    },
  };

  try {
    await waitFor(
      `${name} ready`,
      async () => hasEnded() || ((await options.ready(handle)) && !hasEnded()),
      options.seconds ?? 20,
    );
    if (hasEnded())
      throw new Error(`${name} ended: ${spawnError?.message ?? child.signalCode ?? `exit code ${child.exitCode}`}`);
    return handle;
  } catch (error) {
    await end(child, ended, hasEnded);
    const tail = readFileSync(log, "utf8").trimEnd().split("\n").slice(-LOG_TAIL).join("\n");
    throw new Error(`${error instanceof Error ? error.message : String(error)} (log: ${log})\n${tail}`);
  }
};

const end = async (child: ChildProcess, ended: Promise<void>, hasEnded: () => boolean): Promise<void> => {
  if (hasEnded()) return;
  child.kill("SIGTERM");
  const kill = setTimeout(() => child.kill("SIGKILL"), STOP_GRACE * 1000);
  await ended;
  clearTimeout(kill);
};
