import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import timers from "node:timers/promises";
import { Journal, undoCommand } from "../../../registry/storage/journal";
import { lockFolder } from "../../../registry/storage/lock";
import { keepNewest } from "../../../registry/storage/policy";
import { applyPrune, planPrune } from "../../../registry/storage/prune";
import { StorageRefusal } from "../../../registry/storage/refusal";
import { scan } from "../../../registry/storage/scan";
import {
  artifact,
  type Content,
  content,
  digestOf,
  fallbackTagOf,
  image,
  index,
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
const quiet = async () => {};

// Nothing writes to these stores, so the second check need not wait.
jest.spyOn(timers, "setTimeout").mockImplementation(async () => undefined as never);

let store: SyntheticStore;
beforeEach(() => {
  store = new SyntheticStore();
});
afterEach(() => store.remove());

/** Pushes an image, and sets the age of its tags. */
const push = (repository: string, age: number, manifest: SyntheticManifest, ...tags: string[]): void => {
  store.push(repository, manifest, ...tags);
  const at = new Date(NOW - age * HOUR);
  for (const tag of tags) utimesSync(store.repository(repository).tagLink(tag), at, at);
};

/** What a registry holds after some time: re-pushed tags, shared layers, nested indexes, signatures, old versions. */
const corpus = (): { keep: SyntheticManifest[] } => {
  const base = layer("base");
  const version = (n: number) => multiPlatformImage(`v${n}`, { layers: [base, layer(`v${n}`)] });
  const nested = index([version(3), image("extra")]);
  const tool = image("tool");
  const signature = artifact("signature", { subject: nested });
  const oldSignature = artifact("old signature", { subject: version(1) });
  push("app", 30, version(1), "v1", "latest");
  push("app", 20, version(2), "v2", "latest");
  push("app", 11, nested, "latest");
  push("app", 10, nested, "v3");
  push("app", 5, index([signature]), fallbackTagOf(nested));
  push("app", 25, index([oldSignature]), fallbackTagOf(version(1)));
  push("team/tool", 7, tool, "v1");
  push("team/tool", 3, tool, "v2");
  push("team/tool", 9, image("dropped"), "v0");
  return { keep: [nested, index([signature]), tool] };
};

/** Every file of the registry with its size, time and, for links, content: all that decides what is served. */
const tree = () =>
  readdirSync(store.layout.registry, { recursive: true, encoding: "utf8" })
    .filter((path) => statSync(join(store.layout.registry, path)).isFile())
    .sort()
    .map((path) => {
      const file = join(store.layout.registry, path);
      return [path, readFileSync(file, "latin1"), path.endsWith("current/link") ? statSync(file).mtimeMs : null];
    });

const blobsOf = (manifests: readonly SyntheticManifest[]): Set<string> =>
  new Set(
    manifests.flatMap((each) => [
      each.descriptor.digest,
      ...each.blobs.map(({ descriptor }) => descriptor.digest),
      ...blobsOf(each.manifests),
    ]),
  );

describe("the plan", () => {
  test("keeps what the newest tags need, and counts what the garbage collection will free", async () => {
    const { keep } = corpus();
    const before = tree();
    const report = await planPrune(store.root, NEWEST, NOW);
    const ideal = blobsOf(keep);
    expect(report).toMatchObject({ root: store.root, policy: NEWEST, applied: false, journal: null });
    expect(report.keep).toMatchObject({ tags: 3, blobs: ideal.size });
    expect(report.kept.map(({ repository, tag }) => `${repository}:${tag}`)).toEqual(
      ["app:v3", expect.stringMatching(/^app:sha256-/), "team/tool:v2"].sort(),
    );
    expect(report.remove.tags.map(({ repository, tag }) => `${repository}:${tag}`)).toEqual([
      "app:latest",
      expect.stringMatching(/^app:sha256-/),
      "app:v1",
      "app:v2",
      "team/tool:v0",
      "team/tool:v1",
    ]);
    const { counts } = await scan(store.root);
    expect(report.remove.blobs).toBe(counts.blobs - ideal.size);
    expect(tree()).toEqual(before);
    expect(readdirSync(store.root)).toEqual(["docker"]);
  });

  test("lists repositories and tags in ascending order", async () => {
    for (const name of ["app/a", "app-b", "app"]) {
      for (const age of [1, 2]) push(name, age, image(`${name} ${age}`), `v${age}`);
    }
    const { kept, remove } = await planPrune(store.root, NEWEST, NOW);
    const names = ["app", "app-b", "app/a"];
    for (const list of [kept, remove.tags, remove.manifests]) {
      expect(list.map(({ repository }) => repository)).toEqual(names);
    }
  });

  test("of a registry that has nothing to spare is empty", async () => {
    push("app", 1, multiPlatformImage("app"), "v1");
    expect(await planPrune(store.root, NEWEST, NOW)).toMatchObject({
      remove: { tags: [], manifests: [], blobs: 0, bytes: 0 },
    });
  });

  test("counts garbage that is there already", async () => {
    push("app", 1, image("app"), "v1");
    const garbage = layer("garbage");
    write(store.layout.blobData(digestOf(garbage)), garbage.bytes);
    expect((await planPrune(store.root, NEWEST, NOW)).remove).toMatchObject({ blobs: 1, bytes: garbage.bytes.length });
  });
});

describe("applying it", () => {
  test("leaves exactly what the kept tags need, and a second run removes nothing", async () => {
    const { keep } = corpus();
    const planned = await planPrune(store.root, NEWEST, NOW);
    const report = await applyPrune(store.root, NEWEST, NOW, quiet);
    expect(report).toEqual({ ...planned, applied: true, journal: expect.stringContaining("2026-04-19T00.00.00.000Z") });
    expect((await scan(store.root)).findings).toEqual([]);
    const again = await planPrune(store.root, NEWEST, NOW);
    expect(again.remove).toMatchObject({ tags: [], manifests: [] });
    expect(again.keep).toEqual(planned.keep);
    const layers = new Set(keep.flatMap((each) => [...blobsOf([each])]));
    for (const name of ["app", "team/tool"]) {
      for (const encoded of readdirSync(`${store.repository(name).layers}/sha256`)) {
        expect(layers.has(`sha256:${encoded}`)).toBe(true);
      }
    }
    expect(await applyPrune(store.root, NEWEST, NOW, quiet)).toMatchObject({ applied: true, journal: null });
  });

  test("removes links only: the blobs are the garbage collection's", async () => {
    corpus();
    const blobs = () => tree().filter(([path]) => String(path).startsWith("blobs/"));
    const before = blobs();
    await applyPrune(store.root, NEWEST, NOW, quiet);
    expect(blobs()).toEqual(before);
  });

  test("ended at a removal, every kept tag is served, and the next run does the rest", async () => {
    corpus();
    const pristine = mkdtempSync(join(tmpdir(), "warden-pristine-"));
    cpSync(store.root, pristine, { recursive: true, preserveTimestamps: true });
    const { kept } = await planPrune(store.root, NEWEST, NOW);
    const remove = Journal.prototype.remove;
    const removals = jest.spyOn(Journal.prototype, "remove");
    await applyPrune(store.root, NEWEST, NOW, quiet);
    const steps = removals.mock.calls.length;
    const finished = tree();
    expect(steps).toBeGreaterThan(15);
    // The property test covers all steps; here a few are enough.
    for (const step of [0, 1, steps >> 1, steps - 1]) {
      rmSync(store.root, { recursive: true });
      cpSync(pristine, store.root, { recursive: true, preserveTimestamps: true });
      let done = 0;
      removals.mockImplementation(function (this: Journal, path) {
        if (done++ === step) throw new Error("killed");
        remove.call(this, path);
      });
      await expect(applyPrune(store.root, NEWEST, NOW, quiet)).rejects.toThrow("killed");
      const { findings } = await scan(store.root);
      expect(findings.filter(({ kind }) => kind !== "orphan-layer-link")).toEqual([]);
      for (const { repository, tag } of kept) {
        expect(existsSync(store.repository(repository).tagLink(tag))).toBe(true);
      }
      removals.mockImplementation(remove);
      await applyPrune(store.root, NEWEST, NOW + step + 1, quiet);
      expect(tree()).toEqual(finished);
    }
    removals.mockRestore();
    rmSync(pristine, { recursive: true });
  });

  test("can be undone from the journal until the garbage collection ran", async () => {
    store.remove();
    store = new SyntheticStore(mkdtempSync(join(tmpdir(), "it's a $(store)-")));
    corpus();
    const before = tree();
    const { journal } = await applyPrune(store.root, NEWEST, NOW, quiet);
    expect(tree()).not.toEqual(before);
    execFileSync("sh", ["-c", undoCommand(store.root, journal ?? "")]);
    expect(tree()).toEqual(before);
  });

  test("drops the journals of what was collected since, and keeps the others", async () => {
    corpus();
    const first = await applyPrune(store.root, NEWEST, NOW, quiet);
    push("app", 0, image("v4"), "v4");
    const second = await applyPrune(store.root, NEWEST, NOW + 1, quiet);
    expect([first, second].map(({ journal }) => existsSync(journal ?? ""))).toEqual([true, true]);
    rmSync(store.layout.blobData(first.remove.manifests[0]?.digest ?? "sha256:"));
    push("app", -1, image("v5"), "v5");
    await applyPrune(store.root, NEWEST, NOW + 2, quiet);
    expect([first, second].map(({ journal }) => existsSync(journal ?? ""))).toEqual([false, true]);
  });
});

describe("refuses, and changes nothing", () => {
  const refused = async (run: () => Promise<unknown>): Promise<StorageRefusal> => {
    const before = [tree(), readdirSync(store.root)];
    const error = await run().then(
      () => new Error("it went on"),
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(StorageRefusal);
    const { message, hint } = error as StorageRefusal;
    expect(`${message}; ${hint}`).toMatch(/^[^\n]+[^.\n]$/);
    expect([tree(), readdirSync(store.root)]).toEqual(before);
    return error as StorageRefusal;
  };
  const apply = () => applyPrune(store.root, NEWEST, NOW, quiet);
  const plan = () => planPrune(store.root, NEWEST, NOW);

  test("a damaged store, and names the repair", async () => {
    const lost = multiPlatformImage("lost");
    push("app", 1, lost, "v1");
    const [first, second] = lost.manifests as [SyntheticManifest, SyntheticManifest];
    rmSync(store.repository("app").revisionLink(digestOf(first)));
    expect(await refused(plan)).toMatchObject({
      code: "damaged",
      message: expect.stringContaining(`1 found, the first: orphan-index-child app ${digestOf(first)} v1`),
      hint: expect.stringContaining(`warden repair REGISTRY --storage ${store.root} --apply`),
    });
    rmSync(store.layout.blobData(digestOf(second.blobs[0] as Content)));
    expect((await refused(apply)).hint).toContain("--discard");
  });

  test("a damaged tag even where the plan would remove it", async () => {
    const old = image("old");
    push("app", 9, old, "v1");
    push("app", 1, image("new"), "v2");
    rmSync(store.layout.blobData(digestOf(old)));
    expect(await refused(apply)).toMatchObject({ code: "damaged" });
  });

  test("a repository that the catalog hides, whose blobs would be collected", async () => {
    push("app", 1, image("app"), "v1");
    rmSync(store.repository("app").layers, { recursive: true });
    expect(await refused(apply)).toMatchObject({ code: "damaged" });
  });

  test("a kept manifest that is served by its layer link alone", async () => {
    const child = image("child");
    push("app", 1, index([child]), "v1");
    rmSync(store.repository("app").revisionLink(digestOf(child)));
    write(store.repository("app").layerLink(digestOf(child)), digestOf(child));
    expect(await refused(apply)).toMatchObject({
      code: "damaged",
      message: expect.stringContaining("no revision link"),
    });
  });

  test("a kept layer that is stored under another digest than the manifest names", async () => {
    const [one, config] = [layer("one"), content(MEDIA_TYPES.oci.config, Buffer.from("{}"))];
    const sha512 = `sha512:${"5".repeat(128)}` as const;
    const layers = [{ ...one.descriptor, digest: sha512 }];
    const document = { schemaVersion: 2, mediaType: MEDIA_TYPES.oci.manifest, config: config.descriptor, layers };
    push("app", 1, manifest(document, { blobs: [config, one] }), "v1");
    write(store.repository("app").layerLink(sha512), digestOf(one));
    expect(await refused(apply)).toMatchObject({ code: "damaged", message: expect.stringContaining("another digest") });
  });

  test("a registry that may write", async () => {
    corpus();
    const running = async () => {
      throw new StorageRefusal("registry-running", "it runs", "stop it");
    };
    expect(await refused(() => applyPrune(store.root, NEWEST, NOW, running))).toMatchObject({
      code: "registry-running",
    });
  });

  test("a registry that was started in between, before anything is removed", async () => {
    corpus();
    let asked = 0;
    const started = async () => {
      if (++asked > 1) throw new StorageRefusal("registry-running", "it runs", "stop it");
    };
    const before = tree();
    await expect(applyPrune(store.root, NEWEST, NOW, started)).rejects.toMatchObject({ code: "registry-running" });
    expect(tree()).toEqual(before);
  });

  test("a store that another warden works on", async () => {
    corpus();
    mkdirSync(store.layout.warden);
    const lock = await lockFolder(store.layout.warden);
    expect(await refused(apply)).toMatchObject({ code: "locked" });
    await lock.release();
  });

  test("a pull-through cache", async () => {
    corpus();
    writeFileSync(store.layout.schedulerState, "{}");
    expect(await refused(apply)).toMatchObject({ code: "proxy" });
  });

  test("a folder of stores", async () => {
    corpus();
    const folder = mkdtempSync(join(tmpdir(), "warden-stores-"));
    cpSync(store.root, join(folder, "private"), { recursive: true });
    await expect(planPrune(folder, NEWEST, NOW)).rejects.toMatchObject({
      code: "unknown-layout",
      hint: expect.stringContaining(join(folder, "private")),
    });
    rmSync(folder, { recursive: true });
  });

  test("a folder it cannot write", async () => {
    corpus();
    writeFileSync(store.layout.warden, "a file where the journal should be");
    expect(await refused(apply)).toMatchObject({ code: "read-only" });
  });
});

describe("goes on", () => {
  test("over leftovers that nothing refers to", async () => {
    corpus();
    const orphan = `sha256:${"a".repeat(64)}` as const;
    write(store.repository("app").layerLink(orphan), orphan);
    write(store.repository("app").uploadStarted("old"), "2020-01-01T00:00:00Z");
    await applyPrune(store.root, NEWEST, NOW, quiet);
    expect(existsSync(store.repository("app").layerLink(orphan))).toBe(false);
  });

  test("over a broken layer link that nothing needs, also where no rule removes it", async () => {
    corpus();
    const orphan = `sha256:${"a".repeat(64)}` as const;
    write(store.repository("app").layerLink(orphan), "");
    await planPrune(store.root, { rules: [{ repositories: "team/*", keepNewest: 1 }] }, NOW);
    await applyPrune(store.root, NEWEST, NOW, quiet);
    expect(existsSync(store.repository("app").layerLink(orphan))).toBe(false);
  });

  test("over an untagged image that is broken, and removes it", async () => {
    const broken = multiPlatformImage("broken");
    push("app", 9, broken);
    push("app", 1, image("app"), "v1");
    rmSync(store.repository("app").revisionLink(digestOf(broken.manifests[0] as SyntheticManifest)));
    const { remove } = await applyPrune(store.root, NEWEST, NOW, quiet);
    expect(remove.manifests).toContainEqual({ repository: "app", digest: digestOf(broken) });
    expect((await scan(store.root)).findings).toEqual([]);
  });
});
