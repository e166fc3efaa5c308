import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lockFolder } from "../../../registry/storage/lock";
import { StorageRefusal } from "../../../registry/storage/refusal";

let folder: string;
beforeEach(() => {
  // Longer than a socket's path may be.
  const base = mkdtempSync(join(tmpdir(), "warden-lock-"));
  folder = join(base, "x".repeat(200));
  mkdirSync(folder);
});
afterEach(() => rmSync(join(folder, ".."), { recursive: true }));

test("one holder at a time, and nothing is left behind", async () => {
  const lock = await lockFolder(folder);
  const refused = await lockFolder(folder).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(StorageRefusal);
  expect(refused).toMatchObject({ code: "locked" });
  lock.check();
  await lock.release();
  expect(readdirSync(folder)).toEqual([]);
  await (await lockFolder(folder)).release();
});

test("a holder that was killed holds it no longer", async () => {
  const script = `
    require("node:net").createServer().listen("lock", () => console.log("held"));
    setInterval(() => {}, 1000);
  `;
  const holder = spawn(process.execPath, ["-e", script], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve) => holder.stdout.once("data", resolve));
  await expect(lockFolder(folder)).rejects.toMatchObject({ code: "locked" });
  const ended = new Promise((resolve) => holder.once("exit", resolve));
  holder.kill("SIGKILL");
  await ended;
  expect(readdirSync(folder)).toEqual(["lock"]);
  await (await lockFolder(folder)).release();
});

test("a lock that somebody removed is noticed", async () => {
  const lock = await lockFolder(folder);
  rmSync(join(folder, "lock"));
  expect(() => lock.check()).toThrow(StorageRefusal);
  await lock.release();
});
