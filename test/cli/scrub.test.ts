import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Content, digestOf, image } from "../lab/images";
import { waitFor } from "../lab/process";
import { SyntheticStore } from "../registry/storage/synthetic-store";
import { runWarden } from "./run-warden";

const pushed = image("app");
const [, layer] = pushed.blobs as [Content, Content];

let store: SyntheticStore;
beforeEach(() => {
  store = new SyntheticStore().push("app", pushed, "v1");
});
afterEach(() => store.remove());

// In a separate process, because it lowers its own priority for good.
const program = (...args: string[]): string[] => ["--import", "tsx", "cli/warden.ts", "scrub", ...args];
const scrub = (...args: string[]) => spawnSync(process.execPath, program(store.root, ...args), { encoding: "utf8" });

test("says how far it got and what is corrupt, with the exit code of a finding", () => {
  const { status, stdout, stderr } = scrub();
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toBe(`store     ${store.root}\nread      4 of 4 blobs, 0 of 0 MiB (100 %)\ncorrupt   0 blobs\n`);
  writeFileSync(store.layout.blobData(digestOf(layer)), Buffer.alloc(layer.bytes.length, "x"));
  const found = scrub("--json");
  expect(found.status).toBe(1);
  expect(JSON.parse(found.stdout)).toMatchObject({ version: 1, complete: true, corrupt: [digestOf(layer)] });
  expect(scrub().stdout).toContain(
    `\ncorrupt   1 blob\n\n          ${digestOf(layer)}\n\nnext      warden diagnose REGISTRY ${store.root} --hash\n`,
  );
});

test("reads at the lowest priority, and stops when told, to continue from there later", async () => {
  const state = mkdtempSync(join(tmpdir(), "warden-scrub-"));
  const args = program(store.root, "--state", state, "--rate", "0.0001", "--json");
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  child.stdout.on("data", (piece) => {
    out += piece;
  });
  try {
    const ioClass = () => spawnSync("ionice", ["-p", String(child.pid)], { encoding: "utf8" }).stdout.trim();
    await waitFor("its class of I/O is idle", () => ioClass() === "idle", 30);
    child.kill("SIGTERM");
    const [code] = await once(child, "close");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ complete: false, corrupt: [] });
  } finally {
    child.kill("SIGKILL");
    rmSync(state, { recursive: true });
  }
});

test("a missing store, and a value that is not a number", async () => {
  expect(await runWarden("scrub", `${store.root}/nothing`)).toMatchObject({ code: 2, out: "" });
  expect(await runWarden("scrub", store.root, "--rate", "0")).toMatchObject({ code: 64, out: "" });
  expect(await runWarden("scrub", store.root, "--hours", "soon")).toMatchObject({ code: 64, out: "" });
});
