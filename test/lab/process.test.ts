import { existsSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { accepts, freePort, start, waitFor } from "./process";

const node = (script: string): [string, ...string[]] => [process.execPath, "-e", script];
const never = () => false;

describe("start", () => {
  test("returns once the process is ready, and stop ends it", async () => {
    const port = await freePort();
    const running = await start(node(`require("node:net").createServer().listen(${port}, "127.0.0.1")`), {
      ready: () => accepts(port),
    });
    expect(running.isRunning()).toBe(true);
    await running.stop();
    expect(running.isRunning()).toBe(false);
    expect(await accepts(port)).toBe(false);
    await running.stop();
  });

  test("a process that ends early is an error with its log, which stays", async () => {
    const error: Error = await start(node(`console.error("no such file"); process.exit(3)`), { ready: never }).then(
      () => new Error("started"),
      (reason) => reason,
    );
    expect(error.message).toMatch(/^node ended: exit code 3 \(log: .*\)\nno such file$/);
    const log = /\(log: (.*)\)/.exec(error.message)?.[1] ?? "";
    expect(existsSync(log)).toBe(true);
    rmSync(dirname(log), { recursive: true });
  });

  test("a process that is not ready in time is stopped", async () => {
    const script = `console.log(process.pid); setInterval(() => {}, 1000)`;
    const error: Error = await start(node(script), { ready: never, seconds: 0.2 }).then(
      () => new Error("started"),
      (reason) => reason,
    );
    expect(error.message).toMatch(/^node ready: not within 0.2 s/);
    rmSync(dirname(/\(log: (.*)\)/.exec(error.message)?.[1] ?? ""), { recursive: true });
  });

  test("a program that is not there is an error", async () => {
    await expect(start(["/no/such/program"], { ready: never })).rejects.toThrow("ENOENT");
  });
});

describe("waitFor", () => {
  test("names what it waited for and the last error", async () => {
    const failing = () => Promise.reject(new Error("connection refused"));
    await expect(waitFor("the port", failing, 0.05)).rejects.toThrow("the port: not within 0.05 s: connection refused");
  });
});
