import { execFile, execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import type { Digest } from "../../registry/oci/digest";
import { StorageLayout } from "../../registry/storage/layout";
import { scan } from "../../registry/storage/scan";
import { verify as walkUrl } from "../registry/oci/fake-registry";
import { SyntheticStore, write } from "../registry/storage/synthetic-store";
import { describeWith } from "./components";
import { image, multiPlatformImage, push } from "./images";
import { type LabRegistry, startRegistry } from "./registry";
import { WARDEN_PROGRAM } from "./warden";

const warden = async (...args: string[]) => {
  const run = promisify(execFile)(process.execPath, [WARDEN_PROGRAM, ...args], { timeout: 60_000 });
  const { stdout, code } = await run.then(
    ({ stdout: out }) => ({ stdout: out, code: 0 }),
    (error: { stdout: string; code: number }) => error,
  );
  return { code, report: args.includes("--json") ? JSON.parse(stdout) : stdout };
};

const intact = async (registry: LabRegistry) => (await walkUrl(new URL(registry.url), { blobs: "hash" })).failures;

/**
 * Stores that people, copies or interrupted clients have changed: prune each of them, then run the registry's own
 * collection.
 */
describeWith(["registry"], "a touched store", () => {
  let registry: LabRegistry;
  let layout: StorageLayout;
  beforeEach(async () => {
    registry = await startRegistry();
    layout = new StorageLayout(registry.root);
  });
  afterEach(() => registry.stop());

  const versions = async (repository: string, count = 4) => {
    for (let n = 0; n < count; n++) await push(registry, repository, image(`${repository} ${n}`), `v${n}`);
  };
  const tags = (repository: string, root = registry.root) =>
    readdirSync(new StorageLayout(root).repository(repository).tags).sort();
  const prune = (...args: string[]) => warden("prune", registry.root, ...args, "--apply", "--offline", "--json");

  test("two names of one folder: what either keeps is served", async () => {
    await versions("prod/app");
    mkdirSync(`${layout.repositories}/old`);
    symlinkSync("../prod/app", `${layout.repositories}/old/app`);
    const policy = join(registry.root, "policy.json");
    writeFileSync(policy, JSON.stringify({ rules: [{ repositories: "old/*", keepNewest: 1 }] }));
    await prune("--policy", policy);
    await registry.collectGarbage();
    await registry.restart();
    expect(tags("prod/app")).toEqual(["v0", "v1", "v2", "v3"]);
    expect(await intact(registry)).toEqual([]);
  }, 60_000);

  test("a copy without times loses nothing, and its plan says why; the store itself is pruned", async () => {
    await versions("app", 12);
    const copied = mkdtempSync(join(tmpdir(), "warden-copied-"));
    execFileSync("sh", ["-ec", 'tar --sort=name -cf - . | tar -xmf - -C "$0"', copied], { cwd: registry.root });
    const { report } = await warden("prune", copied, "--keep-newest", "2", "--apply", "--offline", "--json");
    expect(tags("app", copied)).toHaveLength(12);
    expect(report.doubts).toEqual([{ repository: "app", doubt: "copied", tags: 12 }]);
    rmSync(copied, { recursive: true });
    await prune("--keep-newest", "2");
    expect(tags("app")).toEqual(["v10", "v11"]);
  }, 60_000);

  test("an unfinished push and images by digest stop no clean-up, and stay", async () => {
    await versions("app");
    await push(registry, "by-digest", multiPlatformImage("by digest"));
    const upload = await fetch(`${registry.url}/v2/new/app/blobs/uploads/`, { method: "POST" });
    const location = upload.headers.get("location") ?? "";
    const [blob] = image("app 0").blobs;
    const target = new URL(location, registry.url);
    target.searchParams.set("digest", blob?.descriptor.digest ?? "");
    await fetch(target, { method: "PUT", body: new Uint8Array(blob?.bytes ?? []) });
    execFileSync("find", [registry.root, "-path", "*by-digest*", "-exec", "touch", "-d", "2 hours ago", "{}", "+"]);
    execFileSync("find", [registry.root, "-path", "*new/app*", "-exec", "touch", "-d", "2 hours ago", "{}", "+"]);
    const scanned = await warden("scan", registry.root, "--json");
    expect(scanned.code).toBe(0);
    expect(
      scanned.report.findings.map(({ kind, repository }: { kind: string; repository: string }) => [kind, repository]),
    ).toEqual([
      ["untagged-repository", "by-digest"],
      ["untagged-repository", "new/app"],
    ]);
    const digest = multiPlatformImage("by digest").descriptor.digest;
    expect((await prune("--keep-newest", "1")).code).toBe(0);
    await registry.collectGarbage();
    await registry.restart();
    expect(tags("app")).toEqual(["v3"]);
    const accept = { accept: multiPlatformImage("by digest").descriptor.mediaType ?? "" };
    expect((await fetch(`${registry.url}/v2/by-digest/manifests/${digest}`, { headers: accept })).status).toBe(200);
    // The collection left the link of the unfinished push.
    expect((await scan(registry.root)).findings.map(({ kind, repository }) => [kind, repository])).toEqual([
      ["untagged-repository", "by-digest"],
      ["orphan-layer-link", "new/app"],
      ["untagged-repository", "new/app"],
    ]);
  }, 60_000);

  test("what the registry's collection stops at is what a scan tells", async () => {
    await versions("ok/app", 1);
    const stops: Record<string, (path: string) => void> = {
      "repositories/ok/App (copy)": (path) => cpSync(layout.repository("ok/app").folder, path, { recursive: true }),
      "repositories/ok/app-": (path) => cpSync(layout.repository("ok/app").folder, path, { recursive: true }),
      "repositories/.snapshot/app": (path) => cpSync(layout.repository("ok/app").folder, path, { recursive: true }),
      "repositories/ok/loop": (path) => symlinkSync("..", path),
      "repositories/ok/app/_manifests/revisions/sha256/abc/link": (path) => write(path, "abc"),
      "blobs/md5/ab/abcd/data": (path) => write(path, "x"),
      "blobs/sha256/ab/dir/data": (path) => write(path, "x"),
      [`blobs/sha256/ab/${"cd".repeat(32)}/data`]: (path) => write(path, "x"),
      "blobs/sha256/loop": (path) => symlinkSync("..", path),
    };
    for (const [name, make] of Object.entries(stops)) {
      const path = `${layout.registry}/${name}`;
      make(path);
      await expect(registry.collectGarbage({ dryRun: true })).rejects.toThrow();
      const found = (await scan(registry.root)).findings.filter(({ kind }) => kind === "foreign-entry");
      expect(found).toHaveLength(1);
      expect(`${path}/`).toContain(`${found[0]?.path}/`);
      rmSync(found[0]?.path ?? path, { recursive: true });
      await registry.collectGarbage({ dryRun: true });
      expect((await scan(registry.root)).findings).toEqual([]);
    }
  }, 120_000);

  test("a file whose name begins with _ makes the collection take what comes after it: told, and no prune before it", async () => {
    await versions("app", 2);
    writeFileSync(`${layout.repositories}/_notes`, "");
    expect(await registry.collectGarbage({ dryRun: true })).toContain("blob eligible for deletion");
    expect((await warden("scan", registry.root)).report).toContain(
      "takes everything after it in this folder for garbage",
    );
    expect((await prune("--keep-newest", "1")).report).toMatchObject({ error: { code: "damaged" } });
    expect(tags("app")).toEqual(["v0", "v1"]);
  }, 60_000);

  test("a link among ours leads nobody outside", async () => {
    await versions("app");
    const outside = mkdtempSync(join(tmpdir(), "warden-outside-"));
    mkdirSync(join(outside, "2020-01-01T00.00.00.000Z"));
    mkdirSync(join(registry.root, "registry-warden"));
    symlinkSync(outside, join(registry.root, "registry-warden/journal"));
    expect((await prune("--keep-newest", "1")).code).toBe(2);
    expect(readdirSync(outside)).toEqual(["2020-01-01T00.00.00.000Z"]);
    rmSync(outside, { recursive: true });
  }, 60_000);

  test("the layer links of another store stay", async () => {
    await versions("app", 1);
    const other = mkdtempSync(join(tmpdir(), "warden-other-"));
    const { layers } = layout.repository("app");
    for (const n of ["a", "b"]) write(`${other}/sha256/${n.repeat(64)}/link`, `sha256:${n.repeat(64)}`);
    rmSync(layers, { recursive: true });
    symlinkSync(other, layers);
    await warden("scan", registry.root, "--fix-layer-links");
    for (const n of ["a", "b"]) expect(existsSync(`${other}/sha256/${n.repeat(64)}/link`)).toBe(true);
    rmSync(other, { recursive: true });
  }, 60_000);

  test("a fifo in place of a tag's link is a finding, and the lock is not held", async () => {
    await versions("app", 2);
    const link = layout.repository("app").tagLink("v0");
    rmSync(link);
    execFileSync("mkfifo", [link]);
    expect((await warden("scan", registry.root)).code).toBe(1);
    await prune("--keep-newest", "1");
    expect(existsSync(join(registry.root, "registry-warden/lock"))).toBe(false);
  }, 60_000);

  test("another registry that is read-only is refused", async () => {
    await versions("app");
    const mirror = await startRegistry();
    try {
      await push(mirror, "app", image("app 0"), "v0");
      await mirror.restart({ readOnly: true });
      const args = ["--keep-newest", "1", "--apply", "--registry", mirror.url, "--json"];
      const { code, report } = await warden("prune", registry.root, ...args);
      expect({ code, report }).toMatchObject({ code: 2, report: { error: { code: "registry-unknown" } } });
      expect(tags("app")).toHaveLength(4);
    } finally {
      await mirror.stop();
    }
  }, 60_000);

  test("the registry of the store, read-only, is taken for it, whatever links and unfinished pushes it has", async () => {
    await versions("app");
    await push(registry, "by-digest", image("by digest"));
    symlinkSync("app", `${layout.repositories}/alias`);
    await registry.restart({ readOnly: true });
    const { code } = await warden("prune", registry.root, "--keep-newest", "1", "--apply", "--registry", registry.url);
    expect(code).toBe(0);
  }, 60_000);

  test("a damaged repository is left alone: the others are pruned, and the collection takes nothing of it", async () => {
    await versions("app");
    await versions("lost", 2);
    rmSync(layout.repository("lost").tags, { recursive: true });
    const shared = image("lost 0");
    const { report } = await prune("--keep-newest", "1");
    expect(report.skipped).toMatchObject([{ repository: "lost" }]);
    await registry.collectGarbage();
    await registry.restart();
    expect(tags("app")).toEqual(["v3"]);
    for (const { descriptor } of [shared, ...shared.blobs]) {
      expect(existsSync(layout.blobData(descriptor.digest))).toBe(true);
    }
  }, 60_000);
});

const mounts = spawnSync("unshare", ["--mount", "true"]).status === 0;
(mounts ? describe : describe.skip)(mounts ? "a disk" : "a disk: skipped: no right to mount", () => {
  let store: SyntheticStore;
  beforeEach(() => {
    store = new SyntheticStore();
    for (const n of [0, 1, 2]) store.push("app", image(`v${n}`), `v${n}`);
    const orphan: Digest = `sha256:${"a".repeat(64)}`;
    write(store.repository("app").layerLink(orphan), orphan);
  });
  afterEach(() => store.remove());

  /** Runs warden on the store after a script has changed the mounts that it sees; the store is $0. */
  const mounted = (script: string, ...args: string[]) =>
    spawnSync(
      "unshare",
      ["--mount", "sh", "-ec", `${script}\nexec "$@"`, store.root, process.execPath, WARDEN_PROGRAM, ...args],
      {
        encoding: "utf8",
        timeout: 60_000,
      },
    );
  const READ_ONLY = 'mount --bind "$0" "$0"; mount --options remount,ro,bind "$0"';

  test("that is mounted read-only: --fix-layer-links says so in one line", () => {
    const { status, stderr } = mounted(READ_ONLY, "scan", store.root, "--fix-layer-links");
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: expect.stringMatching(
        /^error: the store cannot be changed: unlink \/[^\n]*_layers[^\n]* failed \(EROFS\); mount it read-write[^\n]*\n$/,
      ),
    });
  }, 60_000);

  test("that is full: a prune says so in one line, and nothing is lost", () => {
    const full =
      'mkdir "$0/small"; mount -t tmpfs -o size=400k tmpfs "$0/small"; cp -a "$0/docker" "$0/small"; dd if=/dev/zero of="$0/small/filler" bs=4k 2>/dev/null || true';
    const show = '"$@" || echo "exit $?" >&2; find "$0/small/docker" -path "*current/link" >&2; exit 0';
    const args = ["prune", `${store.root}/small`, "--keep-newest", "1", "--apply", "--offline"];
    const { stderr } = mounted(`${full}\n${show}`, ...args);
    expect(stderr).toMatch(
      /^error: the store cannot be changed: \w+ [^\n]* failed \(ENOSPC\); the disk is full[^\n]*\nexit 2\n/,
    );
    expect(stderr.match(/current\/link/g)).toHaveLength(3);
  }, 60_000);
});

describeWith(["registry"], "a pull-through cache", () => {
  test("after its manifests expired and were collected has no finding", async () => {
    const upstream = await startRegistry();
    const cache = await startRegistry({ proxy: { url: upstream.url } });
    try {
      const pulled = image("app");
      await push(upstream, "app", pulled, "v1");
      const accept = { accept: pulled.descriptor.mediaType ?? "" };
      await (await fetch(`${cache.url}/v2/app/manifests/v1`, { headers: accept })).arrayBuffer();
      for (const { descriptor } of pulled.blobs) {
        await (await fetch(`${cache.url}/v2/app/blobs/${descriptor.digest}`)).arrayBuffer();
      }
      const layout = new StorageLayout(cache.root);
      await cache.shutDown();
      // This is what the scheduler does when a manifest expires.
      rmSync(dirname(layout.repository("app").revisionLink(pulled.descriptor.digest)), { recursive: true });
      await cache.collectGarbage();
      expect((await scan(cache.root, { role: "proxy" })).findings).toEqual([]);
    } finally {
      await cache.stop();
      await upstream.stop();
    }
  }, 60_000);
});
