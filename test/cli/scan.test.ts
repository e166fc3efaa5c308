import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Digest } from "../../registry/oci/digest";
import { scan } from "../../registry/storage/scan";
import { ScanThreads } from "../../registry/storage/scan-threads";
import { type Content, digestOf, image, multiPlatformImage } from "../lab/images";
import { SyntheticStore, write } from "../registry/storage/synthetic-store";
import { runWarden } from "./run-warden";

const ORPHAN: Digest = `sha256:${"a".repeat(64)}`;

let store: SyntheticStore;
beforeEach(() => {
  store = new SyntheticStore().push("app", image("app"), "v1");
});
afterEach(() => store.remove());

test("a healthy store: exit code 0", async () => {
  expect(await runWarden("scan", store.root)).toEqual({
    code: 0,
    out: [
      `store     ${store.root} (private)`,
      "checked   1 repository, 1 tag, 0 indexes, 1 manifest, 3 layer links, 4 blobs",
      "result    nothing wrong",
      "",
    ].join("\n"),
    err: "",
  });
});

test("a finding: exit code 1, a table and the next command", async () => {
  const [, layer] = image("app").blobs as [Content, Content];
  rmSync(store.layout.blobData(digestOf(layer)));
  const { code, out } = await runWarden("scan", store.root);
  expect(code).toBe(1);
  expect(out).toMatch(/^missing-layer {2}app:v1 {2}- +sha256:[0-9a-f]{12} {2}gone {2}present$/m);
  expect(out).toContain(`warden diagnose REGISTRY ${store.root}`);
});

test("--json prints the report and nothing else", async () => {
  const { code, out, err } = await runWarden("scan", store.root, "--json", "--role", "proxy");
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(JSON.parse(out)).toEqual({
    version: 1,
    root: store.root,
    role: "proxy",
    counts: { repositories: 1, tags: 1, revisions: 1, indexes: 0, layerLinks: 3, blobs: 4 },
    findings: [],
    fixed: 0,
    unreadable: [],
  });
});

test("--dry-run wins over --fix-layer-links", async () => {
  const link = store.repository("app").layerLink(ORPHAN);
  write(link, ORPHAN);
  const dry = await runWarden("scan", store.root, "--fix-layer-links", "--dry-run", "--json");
  expect(dry.code).toBe(1);
  expect(JSON.parse(dry.out)).toMatchObject({ fixed: 0, findings: [{ kind: "orphan-layer-link" }] });
  expect(existsSync(link)).toBe(true);
  const wet = await runWarden("scan", store.root, "--fix-layer-links", "--json");
  expect(JSON.parse(wet.out)).toMatchObject({ fixed: 1 });
  expect(existsSync(link)).toBe(false);
});

test("no store: exit code 2, one line with the hint", async () => {
  const missing = join(store.root, "nothing");
  expect(await runWarden("scan", missing)).toEqual({
    code: 2,
    out: "",
    err: `error: ${missing} is not a folder; give the folder that holds docker/registry/v2, or a folder of such folders\n`,
  });
  const { out } = await runWarden("scan", missing, "--json");
  expect(JSON.parse(out)).toMatchObject({ error: { code: "not-found" } });
});

test.each([[["scan"]], [["scan", "a", "--role", "cache"]], [["scan", "a", "--delete"]]])(
  "wrong usage %j: exit code 64",
  async (args) => {
    expect(await runWarden(...args)).toMatchObject({ code: 64, out: "" });
  },
);

test("several threads find what one finds", async () => {
  const broken = multiPlatformImage("broken");
  store.push("other", broken, "v1");
  for (const child of broken.manifests) rmSync(store.repository("other").revisionLink(digestOf(child)));
  const runner = new ScanThreads(2, join(__dirname, "../../cli/warden.ts"));
  try {
    expect(await scan(store.root, { runner, hash: true })).toEqual(await scan(store.root, { hash: true }));
  } finally {
    await runner.close();
  }
});

test("a thread that cannot start is an error, not a wait", async () => {
  const runner = new ScanThreads(2, join(store.root, "no-program.js"));
  await expect(scan(store.root, { runner })).rejects.toThrow("no-program.js");
  await runner.close();
});

test("what fails in this thread and in another is one error", async () => {
  const unhandled: unknown[] = [];
  const note = (error: unknown) => unhandled.push(error);
  process.on("unhandledRejection", note);
  const runner = new ScanThreads(2, join(store.root, "no-program.js"));
  try {
    const failing = { kind: "inspect", root: store.root, repository: "app", options: {}, strangers: null };
    await expect(runner.run([failing as never])).rejects.toThrow(TypeError);
    await sleep(300);
    expect(unhandled).toEqual([]);
  } finally {
    process.off("unhandledRejection", note);
    await runner.close();
  }
});

test("a store without a repository is not healthy: exit code 2", async () => {
  rmSync(store.repository("app").folder, { recursive: true });
  rmSync(store.layout.blobs, { recursive: true });
  const { code, out, err } = await runWarden("scan", store.root);
  expect({ code, err }).toEqual({
    code: 2,
    err: `error: ${store.layout.registry} holds no repository; check that the registry's disk is mounted there\n`,
  });
  expect(out).not.toContain("nothing wrong");
});

test("a repository that was never tagged is reported, with exit code 0", async () => {
  store.push("by-digest", image("by digest"));
  execFileSync("find", [store.root, "-exec", "touch", "-d", "2 hours ago", "{}", "+"]);
  const { code, out } = await runWarden("scan", store.root);
  expect(code).toBe(0);
  expect(out).toMatch(/^untagged-repository +by-digest /m);
});

test("what stops the registry's collection is told with its path as it is, and a command that can be pasted", async () => {
  const path = join(store.layout.repositories, "ö (copy); touch x");
  mkdirSync(path);
  const { code, out } = await runWarden("scan", store.root);
  expect(code).toBe(1);
  expect(out).toContain(`foreign-entry  ${path} `);
  expect(out).toContain(`mv '${path}' SOMEWHERE-ELSE`);
});
