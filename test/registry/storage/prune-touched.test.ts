import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import timers from "node:timers/promises";
import { Journal, undoCommand } from "../../../registry/storage/journal";
import { keepNewest } from "../../../registry/storage/policy";
import { applyPrune, planPrune } from "../../../registry/storage/prune";
import {
  content,
  digestOf,
  image,
  layer,
  MEDIA_TYPES,
  manifest,
  multiPlatformImage,
  type SyntheticManifest,
} from "../../lab/images";
import { SyntheticStore, write } from "./synthetic-store";

const NOW = Date.UTC(2026, 3, 19);
const HOUR = 3_600_000;
const NEWEST = keepNewest(1, []);

// Nothing writes to these stores, so a scan's second check need not wait.
jest.spyOn(timers, "setTimeout").mockImplementation(async () => undefined as never);

let store: SyntheticStore;
let outside: string;
beforeEach(() => {
  store = new SyntheticStore();
  outside = mkdtempSync(join(tmpdir(), "warden-outside-"));
});
afterEach(() => {
  store.remove();
  rmSync(outside, { recursive: true });
});

const at = (path: string) => join(store.layout.registry, path);
const setTime = (path: string, time: number) => utimesSync(path, time / 1000, time / 1000);
const push = (repository: string, age: number, pushed: SyntheticManifest, ...tags: string[]): void => {
  store.push(repository, pushed, ...tags);
  for (const tag of tags) setTime(store.repository(repository).tagLink(tag), NOW - age * HOUR);
};
/** Pushes v1 to v3, oldest first. */
const versions = (repository: string) => {
  for (const n of [1, 2, 3]) push(repository, 10 - n, image(`${repository} ${n}`), `v${n}`);
};
const tags = (repository: string) => readdirSync(store.repository(repository).tags).sort();
const prune = (policy = NEWEST, now = NOW) => applyPrune(store.root, policy, now, async () => {});

/** Every file below a folder, with its content and times. */
const tree = (folder: string): unknown[] =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .sort()
    .map((path) => {
      const { mtimeMs, mode } = statSync(join(folder, path));
      const isFile = statSync(join(folder, path)).isFile();
      return [path, mode, mtimeMs, isFile ? readFileSync(join(folder, path), "latin1") : null];
    });

describe("two names of one folder", () => {
  test.each([
    ["of a repository", "old/app", "repositories/prod/app"],
    ["of a folder of repositories", "old", "repositories/prod"],
    ["of its tags", "old/app/_manifests/tags", "repositories/prod/app/_manifests/tags"],
  ])("%s: what either keeps stays", async (_, link, target) => {
    versions("prod/app");
    versions("other");
    if (link.includes("_manifests")) {
      versions("old/app");
      rmSync(at(`repositories/${link}`), { recursive: true });
    }
    mkdirSync(join(at(`repositories/${link}`), ".."), { recursive: true });
    symlinkSync(at(target), at(`repositories/${link}`));
    const { skipped } = await prune();
    expect(skipped).toContainEqual({
      repository: "prod/app",
      reason: `${at(`repositories/${link}`)} and ${store.repository("prod/app").folder} are one folder`,
    });
    expect(tags("prod/app")).toEqual(["v1", "v2", "v3"]);
    expect(tags("other")).toEqual(["v3"]);
  });

  const mounts = (() => {
    try {
      execFileSync("unshare", ["--mount", "true"], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  })();
  (mounts ? test : test.skip)("by a bind mount, of a store that has no link in it", () => {
    versions("prod/app");
    versions("other");
    mkdirSync(store.repository("old/app").folder, { recursive: true });
    const script = `mount --bind "$1" "$2" && exec node --import tsx cli/warden.ts prune "$3" --keep-newest 1 --apply --offline --json`;
    const args = [
      "-ec",
      script,
      "sh",
      store.repository("prod/app").folder,
      store.repository("old/app").folder,
      store.root,
    ];
    const out = execFileSync("unshare", ["--mount", "sh", ...args], {
      cwd: join(__dirname, "../../.."),
      encoding: "utf8",
    });
    expect(JSON.parse(out).skipped.map(({ repository }: { repository: string }) => repository)).toEqual([
      "old/app",
      "prod/app",
    ]);
    expect(tags("prod/app")).toEqual(["v1", "v2", "v3"]);
    expect(tags("other")).toEqual(["v3"]);
  });
});

describe("nothing outside the store is touched", () => {
  test.each([
    ["registry-warden", ""],
    ["registry-warden/journal", ""],
    ["registry-warden/lock", ""],
  ])("when %s is a symbolic link", async (path) => {
    versions("app");
    write(join(outside, "2026-01-01T00.00.00.000Z/garbage"), `sha256:${"a".repeat(64)}\n`);
    write(join(outside, "2026-01-01T00.00.00.000Z/docker/x/link"), `sha256:${"a".repeat(64)}`);
    const before = tree(outside);
    mkdirSync(join(store.root, path, ".."), { recursive: true });
    symlinkSync(outside, join(store.root, path));
    await expect(prune()).rejects.toMatchObject({ hint: expect.any(String) });
    expect(tree(outside)).toEqual(before);
    expect(tags("app")).toEqual(["v1", "v2", "v3"]);
  });

  test("when a folder is replaced by a link between the plan and the removal", async () => {
    versions("app");
    const { tags: folder } = store.repository("app");
    cpSync(folder, join(outside, "tags"), { recursive: true, preserveTimestamps: true });
    const before = tree(outside);
    let asked = 0;
    const swapped = async () => {
      if (++asked !== 2) return;
      renameSync(folder, `${folder}-was`);
      symlinkSync(join(outside, "tags"), folder);
    };
    await expect(applyPrune(store.root, NEWEST, NOW, swapped)).rejects.toMatchObject({
      message: expect.stringContaining(folder),
    });
    expect(tree(outside)).toEqual(before);
  });

  test("when a tag is replaced by a link", async () => {
    versions("app");
    const tag = store.repository("app").tag("v1");
    cpSync(tag, join(outside, "v1"), { recursive: true, preserveTimestamps: true });
    const before = tree(outside);
    let asked = 0;
    await expect(
      applyPrune(store.root, NEWEST, NOW, async () => {
        if (++asked !== 2) return;
        rmSync(tag, { recursive: true });
        symlinkSync(join(outside, "v1"), tag);
      }),
    ).rejects.toMatchObject({ hint: expect.any(String) });
    expect(tree(outside)).toEqual(before);
  });
});

describe("what was written since the plan stays", () => {
  test.each([
    ["a tag", () => store.repository("app").tagLink("v1")],
    ["a manifest", () => store.repository("app").revisionLink(digestOf(image("app 1")))],
  ])("%s", async (_, path) => {
    versions("app");
    let asked = 0;
    const written = async () => {
      if (++asked === 2) writeFileSync(path(), readFileSync(path()));
    };
    await expect(applyPrune(store.root, NEWEST, NOW, written)).rejects.toMatchObject({ code: "registry-running" });
    expect(existsSync(path())).toBe(true);
  });

  test("the lock is looked at before each batch", async () => {
    const names = Array.from({ length: 150 }, (_, n) => `t${n}`);
    store.push("app", image("app"), ...names);
    for (const [n, name] of names.entries()) setTime(store.repository("app").tagLink(name), NOW - n * HOUR);
    let asked = 0;
    const taken = async () => {
      if (++asked === 2) rmSync(join(store.layout.warden, "lock"));
    };
    await expect(applyPrune(store.root, NEWEST, NOW, taken)).rejects.toMatchObject({ code: "locked" });
    expect(tags("app")).toHaveLength(50);
  });
});

describe("times that say nothing", () => {
  /** Sets the times as a registry writes: the manifest's link, then the tag's. */
  const written = (repository: string, names: string[], start: number, step: number): void => {
    for (const [n, name] of names.entries()) {
      const pushed = image(`${repository} ${name}`);
      store.push(repository, pushed, name);
      setTime(store.repository(repository).revisionLink(digestOf(pushed)), start + n * step);
      setTime(store.repository(repository).tagLink(name), start + n * step + step / 4);
    }
  };
  const NAMES = Array.from({ length: 12 }, (_, n) => `v${n}`);

  test("pushes that follow each other closely are in their order", async () => {
    written("app", NAMES, NOW - HOUR, 8);
    expect(await planPrune(store.root, keepNewest(2, []), NOW)).toMatchObject({ doubts: [] });
    await prune(keepNewest(2, []));
    expect(tags("app")).toEqual(["v10", "v11"]);
  });

  test.each([
    ["tar -m, by name", 'tar --sort=name -cf - . | tar -xmf - -C "$0"'],
    ["cp -r", 'cp -r . "$0"'],
  ])("those of a copy (%s) decide nothing, and the plan says so", async (_, copy) => {
    written("app", NAMES, NOW - 9 * HOUR, HOUR / 4);
    const copied = mkdtempSync(join(tmpdir(), "warden-copied-"));
    execFileSync("sh", ["-ec", copy, copied], { cwd: store.root });
    const report = await planPrune(copied, keepNewest(2, []), Date.now());
    expect(report.remove).toMatchObject({ tags: [], manifests: [] });
    expect(report.doubts).toEqual([{ repository: "app", doubt: "copied", tags: 12 }]);
    rmSync(copied, { recursive: true });
  });

  test("what was pushed after a copy is newer than all of it", async () => {
    for (const name of NAMES) store.push("app", image(name), name);
    for (const [n, name] of NAMES.toSorted().entries()) {
      setTime(store.repository("app").tagLink(name), NOW - 9 * HOUR + n);
      setTime(store.repository("app").revisionLink(digestOf(image(name))), NOW - 9 * HOUR - 1000);
    }
    written("app", ["new1", "new2"], NOW - 5 * HOUR, HOUR);
    const plan = async (newest: number) =>
      (await planPrune(store.root, keepNewest(newest, []), NOW)).kept.map(({ tag }) => tag);
    expect(await plan(2)).toEqual(["new1", "new2"]);
    expect(await plan(3)).toHaveLength(14);
  });

  test("one in the future keeps its tag, and none of the others goes for it", async () => {
    versions("app");
    push("app", -24, image("ahead"), "ahead");
    const report = await prune();
    expect(tags("app")).toEqual(["ahead", "v3"]);
    expect(report.doubts).toEqual([{ repository: "app", doubt: "future", tags: 1 }]);
    expect(report.kept).toContainEqual({
      repository: "app",
      tag: "ahead",
      reason: "its time lies in the future, so nobody can tell how old it is",
    });
  });

  const dated = (name: string, created: number): SyntheticManifest => {
    const config = content(MEDIA_TYPES.oci.config, Buffer.from(JSON.stringify({ created: new Date(created), name })));
    const only = layer(name);
    return manifest(
      { schemaVersion: 2, mediaType: MEDIA_TYPES.oci.manifest, config: config.descriptor, layers: [only.descriptor] },
      { blobs: [config, only] },
    );
  };

  test('order "created" goes by the dates of the images, and keeps what has none', async () => {
    for (const [n, name] of ["v3", "v1", "v2"].entries())
      push("app", n + 1, dated(name, NOW - Number(name[1]) * HOUR), name);
    push("app", 9, manifest({ schemaVersion: 2, mediaType: MEDIA_TYPES.oci.index, manifests: [] }), "undated");
    await prune({ rules: [{ repositories: "**", keepNewest: 1, order: "created" }] });
    expect(tags("app")).toEqual(["undated", "v1"]);
  });

  test("one before the image was made decides nothing", async () => {
    versions("app");
    push("app", 20 * 24, dated("made later", NOW - HOUR), "restored");
    await prune();
    expect(tags("app")).toEqual(["restored", "v3"]);
  });

  test.each([
    ["the manifest first", 0, [4, 8, 12], []],
    ["the manifest last", 13, [0, 4, 8], []],
    ["the manifest in one moment with the last tag", 8, [0, 4, 8], []],
    ["not of a copy: the last push wrote the manifest's link again", 20_000, [0, 10_000, 20_004], ["v1", "v2"]],
    ["not of a copy, on a disk of coarse times", 20_000, [0, 10_000, 20_000], ["v1", "v2"]],
  ])("those of a copy are known where all tags are of one image: %s", async (_, linked, tagged, removed) => {
    const only = image("only");
    const app = store.repository("app");
    store.push("app", only, "v1", "v2", "v3");
    setTime(app.revisionLink(digestOf(only)), NOW - HOUR + linked);
    for (const [at, time] of tagged.entries()) setTime(app.tagLink(`v${at + 1}`), NOW - HOUR + time);
    const { remove } = await planPrune(store.root, NEWEST, NOW);
    expect(remove.tags.map(({ tag }) => tag)).toEqual(removed);
  });

  test("those of a copy are known by the dates of the images where nothing else tells", async () => {
    for (const [n, name] of ["v1", "v10", "v11", "v2", "v3"].entries()) {
      store.push("app", dated(name, NOW - 100 * HOUR + Number(name.slice(1)) * HOUR), name);
      setTime(store.repository("app").tagLink(name), NOW - HOUR + n);
    }
    expect((await planPrune(store.root, NEWEST, NOW)).remove.tags).toEqual([]);
  });
});

describe("unfinished and damaged repositories", () => {
  test("one that was never tagged is left alone, and the others are pruned", async () => {
    versions("app");
    store.push("by-digest", multiPlatformImage("by digest"));
    execFileSync("find", [store.repository("by-digest").folder, "-exec", "touch", "-d", "2026-04-18", "{}", "+"]);
    await prune();
    expect(tags("app")).toEqual(["v3"]);
    expect(readdirSync(`${store.repository("by-digest").revisions}/sha256`)).toHaveLength(3);
  });

  test("one that was never tagged ages by untaggedOlderThanHours", async () => {
    store.push("by-digest", image("by digest"));
    const aged = (hours: number) => ({ rules: [{ repositories: "**", keepNewest: 1, untaggedOlderThanHours: hours }] });
    execFileSync("find", [
      store.repository("by-digest").folder,
      "-exec",
      "touch",
      "-d",
      "2026-04-18T00:00Z",
      "{}",
      "+",
    ]);
    await prune(aged(25));
    expect(readdirSync(`${store.repository("by-digest").revisions}/sha256`)).toHaveLength(1);
    await prune(aged(23));
    expect(readdirSync(`${store.repository("by-digest").revisions}/sha256`)).toEqual([]);
    expect(readdirSync(`${store.repository("by-digest").layers}/sha256`)).toEqual([]);
  });

  test("one that lost its tags is named and left alone, with what shares its blobs", async () => {
    const shared = image("shared");
    versions("app");
    push("app", 9, shared, "v0");
    push("lost", 1, shared, "v1");
    execFileSync("find", [store.repository("lost").folder, "-exec", "touch", "-d", "2026-04-18", "{}", "+"]);
    rmSync(store.repository("lost").tags, { recursive: true });
    const { skipped } = await prune();
    expect(skipped).toEqual([
      { repository: "lost", reason: "it is damaged (hidden-repository): warden diagnose tells what to do" },
    ]);
    expect(tags("app")).toEqual(["v0", "v3"]);
    expect(existsSync(store.repository("lost").revisionLink(digestOf(shared)))).toBe(true);
  });

  test("a lost layer of one keeps nobody else's clean-up from its turn", async () => {
    versions("app");
    push("broken", 1, image("broken"), "v1");
    push("broken", 2, image("old"), "v0");
    rmSync(store.layout.blobData(digestOf(image("broken").blobs[1] as SyntheticManifest)));
    const { skipped } = await prune();
    expect(skipped).toMatchObject([{ repository: "broken", reason: expect.stringContaining("missing-layer") }]);
    expect([tags("app"), tags("broken")]).toEqual([["v3"], ["v0", "v1"]]);
  });

  test("damage of which the collection would take the rest refuses: nothing else holds it", async () => {
    versions("app");
    const broken = multiPlatformImage("broken");
    push("broken", 1, broken, "v1");
    rmSync(store.repository("broken").revisionLink(digestOf(broken.manifests[0] as SyntheticManifest)));
    await expect(prune()).rejects.toMatchObject({ code: "damaged" });
    expect(tags("app")).toEqual(["v1", "v2", "v3"]);
    // Another repository has the same image, complete and old.
    push("app", 20, broken, "v0");
    await prune();
    expect(tags("app")).toEqual(["v0", "v3"]);
  });

  test("a file that hides repositories from the collection refuses", async () => {
    versions("app");
    writeFileSync(at("repositories/_notes"), "");
    await expect(prune()).rejects.toMatchObject({
      code: "damaged",
      message: expect.stringContaining(at("repositories/_notes")),
      hint: `mv ${at("repositories/_notes")} SOMEWHERE-ELSE`,
    });
  });

  test("a copy of a repository beside it is told and left alone", async () => {
    versions("ok/app");
    cpSync(store.repository("ok/app").folder, at("repositories/ok/App (copy)"), { recursive: true });
    const { foreign } = await prune();
    expect(foreign).toEqual([at("repositories/ok/App (copy)")]);
    expect(tags("ok/App (copy)")).toEqual(["v1", "v2", "v3"]);
    expect(tags("ok/app")).toEqual(["v3"]);
  });
});

describe("the undo", () => {
  const served = () => tree(store.layout.registry).filter((each) => /link$/.test(String((each as unknown[])[0])));

  test.each([0, 3, 7])("is one for a run that was killed at removal %d and the next", async (killed) => {
    versions("app");
    const before = served();
    const { remove } = Journal.prototype;
    let done = 0;
    const spy = jest.spyOn(Journal.prototype, "remove").mockImplementation(function (this: Journal, ...args) {
      if (done++ === killed) throw new Error("killed");
      remove.apply(this, args);
    });
    await expect(prune()).rejects.toThrow("killed");
    spy.mockRestore();
    const { journal } = await prune(NEWEST, NOW + 60_000);
    expect(tags("app")).toEqual(["v3"]);
    execFileSync("sh", ["-c", undoCommand(store.root, journal ?? "")]);
    expect(served()).toEqual(before);
  });

  test("is told by a run that finds nothing left to do after one that was killed at its end", async () => {
    versions("app");
    const spy = jest.spyOn(Journal.prototype, "complete").mockImplementation(() => {
      throw new Error("killed");
    });
    await expect(prune()).rejects.toThrow("killed");
    spy.mockRestore();
    expect(await prune(NEWEST, NOW + 1)).toMatchObject({
      journal: expect.stringContaining("2026-04-19T00.00.00.000Z"),
    });
    expect(await prune(NEWEST, NOW + 2)).toMatchObject({ journal: null });
  });

  test("stays although a link in it never led anywhere", async () => {
    versions("app");
    const orphan = `sha256:${"a".repeat(64)}` as const;
    write(store.repository("app").layerLink(orphan), orphan);
    const { journal } = await prune();
    push("app", 0, image("next"), "v4");
    await prune(NEWEST, NOW + 1);
    expect(existsSync(journal ?? "")).toBe(true);
  });
});
