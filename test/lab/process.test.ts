import { existsSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { accepts, freePort, type RunningProcess, startProcess, waitFor } from "./process";

const node = (script: string): [string, ...string[]] => [process.execPath, "-e", script];
const never = () => false;

/** The error of a failed start, and whether its log still exists. */
const failureOf = async (starting: Promise<unknown>): Promise<{ message: string; logWasKept: boolean }> => {
  const error = await starting.then(
    () => new Error("it started"),
    (reason: Error) => reason,
  );
  const log = /\(log: (.*)\)/.exec(error.message)?.[1] ?? "";
  const logWasKept = existsSync(log);
  if (logWasKept) rmSync(dirname(log), { recursive: true });
  return { message: error.message, logWasKept };
};

describe("start", () => {
  test("returns once the process is ready, and stop ends it", async () => {
    const port = await freePort();
    const running = await startProcess(node(`require("node:net").createServer().listen(${port}, "127.0.0.1")`), {
      ready: () => accepts(port),
    });
    expect(running.isRunning()).toBe(true);
    await running.stop();
    expect(running.isRunning()).toBe(false);
    expect(await accepts(port)).toBe(false);
    await running.stop();
  });

  test("a process that ends early is an error with its log, which stays", async () => {
    const { message, logWasKept } = await failureOf(
      startProcess(node(`console.error("no such file"); process.exit(3)`), { ready: never }),
    );
    expect(message).toMatch(/^node ended: exit code 3 \(log: .*\)\nno such file$/);
    expect(logWasKept).toBe(true);
  });

  test("a process that is not ready in time is stopped", async () => {
    let pid = 0;
    const ready = (running: RunningProcess) => {
      pid = running.pid;
      return false;
    };
    const { message } = await failureOf(startProcess(node("setInterval(() => {}, 1000)"), { ready, seconds: 0.1 }));
    expect(message).toMatch(/^node ready: not within 0.1 s/);
    expect(() => process.kill(pid, 0)).toThrow("ESRCH");
  });

  test("a program that is not there is an error", async () => {
    expect((await failureOf(startProcess(["/no/such/program"], { ready: never }))).message).toContain("ENOENT");
  });
});

describe("waitFor", () => {
  test("names what it waited for and the last error", async () => {
    const failing = () => Promise.reject(new Error("connection refused"));
    await expect(waitFor("the port", failing, 0.05)).rejects.toThrow("the port: not within 0.05 s: connection refused");
  });
});
