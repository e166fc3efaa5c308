import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { sha256 } from "../../registry/oci/digest";
import { image } from "../lab/images";
import { FakeRegistry } from "../registry/oci/fake-registry";

// Starting a process through tsx takes a while on a busy machine.
jest.setTimeout(30_000);

const VERIFY = ["--import", "tsx", "cli/warden.ts", "verify"];

test("an interrupted walk reports what it has found, and ends", async () => {
  const registry = await FakeRegistry.start();
  registry.push("a", image("a"), "v1").push("b", image("b"), "v1");
  registry.repository("a").tags.set("lost", sha256("nothing"));
  try {
    const child = spawn(process.execPath, [...VERIFY, registry.host, "--json", "--concurrency", "1"], {
      cwd: resolve(__dirname, "../.."),
      stdio: ["ignore", "pipe", "pipe"],
    });
    // Never answered: the walk has reached the second repository and is waiting.
    registry.on(/^\/v2\/b\//, () => child.kill("SIGINT"));
    let out = "";
    let err = "";
    child.stdout.on("data", (piece) => {
      out += piece;
    });
    child.stderr.on("data", (piece) => {
      err += piece;
    });
    const code = await new Promise((ended) => child.once("close", ended));
    expect(JSON.parse(out)).toMatchObject({
      complete: false,
      failures: [{ repository: "a", tags: ["lost"] }],
      stopped: { code: "interrupted" },
    });
    // No progress output without a terminal.
    expect({ code, err }).toEqual({ code: 1, err: "" });
  } finally {
    await registry.stop();
  }
});

// At a rate, so many requests wait for one signal that Node would warn of a leak.
test("a reader that closes the pipe early causes no stack trace, and 32 requests at once no warning", async () => {
  const registry = await FakeRegistry.start();
  registry.push("app", image("app"), "v1");
  // More output than a pipe buffers.
  for (let n = 0; n < 2000; n++) registry.repository("app").tags.set(`lost${n}`, sha256(`${n}`));
  try {
    const child = spawn(
      process.execPath,
      [...VERIFY, registry.host, "--json", "--blobs", "none", "--concurrency", "32", "--rate", "4000"],
      { cwd: resolve(__dirname, "../.."), stdio: ["ignore", "pipe", "pipe"] },
    );
    let err = "";
    child.stderr.on("data", (piece) => {
      err += piece;
    });
    child.stdout.once("data", () => child.stdout.destroy());
    const code = await new Promise((ended) => child.once("close", ended));
    expect({ code, err }).toEqual({ code: 1, err: "" });
  } finally {
    await registry.stop();
  }
});
