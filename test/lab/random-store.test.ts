import { execFileSync } from "node:child_process";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import timers from "node:timers/promises";
import fc from "fast-check";
import { Journal, undoCommand } from "../../registry/storage/journal";
import { StorageLayout } from "../../registry/storage/layout";
import { keepNewest } from "../../registry/storage/policy";
import { applyPrune } from "../../registry/storage/prune";
import { StorageRefusal } from "../../registry/storage/refusal";
import { SyntheticStore, write } from "../registry/storage/synthetic-store";
import {
  artifact,
  digestOf,
  digestOfBytes,
  image,
  index,
  layer,
  multiPlatformImage,
  type SyntheticManifest,
} from "./images";

/** How many stores; the bench takes thousands. */
const ROUNDS = Number(process.env.WARDEN_ROUNDS || 200);

const HOUR = 3_600_000;
const NOW = Date.UTC(2026, 3, 19);
const REPOSITORIES = ["app", "app/sub", "team/tool", "zoo"];
const TAGS = ["v1", "v2", "v3", "v10", "latest"];

const FORMS: ((n: number) => SyntheticManifest)[] = [
  (n) => image(`image ${n}`, { layers: [layer("base"), layer(`layer ${n}`)] }),
  (n) => multiPlatformImage(`platforms ${n}`, { layers: [layer("base")] }),
  (n) => index([multiPlatformImage(`platforms ${n}`, { layers: [layer("base")] }), image(`image ${n}`)]),
  (n) => artifact(`signature ${n}`, { subject: image(`image ${n}`, { layers: [layer("base"), layer(`layer ${n}`)] }) }),
];
const made = (form: number, n: number): SyntheticManifest => (FORMS[form] as (n: number) => SyntheticManifest)(n);

/** What a person, a copy, a clock or a broken disk can do; `at` chooses where. */
const TOUCHES = {
  none: () => {},
  alias: (store: SyntheticStore, at: number) => link(repositoryAt(at), `${store.layout.repositories}/alias`),
  aliasOfTags: (store: SyntheticStore, at: number) => {
    const { manifests, tags } = store.repository("twin");
    store.push("twin", made(0, at % 3));
    mkdirSync(manifests, { recursive: true });
    link(store.repository(repositoryAt(at)).tags, tags);
  },
  copyBeside: (store: SyntheticStore, at: number) =>
    copy(store.repository(repositoryAt(at)).folder, `${store.layout.repositories}/App (copy)`),
  hiding: (store: SyntheticStore) => write(`${store.layout.repositories}/_notes`, ""),
  fifo: (store: SyntheticStore, at: number) => replaceByFifo(someFile(store, at, "current/link")),
  loop: (store: SyntheticStore) => link("..", `${store.layout.repositories}/team/loop`),
  lostTags: (store: SyntheticStore, at: number) => remove(store.repository(repositoryAt(at)).tags),
  lostLayers: (store: SyntheticStore, at: number) => remove(store.repository(repositoryAt(at)).layers),
  lostData: (store: SyntheticStore, at: number) => remove(someFile(store, at, "data")),
  cutData: (store: SyntheticStore, at: number) => writeFileSync(someFile(store, at, "data"), "{"),
  lostRevision: (store: SyntheticStore, at: number) =>
    remove(dirname(someFile(store, at, "link", "_manifests/revisions"))),
  emptyTag: (store: SyntheticStore, at: number) => writeFileSync(someFile(store, at, "current/link"), ""),
  future: (store: SyntheticStore, at: number) => setTime(someFile(store, at, "current/link"), NOW + 99 * HOUR),
  foreignJournal: (store: SyntheticStore) => {
    mkdirSync(store.layout.warden, { recursive: true });
    link("/nowhere", `${store.layout.warden}/journal`);
  },
};

type Touch = keyof typeof TOUCHES;

const repositoryAt = (at: number): string => REPOSITORIES[at % REPOSITORIES.length] as string;
/** By cp, because Node's copies no FIFO. */
const copy = (from: string, to: string) =>
  exists(from) && execFileSync("cp", ["-rT", "--remove-destination", from, to]);
const remove = (path: string) => rmSync(path, { recursive: true, force: true });
const setTime = (path: string, time: number) => exists(path) && utimesSync(path, time / 1000, time / 1000);
const exists = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false }) !== undefined;
const link = (target: string, path: string): void => {
  mkdirSync(dirname(path), { recursive: true });
  if (!exists(path)) symlinkSync(target, path);
};
const replaceByFifo = (path: string): void => {
  if (!exists(path)) return;
  rmSync(path);
  execFileSync("mkfifo", [path]);
};
/** Every path below a folder, in order, without following links. */
const pathsBelow = (folder: string, below = ""): string[] =>
  readdirSync(join(folder, below), { withFileTypes: true }).flatMap((entry) => {
    const path = join(below, entry.name);
    return entry.isDirectory() ? [path, ...pathsBelow(folder, path)] : [path];
  });

/**
 * A regular file of the store whose path has the given end; a nonexistent path if there is none. No FIFO of an earlier touch:
 * whatever writes to that waits for ever.
 */
const someFile = (store: SyntheticStore, at: number, end: string, within = ""): string => {
  const paths = pathsBelow(store.layout.registry)
    .filter((path) => path.endsWith(`/${end}`) && path.includes(within))
    .map((path) => join(store.layout.registry, path))
    .filter((path) => lstatSync(path).isFile())
    .sort();
  return paths[at % Math.max(1, paths.length)] ?? join(store.layout.registry, "nothing");
};

interface RandomPush {
  repository: string;
  form: number;
  n: number;
  tags: string[];
}

/** Pushed one after the other, an hour apart: the manifest's link is written, then the tag's. */
const build = (pushes: RandomPush[]): { store: SyntheticStore; newest: Map<string, string[]> } => {
  const store = new SyntheticStore();
  const newest = new Map<string, string[]>();
  for (const [at, { repository, form, n, tags }] of pushes.entries()) {
    const time = NOW - (pushes.length - at) * HOUR;
    const pushed = made(form, n);
    store.push(repository, pushed, ...tags);
    setTime(store.repository(repository).revisionLink(digestOf(pushed)), time);
    for (const [nth, tag] of tags.entries()) {
      setTime(store.repository(repository).tagLink(tag), time + nth + 1);
      newest.set(repository, [tag, ...(newest.get(repository) ?? []).filter((each) => each !== tag)]);
    }
  }
  return { store, newest };
};

// --- the oracle: what a registry serves and collects, without the code under test ---

const linkAt = (path: string): string | null => {
  const found = statSync(path, { throwIfNoEntry: false });
  return found?.isFile() ? readFileSync(path, "latin1") : null;
};

const bytesOf = (layout: StorageLayout, digest: string): Buffer | null => {
  const path = layout.blobData(digest as `${string}:${string}`);
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found?.isFile()) return null;
  const bytes = readFileSync(path);
  return digestOfBytes(bytes) === digest ? bytes : null;
};

/** Whether a manifest can be pulled with a verified digest, including everything it names. */
const pulls = (layout: StorageLayout, name: string, digest: string): boolean => {
  const repository = layout.repository(name);
  const bytes = bytesOf(layout, digest);
  if (bytes === null || linkAt(repository.revisionLink(digest as `${string}:${string}`)) !== digest) return false;
  const { manifests = [], config, layers = [] } = JSON.parse(bytes.toString("utf8"));
  const blobs = [config, ...layers].filter((each) => each !== undefined);
  return (
    manifests.every((child: { digest: string }) => pulls(layout, name, child.digest)) &&
    blobs.every(({ digest: each }) => {
      return linkAt(repository.layerLink(each)) === each && bytesOf(layout, each) !== null;
    })
  );
};

/** `repository:tag` of everything that can be pulled, by every name that a registry follows. */
const pulled = (root: string): Set<string> => {
  const layout = new StorageLayout(root);
  const found = new Set<string>();
  for (const name of [...REPOSITORIES, "alias", "twin", "App (copy)"]) {
    const { tags } = layout.repository(name);
    if (!statSync(tags, { throwIfNoEntry: false })?.isDirectory()) continue;
    for (const tag of readdirSync(tags)) {
      const digest = linkAt(layout.repository(name).tagLink(tag));
      if (digest?.startsWith("sha256:") && pulls(layout, name, digest)) found.add(`${name}:${tag}`);
    }
  }
  return found;
};

class Stops extends Error {}

/** The mark and sweep of registry 2.8.3, including what stops it and what it overlooks. */
const collect = (root: string): void => {
  const layout = new StorageLayout(root);
  const marked = new Set<string>();
  const mark = (folder: string) => {
    const revisions = `${folder}/_manifests/revisions/sha256`;
    if (!statSync(revisions, { throwIfNoEntry: false })) return;
    for (const encoded of readdirSync(revisions)) {
      const path = `${revisions}/${encoded}/link`;
      if (!statSync(path, { throwIfNoEntry: false })) continue;
      const digest = linkAt(path);
      if (!digest?.startsWith("sha256:")) throw new Stops(path);
      const data = statSync(layout.blobData(digest as `${string}:${string}`), { throwIfNoEntry: false });
      if (!data?.isFile()) continue;
      marked.add(digest);
      const text = readFileSync(layout.blobData(digest as `${string}:${string}`), "utf8");
      let named: { manifests?: { digest: string }[]; config?: { digest: string }; layers?: { digest: string }[] };
      try {
        named = JSON.parse(text);
      } catch {
        throw new Stops(path);
      }
      for (const each of [...(named.manifests ?? []), named.config, ...(named.layers ?? [])]) {
        if (each !== undefined) marked.add(each.digest);
      }
    }
  };
  const walk = (folder: string, name: string) => {
    for (const entry of readdirSync(folder).sort()) {
      const found = statSync(`${folder}/${entry}`, { throwIfNoEntry: false });
      if (found === undefined) continue;
      if (entry === "_layers") {
        if (!/^[a-z0-9]+(?:[/._-]+[a-z0-9]+)*$/.test(name)) throw new Stops(name);
        mark(folder);
      }
      if (entry.startsWith("_")) {
        if (!found.isDirectory()) return;
      } else if (found.isDirectory()) walk(`${folder}/${entry}`, name === "" ? entry : `${name}/${entry}`);
    }
  };
  try {
    walk(layout.repositories, "");
  } catch (error) {
    // ELOOP and ENAMETOOLONG too: it ends, and sweeps nothing.
    if (error instanceof Stops || (error as NodeJS.ErrnoException).code !== undefined) return;
    throw error;
  }
  for (const start of readdirSync(`${layout.blobs}/sha256`)) {
    for (const encoded of readdirSync(`${layout.blobs}/sha256/${start}`)) {
      if (!marked.has(`sha256:${encoded}`)) rmSync(`${layout.blobs}/sha256/${start}/${encoded}`, { recursive: true });
    }
  }
};

/** Every entry below a folder, with its type, content and times. */
const snapshot = (folder: string): string[] =>
  pathsBelow(folder)
    .sort()
    .map((path) => {
      const found = lstatSync(join(folder, path));
      const text = found.isFile() ? readFileSync(join(folder, path), "latin1") : "";
      return [path, found.mode, found.mtimeMs, found.isSymbolicLink() ? readlinkSync(join(folder, path)) : text].join();
    });

const push: fc.Arbitrary<RandomPush> = fc.record({
  repository: fc.constantFrom(...REPOSITORIES),
  form: fc.nat(FORMS.length - 1),
  n: fc.nat(2),
  tags: fc.uniqueArray(fc.constantFrom(...TAGS), { maxLength: 2 }),
});

test("no kept tag ever fails to pull, nothing outside changes, and each command ends", async () => {
  const { remove: take } = Journal.prototype;
  const removals = jest.spyOn(Journal.prototype, "remove");
  // Nothing writes to these stores, so the second check need not wait.
  const waits = jest.spyOn(timers, "setTimeout").mockImplementation(async () => undefined as never);
  await fc.assert(
    fc.asyncProperty(
      fc.array(push, { minLength: 1, maxLength: 10 }),
      fc.uniqueArray(fc.tuple(fc.constantFrom(...(Object.keys(TOUCHES) as Touch[])), fc.nat(60)), { maxLength: 2 }),
      fc.boolean(),
      fc.integer({ min: 1, max: 3 }),
      fc.nat(30),
      async (pushes, touches, copied, count, ended) => {
        const { store, newest } = build(pushes);
        const outside = mkdtempSync(join(tmpdir(), "warden-outside-"));
        write(join(outside, "docker/registry/v2/repositories/x/_layers/sha256/a/link"), "sha256:a");
        try {
          for (const [touch, at] of touches) TOUCHES[touch](store, at);
          if (touches.length > 1) link(outside, `${store.layout.repositories}/outside`);
          let { root } = store;
          if (copied) {
            root = join(outside, "../", `${outside.slice(-6)}-copied`);
            execFileSync("cp", ["-r", store.root, root]);
          }
          try {
            const before = pulled(root);
            const around = snapshot(outside);
            const links = snapshot(new StorageLayout(root).repositories).filter((line) => line.includes("link,"));
            const now = copied ? Date.now() : NOW;
            const policy = keepNewest(count, []);
            let done = 0;
            removals.mockImplementation(function (this: Journal, ...args) {
              if (done++ === ended) throw new Error("killed");
              take.apply(this, args);
            });
            const attempt = () =>
              applyPrune(root, policy, now + done, async () => {}).then(
                ({ journal }) => journal,
                (error: unknown) => {
                  if (error instanceof StorageRefusal || (error as Error).message === "killed") return null;
                  throw error;
                },
              );
            await attempt();
            const journal = await attempt();
            if (ended % 3 === 0 && journal !== null) {
              execFileSync("sh", ["-c", undoCommand(root, journal)]);
              const undone = snapshot(new StorageLayout(root).repositories).filter((line) => line.includes("link,"));
              expect(undone).toEqual(links);
            }
            collect(root);
            const after = pulled(root);
            const kept = REPOSITORIES.flatMap((name) =>
              (newest.get(name) ?? []).slice(0, count).map((tag) => `${name}:${tag}`),
            );
            for (const tag of kept.filter((each) => before.has(each) && !hides(touches))) expect(after).toContain(tag);
            expect(snapshot(outside)).toEqual(around);
          } finally {
            if (copied) remove(root);
          }
        } finally {
          store.remove();
          remove(outside);
        }
      },
    ),
    { numRuns: ROUNDS, endOnFailure: true },
  );
  removals.mockRestore();
  waits.mockRestore();
}, 3_600_000);

/** What the registry's own collection destroys, with or without a prune. */
const hides = (touches: [Touch, number][]): boolean =>
  touches.some(([touch]) => touch === "hiding" || touch === "lostLayers");
