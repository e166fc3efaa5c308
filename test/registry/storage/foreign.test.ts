import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import timers from "node:timers/promises";
import { scan } from "../../../registry/storage/scan";
import { ScanTaskRunner } from "../../../registry/storage/scan-task";
import type { ScanRunner } from "../../../registry/storage/scan-threads";
import { type Content, digestOf, image, multiPlatformImage } from "../../lab/images";
import { SyntheticStore, write } from "./synthetic-store";

// Nothing writes to these stores, so a scan's second check need not wait.
jest.spyOn(timers, "setTimeout").mockImplementation(async () => undefined as never);

let store: SyntheticStore;
beforeEach(() => {
  store = new SyntheticStore();
  store.push("ok/app", image("app"), "v1").push("prod/app", multiPlatformImage("prod"), "v1");
});
afterEach(() => store.remove());

const at = (path: string) => join(store.layout.registry, path);
const copyOf = (path: string) => cpSync(at("repositories/ok/app"), at(path), { recursive: true });
const fifo = (path: string) => execFileSync("mkfifo", [at(path)]);
const foreign = async () => {
  const { findings } = await scan(store.root);
  return findings.filter(({ kind }) => kind === "foreign-entry").map(({ path }) => path);
};

/**
 * Entries that stop or mislead the garbage collection of registry 2.8.3, or that it never follows: test/lab tries them.
 */
const FOREIGN: [what: string, path: string, make: (path: string) => void][] = [
  ["a copy of a repository", "repositories/ok/App (copy)", copyOf],
  ["a name that ends in a dash", "repositories/ok/app-", copyOf],
  ["a name in capitals", "repositories/App", (path) => mkdirSync(at(path))],
  ["snapshots of a file system", "repositories/.snapshot", (path) => copyOf(`${path}/app`)],
  ["a name that is not ASCII", "repositories/ok/äpp", copyOf],
  [
    "a name that is not UTF-8",
    "repositories/ok/caf\udce9",
    () => execFileSync("bash", ["-c", "cp -r app $'caf\\xe9'"], { cwd: at("repositories/ok") }),
  ],
  [
    "a file that hides what comes after it, with a name that is not UTF-8",
    "repositories/ok/_caf\udce9",
    () => execFileSync("bash", ["-c", "touch $'_caf\\xe9'"], { cwd: at("repositories/ok") }),
  ],
  ["a name with a line end", "repositories/ok/a\nb", copyOf],
  ["repositories without a name", "repositories/_layers", (path) => mkdirSync(at(path))],
  ["a file that hides what comes after it", "repositories/_notes", (path) => writeFileSync(at(path), "")],
  ["one in a repository", "repositories/ok/app/_notes", (path) => writeFileSync(at(path), "")],
  ["a link to another repository", "repositories/old", (path) => symlinkSync("prod", at(path))],
  ["a link that leads nowhere", "repositories/gone", (path) => symlinkSync("nothing", at(path))],
  ["a loop", "repositories/ok/loop", (path) => symlinkSync("..", at(path))],
  ["a fifo beside the repositories", "repositories/fifo", fifo],
  ["a fifo among the revisions", "repositories/ok/app/_manifests/revisions/sha256/fifo", fifo],
  ["a link among the tags", "repositories/ok/app/_manifests/tags/v2", (path) => symlinkSync("v1", at(path))],
  ["a link among the layers", "repositories/ok/app/_layers/sha256/x", (path) => symlinkSync("/etc", at(path))],
  [
    "a revision whose name is no digest",
    "repositories/ok/app/_manifests/revisions/sha256/abc",
    (path) => write(at(`${path}/link`), "abc"),
  ],
  ["another algorithm", "blobs/md5", (path) => write(at(`${path}/ab/abcd/data`), "x")],
  ["a file among the blobs", "blobs/README", (path) => writeFileSync(at(path), "")],
  ["a folder among the algorithm's", "blobs/sha256/zz", (path) => mkdirSync(at(path))],
  ["a file among them", "blobs/sha256/notes", (path) => writeFileSync(at(path), "")],
  ["a blob that is no digest", "blobs/sha256/ab/dir", (path) => write(at(`${path}/data`), "x")],
  ["a blob in the wrong folder", `blobs/sha256/ab/${"cd".repeat(32)}`, (path) => write(at(`${path}/data`), "x")],
  [
    "a link in place of a blob",
    `blobs/sha256/ab/${"ab".repeat(32)}`,
    (path) => {
      mkdirSync(at("blobs/sha256/ab"), { recursive: true });
      symlinkSync("/etc", at(path));
    },
  ],
];

test.each(FOREIGN)("%s is told with its path, and only that", async (_, path, make) => {
  make(path);
  expect(await foreign()).toEqual([at(path)]);
});

test("what may lie there is not", async () => {
  mkdirSync(at("repositories/lost+found"));
  mkdirSync(at("blobs/lost+found"), { recursive: true });
  writeFileSync(at("repositories/README"), "");
  mkdirSync(at("repositories/_old"));
  writeFileSync(at("repositories/ok/app/README"), "");
  write(at(`blobs/sha512/ab/${"ab".repeat(64)}/data`), "x");
  write(`${store.layout.blob(digestOf(image("app")))}/data.bak`, "x");
  expect((await scan(store.root)).findings).toEqual([]);
});

test("what is behind a link is not read: neither a repository nor its parts nor a blob", async () => {
  const elsewhere = mkdtempSync(join(tmpdir(), "warden-elsewhere-"));
  const { layers } = store.repository("prod/app");
  cpSync(layers, `${elsewhere}/_layers`, { recursive: true });
  rmSync(layers, { recursive: true });
  symlinkSync(`${elsewhere}/_layers`, layers);
  const { findings, counts } = await scan(store.root);
  expect(counts.layerLinks).toBe(3);
  expect(findings.filter(({ kind }) => kind === "foreign-entry")).toMatchObject([
    { path: layers, repository: "prod/app" },
  ]);
  rmSync(elsewhere, { recursive: true });
});

describe("what is behind a link among the blobs is not read, whichever thread listed them", () => {
  // One thread per task: none knows what another has seen.
  const runner: ScanRunner = {
    run: async (tasks) => tasks.map((task) => new ScanTaskRunner().run(structuredClone(task))),
    close: async () => {},
  };

  test.each([
    ["a blob", (blob: string) => blob],
    ["a folder of blobs", (blob: string) => dirname(blob)],
    ["an algorithm", (blob: string) => dirname(dirname(blob))],
  ])("%s", async (_, placeOf) => {
    const lost = image("lost");
    store.push("linked/app", lost, "v1");
    const layer = digestOf(lost.blobs[1] as Content);
    const [place, elsewhere] = [placeOf(store.layout.blob(layer)), `${store.root}/elsewhere`];
    renameSync(place, elsewhere);
    symlinkSync(elsewhere, place);
    const report = await scan(store.root, { runner });
    expect(report.findings.find(({ path }) => path === place)).toMatchObject({ kind: "foreign-entry" });
    expect(report.findings.filter(({ repository }) => repository === "linked/app").length).toBeGreaterThan(0);
    expect(report).toEqual(await scan(store.root));
    expect(await scan(store.root, { runner, hash: true })).toEqual(await scan(store.root, { hash: true }));
  });
});

test("the operator's layout: the root, v2, repositories and blobs may be links", async () => {
  const elsewhere = mkdtempSync(join(tmpdir(), "warden-volume-"));
  for (const name of ["repositories", "blobs"]) {
    cpSync(at(name), `${elsewhere}/${name}`, { recursive: true });
    rmSync(at(name), { recursive: true });
    symlinkSync(`${elsewhere}/${name}`, at(name));
  }
  symlinkSync(store.root, `${elsewhere}/root`);
  expect(await scan(`${elsewhere}/root`)).toMatchObject({ findings: [], counts: { repositories: 2, tags: 2 } });
  rmSync(elsewhere, { recursive: true });
});

test.each(["tagLink", "revisionLink", "layerLink", "blobData"] as const)(
  "a fifo, a folder or a link in place of a file (%s) is a finding, and holds nothing up",
  async (place) => {
    const app = store.repository("ok/app");
    const digest = digestOf(image("app"));
    const layer = image("app").blobs[1];
    const path = {
      tagLink: app.tagLink("v1"),
      revisionLink: app.revisionLink(digest),
      layerLink: app.layerLink(layer === undefined ? digest : digestOf(layer)),
      blobData: store.layout.blobData(digest),
    }[place];
    for (const make of [
      () => execFileSync("mkfifo", [path]),
      () => mkdirSync(path),
      () => symlinkSync("/etc/hostname", path),
      () => symlinkSync("/dev/zero", path),
    ]) {
      rmSync(path, { recursive: true });
      make();
      const { findings } = await scan(store.root, { hash: true });
      expect(findings).toMatchObject([{ repository: "ok/app", kind: expect.stringMatching(/^(broken|missing)-/) }]);
    }
  },
);

describe("a repository without tags", () => {
  const HOURS_AGO = new Date(Date.now() - 7_200_000);
  const kinds = async () => (await scan(store.root)).findings.map(({ kind, repository }) => `${kind} ${repository}`);
  const age = () => execFileSync("find", [store.root, "-exec", "touch", "-d", HOURS_AGO.toISOString(), "{}", "+"]);

  test("of images that were pushed by digest alone", async () => {
    store.push("new/app", multiPlatformImage("new"));
    age();
    expect(await kinds()).toEqual(["untagged-repository new/app"]);
  });

  test("of a push that ended after its first blob, also where another repository was made below it", async () => {
    const blob = digestOf(image("x").blobs[0] ?? image("x"));
    write(store.layout.blobData(blob), "{}");
    write(store.repository("new").layerLink(blob), blob);
    age();
    store.push("new/below", image("below"), "v1");
    utimesSync(store.repository("new").layers, HOURS_AGO, HOURS_AGO);
    expect(await kinds()).toEqual(["untagged-repository new"]);
  });

  test.each(["tags", "manifests"] as const)("that lost its %s is damaged", async (folder) => {
    age();
    const repository = store.repository("ok/app");
    rmSync(repository[folder], { recursive: true });
    // A fast machine creates and removes it within one tick of the file system's clock.
    const lost = new Date(Date.now() + 60_000);
    for (const each of [repository.folder, repository.manifests]) if (existsSync(each)) utimesSync(each, lost, lost);
    expect(await kinds()).toEqual(["hidden-repository ok/app"]);
  });

  test("that lost its tags, and got an image by digest since, is damaged", async () => {
    age();
    rmSync(store.repository("ok/app").tags, { recursive: true });
    const lost = new Date(Date.now() - 3_700_000);
    utimesSync(store.repository("ok/app").manifests, lost, lost);
    store.push("ok/app", image("later"));
    expect(await kinds()).toEqual(["hidden-repository ok/app"]);
  });
});

test("a store without a repository is not well", async () => {
  rmSync(at("repositories"), { recursive: true });
  rmSync(at("blobs"), { recursive: true });
  expect(await scan(store.root)).toMatchObject({ findings: [], empty: [store.layout.registry] });
});
