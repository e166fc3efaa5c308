import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import timers from "node:timers/promises";
import type { Digest } from "../../../registry/oci/digest";
import { removeOrphanLayerLink } from "../../../registry/storage/layer-link";
import { StoreReader } from "../../../registry/storage/reader";
import { StorageRefusal } from "../../../registry/storage/refusal";
import { scan } from "../../../registry/storage/scan";
import { type ScanRunner, ScanThreads } from "../../../registry/storage/scan-threads";
import { type Content, digestOf, image, index, layer } from "../../lab/images";
import { SyntheticStore, write } from "./synthetic-store";

const ORPHAN: Digest = `sha256:${"a".repeat(64)}`;

let store: SyntheticStore;
beforeEach(() => {
  store = new SyntheticStore();
});
afterEach(() => store.remove());

/** Every path of the store with its size and time, to check that nothing was changed. */
const everything = () =>
  readdirSync(store.root, { recursive: true, encoding: "utf8" })
    .sort()
    .map((path) => {
      const { size, mtimeMs, ino } = statSync(join(store.root, path));
      return [path, size, mtimeMs, ino];
    });

test("counts a healthy store and finds nothing", async () => {
  store.push("app", index([image("amd64"), image("arm64")]), "v1", "latest").push("app/tool", image("tool"), "v1");
  expect(await scan(store.root)).toEqual({
    root: store.root,
    role: "private",
    counts: { repositories: 2, tags: 3, revisions: 4, indexes: 1, layerLinks: 9, blobs: 13 },
    findings: [],
    fixed: 0,
    unreadable: [],
  });
});

test("a store that nothing was pushed to is well", async () => {
  expect(await scan(store.root)).toMatchObject({ counts: { repositories: 0, blobs: 0 }, findings: [] });
});

describe("orphan layer links", () => {
  const linkOf = (digest: Digest) => store.repository("app").layerLink(digest);
  const orphaned = () => {
    const needed = image("needed");
    store.push("app", needed, "v1");
    write(linkOf(ORPHAN), ORPHAN);
    const [, firstLayer] = needed.blobs as [Content, Content];
    rmSync(store.layout.blobData(digestOf(firstLayer)));
    return digestOf(firstLayer);
  };

  test("are reported, and left where they are", async () => {
    const lost = orphaned();
    const before = everything();
    const { findings, fixed } = await scan(store.root);
    expect(findings).toMatchObject([
      { kind: "missing-layer", digest: lost },
      { kind: "orphan-layer-link", digest: ORPHAN },
    ]);
    expect(fixed).toBe(0);
    expect(everything()).toEqual(before);
  });

  test("are removed when asked for; what a manifest still needs is not an orphan", async () => {
    const lost = orphaned();
    expect(await scan(store.root, { fixLayerLinks: true })).toMatchObject({ fixed: 1, findings: { length: 2 } });
    expect(existsSync(linkOf(ORPHAN))).toBe(false);
    expect(existsSync(linkOf(lost))).toBe(true);
    expect(await scan(store.root, { fixLayerLinks: true })).toMatchObject({ fixed: 0, findings: { length: 1 } });
  });

  test("are not removed when the data has come meanwhile", () => {
    store.push("app", image("app"), "v1");
    const arrived = layer("arrived");
    write(linkOf(digestOf(arrived)), digestOf(arrived));
    write(store.layout.blobData(digestOf(arrived)), arrived.bytes);
    expect(removeOrphanLayerLink(new StoreReader(store.layout), store.repository("app"), digestOf(arrived))).toBe(
      false,
    );
    expect(existsSync(linkOf(digestOf(arrived)))).toBe(true);
  });
});

describe("a registry that is running", () => {
  /** Changes the store between the first check and the second. */
  const changing = (change: () => void): ScanRunner => {
    const runner = new ScanThreads(1);
    return {
      run: async (tasks) => {
        const results = await runner.run(tasks);
        if (tasks.some(({ kind }) => kind === "inspect")) change();
        return results;
      },
      close: async () => {},
    };
  };

  test("is not accused of what is whole at the second look", async () => {
    const pushed = image("app");
    store.push("app", pushed, "v1");
    const link = store.repository("app").revisionLink(digestOf(pushed));
    writeFileSync(link, "");
    const runner = changing(() => writeFileSync(link, digestOf(pushed)));
    expect((await scan(store.root, { runner })).findings).toEqual([]);
  });

  test("is not accused of what is seen at the second look only", async () => {
    const [one, other] = [image("one"), image("other")];
    store.push("app", one, "v1").push("app", other, "v2");
    const linkOf = (of: Content) => store.repository("app").revisionLink(digestOf(of));
    writeFileSync(linkOf(one), "");
    const runner = changing(() => writeFileSync(linkOf(other), ""));
    expect((await scan(store.root, { runner })).findings).toMatchObject([{ digest: digestOf(one) }]);
  });
});

describe("hashing every blob", () => {
  test("finds what has kept its size, also where no repository links it", async () => {
    const pushed = image("app");
    store.push("app", pushed, "v1");
    const [, firstLayer] = pushed.blobs as [Content, Content];
    const garbage = layer("garbage");
    for (const blob of [firstLayer, garbage]) {
      write(store.layout.blobData(digestOf(blob)), Buffer.alloc(blob.bytes.length, "x"));
    }
    expect((await scan(store.root)).findings).toEqual([]);
    expect((await scan(store.root, { hash: true })).findings).toMatchObject([
      { repository: null, kind: "digest-mismatch", digest: digestOf(garbage), linkPresent: false },
      { repository: "app", kind: "digest-mismatch", digest: digestOf(firstLayer), tags: ["v1"], repairable: false },
    ]);
  });
});

describe("where the store is", () => {
  test("a folder of stores: each finding names its store, and a cache is known by its schedule", async () => {
    const folder = store.root;
    const child = image("child");
    for (const name of ["private", "dockerhub"]) {
      const one = new SyntheticStore(join(folder, name)).push("app", index([child]), "v1");
      rmSync(one.repository("app").revisionLink(digestOf(child)));
    }
    rmSync(join(folder, "docker"), { recursive: true });
    writeFileSync(join(folder, "dockerhub", "scheduler-state.json"), "{}");
    mkdirSync(join(folder, "lost+found"));
    writeFileSync(join(folder, "notes.txt"), "");
    expect(await scan(folder)).toMatchObject({
      role: "mixed",
      counts: { repositories: 2 },
      findings: [{ store: "private", repository: "app", kind: "orphan-index-child" }],
    });
    expect(await scan(folder, { role: "private" })).toMatchObject({
      role: "private",
      findings: [{ store: "dockerhub" }, { store: "private" }],
    });
    expect(await scan(folder, { role: "proxy" })).toMatchObject({ role: "proxy", findings: [] });
  });

  test("the operator's symbolic links are followed, and none below", async () => {
    store.push("team/app", image("app"), "v1");
    renameSync(join(store.root, "docker"), join(store.root, "elsewhere"));
    symlinkSync(join(store.root, "elsewhere"), join(store.root, "docker"));
    expect(await scan(store.root)).toMatchObject({ counts: { repositories: 1 }, findings: [] });
    symlinkSync("..", join(store.layout.repositories, "team/circle"));
    expect(await scan(store.root)).toMatchObject({
      counts: { repositories: 1 },
      findings: [{ kind: "foreign-entry", path: join(store.layout.repositories, "team/circle") }],
    });
  });

  test("of many damaged stores each is found, and the wait between the looks is one", async () => {
    const folder = store.root;
    const child = image("child");
    rmSync(join(folder, "docker"), { recursive: true });
    const names = Array.from({ length: 30 }, (_, n) => `store${String(n).padStart(2, "0")}`);
    for (const name of names) {
      const one = new SyntheticStore(join(folder, name)).push("app", index([child]), "v1");
      rmSync(one.repository("app").revisionLink(digestOf(child)));
    }
    const waits = jest.spyOn(timers, "setTimeout");
    expect((await scan(folder)).findings.map(({ store: name }) => name)).toEqual(names);
    expect(waits).toHaveBeenCalledTimes(1);
    waits.mockRestore();
  });

  test("a folder that cannot be listed is told, and what is beside it is scanned", async () => {
    const lost = image("app");
    store.push("app", lost, "v1").push("other", image("other"), "v1");
    rmSync(store.layout.blobData(digestOf(lost)));
    const { revisions } = store.repository("other");
    rmSync(revisions, { recursive: true });
    symlinkSync("revisions", revisions);
    const { findings, unreadable } = await scan(store.root);
    expect(unreadable).toEqual([revisions]);
    expect(findings).toContainEqual(expect.objectContaining({ repository: "app", kind: "broken-tag" }));
  });

  test("what this user may not read is told, and is no finding", async () => {
    const hidden = image("hidden");
    store.push("app", image("app"), "v1").push("hidden", hidden, "v1");
    chmodSync(store.root, 0o755);
    chmodSync(store.repository("hidden").revisionLink(digestOf(hidden)), 0);
    chmodSync(join(store.layout.repositories, "hidden/_layers"), 0);
    const root = process.geteuid?.() === 0;
    // The user nobody, who is in no group.
    if (root) process.seteuid?.(65_534);
    try {
      expect(await scan(store.root)).toMatchObject({
        counts: { repositories: 1, tags: 1 },
        findings: [],
        unreadable: [
          expect.stringMatching(/hidden\/_(layers|manifests)/),
          expect.stringContaining("hidden/_manifests"),
        ],
      });
      await expect(scan(join(store.layout.repositories, "hidden/_layers/x"))).rejects.toMatchObject({
        code: "unreadable",
      });
    } finally {
      if (root) process.seteuid?.(0);
      chmodSync(join(store.layout.repositories, "hidden/_layers"), 0o755);
    }
  });

  test.each([
    ["an empty path", () => "", "not-found"],
    ["a path that is no folder", () => join(store.root, "nothing"), "not-found"],
    ["a folder without a store", () => join(store.root, "docker"), "unknown-layout"],
    [
      "blobs without repositories",
      () => {
        store.push("app", image("app"), "v1");
        rmSync(store.layout.repositories, { recursive: true });
        return store.root;
      },
      "unknown-layout",
    ],
  ])("%s is refused in one line", async (_, root, code) => {
    const refusal = await scan(root()).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(StorageRefusal);
    expect(refusal).toMatchObject({ code, hint: expect.stringMatching(/^[^\n.]+$/) });
  });
});
