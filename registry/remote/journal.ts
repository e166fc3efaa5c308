import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { compareText } from "../../text/compare-text";
import { algorithmOf, type Digest, encodedOf, isDigest, matches } from "../oci/digest";
import { isRepository, isTag } from "../oci/reference";
import { isAbsence, onDisk } from "../storage/disk-error";
import { freeJournalName, isJournalName } from "../storage/journal-name";
import { type Lock, lockFolder } from "../storage/lock";
import { StorageRefusal } from "../storage/refusal";

/** A manifest that is about to be removed, or was removed. */
export interface RemovedManifest {
  repository: string;
  digest: Digest;
  /** The media type with which it was served. */
  mediaType: string;
  /** The tags that are removed with it. */
  tags: string[];
}

/** What a run is about to remove. */
export interface JournalPlan {
  /** The registry's origin. */
  registry: string;
  /** By repository. */
  manifests: Record<string, Digest[]>;
}

/** Written when everything has been removed; if it is missing, the run that began the journal was interrupted. */
const COMPLETE = "complete";
const REMOVED = "removed.jsonl";
const MANIFESTS = "manifests";
const PLAN = /^plan-\d+\.json$/;

/**
 * What is removed over HTTP, kept in a local folder so that it can be restored: the bytes of each manifest under its digest, and
 * a line for each removal. Both are on the disk before the deletion is requested, so an interruption loses nothing. An
 * interrupted run is continued in its own journal.
 */
export class RemoteJournal {
  readonly #lock: Lock;
  /** Whether an earlier run began it. */
  readonly #isContinued: boolean;
  // biome-ignore lint/style/useConsistentMemberAccessibility: a constructor has no name for #
  private constructor(
    readonly folder: string,
    lock: Lock,
    isContinued: boolean,
  ) {
    this.#lock = lock;
    this.#isContinued = isContinued;
  }

  /**
   * Opens the journal of a registry: that of an interrupted run, or a new one.
   *
   * @param base the folder with the journals of all registries
   * @param now milliseconds since the epoch, for the folder's name
   * @throws StorageRefusal `locked`, or for an error of the disk
   */
  static async open(base: string, registry: URL, now: number): Promise<RemoteJournal> {
    const parent = journalsOfRegistry(base, registry);
    onDisk(parent, () => mkdirSync(parent, { recursive: true, mode: 0o700 }));
    const lock = await lockFolder(parent);
    try {
      const unfinished = unfinishedIn(parent);
      const name = unfinished ?? freeJournalName(now, (taken) => existsSync(join(parent, taken)));
      const journal = new RemoteJournal(join(parent, name), lock, unfinished !== null);
      journal.#prepare();
      return journal;
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** Manifests of each repository that an interrupted earlier run was about to remove. */
  static orphans(base: string, registry: URL): Map<string, Set<Digest>> {
    const parent = journalsOfRegistry(base, registry);
    const name = unfinishedIn(parent);
    const orphans = new Map<string, Set<Digest>>();
    if (name === null) return orphans;
    for (const { manifests } of plansIn(join(parent, name))) {
      for (const [repository, digests] of Object.entries(manifests)) {
        if (isRepository(repository)) {
          orphans.set(repository, new Set([...(orphans.get(repository) ?? []), ...digests.filter(isDigest)]));
        }
      }
    }
    return orphans;
  }

  #prepare(): void {
    this.#disk(() => {
      mkdirSync(join(this.folder, MANIFESTS), { recursive: true, mode: 0o700 });
      // Terminates a line that was cut short.
      const file = openSync(join(this.folder, REMOVED), "a+", 0o600);
      try {
        const text = readFileSync(file);
        ftruncateSync(file, text.lastIndexOf("\n") + 1);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
    });
  }

  /** Records what is about to be removed. */
  begin(plan: JournalPlan): void {
    const number = readdirSync(this.folder).filter((name) => PLAN.test(name)).length;
    this.#write(`plan-${number}.json`, `${JSON.stringify({ version: 1, ...plan }, null, 2)}\n`);
  }

  /** Keeps a manifest that is about to be removed. @param bytes that hash to its digest */
  keep(removal: RemovedManifest, bytes: Uint8Array): void {
    this.#lock.check();
    const { digest } = removal;
    const path = join(MANIFESTS, fileOf(digest));
    if (!existsSync(join(this.folder, path))) this.#write(path, bytes);
    this.#disk(() => {
      const file = openSync(join(this.folder, REMOVED), "a", 0o600);
      try {
        writeSync(file, `${JSON.stringify(removal)}\n`);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
    });
  }

  /** Marks the journal as finished: everything has been removed. */
  complete(): void {
    this.#write(COMPLETE, "");
  }

  /** Deletes a journal without any removals, unless an earlier run began it. */
  discard(): void {
    if (!this.#isContinued) this.#disk(() => rmSync(this.folder, { recursive: true }));
  }

  async close(): Promise<void> {
    await this.#lock.release();
  }

  /** Atomic, and durable across a power failure. */
  #write(name: string, content: string | Uint8Array): void {
    this.#disk(() => {
      const path = join(this.folder, name);
      const file = openSync(`${path}.new`, "w", 0o600);
      try {
        const bytes = typeof content === "string" ? Buffer.from(content) : content;
        for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      renameSync(`${path}.new`, path);
      for (const folder of [join(path, ".."), this.folder]) syncFolder(folder);
    });
  }

  #disk<T>(act: () => T): T {
    return onDisk(this.folder, act);
  }
}

/** A journal that is read in order to restore its contents. */
export interface ReadJournal {
  registry: string;
  /** In the order of the removals; a manifest that was removed several times appears last, with all its tags. */
  removals: (RemovedManifest & { bytes: Buffer })[];
}

/** @throws StorageRefusal `not-found` if the folder is not a journal, or its contents are not what was written */
export const readJournal = (folder: string): ReadJournal => {
  const refuse = (why: string) =>
    new StorageRefusal("not-found", `${folder} ${why}`, "give the folder that the clean-up has named as its journal");
  const [plan] = plansIn(folder);
  if (plan === undefined) throw refuse("is no journal of a clean-up");
  const removals = new Map<string, RemovedManifest & { bytes: Buffer }>();
  for (const line of readFileSync(join(folder, REMOVED), "utf8").split("\n").slice(0, -1)) {
    const removal = parseRemoval(line);
    if (removal === null) throw refuse("holds a line that no clean-up has written");
    const { repository, digest, tags } = removal;
    const bytes = readFileSync(join(folder, MANIFESTS, fileOf(digest)));
    if (!matches(bytes, digest)) throw refuse(`holds other bytes than those of ${digest}`);
    const key = `${repository}@${digest}`;
    const before = removals.get(key)?.tags ?? [];
    removals.delete(key);
    removals.set(key, { ...removal, bytes, tags: [...new Set([...before, ...tags])] });
  }
  return { registry: plan.registry, removals: [...removals.values()] };
};

/** Marks a journal as finished, so that the next run does not remove again what was restored. */
export const finishJournal = (folder: string): void => {
  onDisk(folder, () => closeSync(openSync(join(folder, COMPLETE), "a", 0o600)));
};

const parseRemoval = (line: string): RemovedManifest | null => {
  try {
    const { repository, digest, mediaType, tags } = JSON.parse(line) as Record<string, unknown>;
    if (!isRepository(repository) || !isDigest(digest) || typeof mediaType !== "string") return null;
    return Array.isArray(tags) && tags.every(isTag) ? { repository, digest, mediaType, tags } : null;
  } catch {
    return null;
  }
};

const journalsOfRegistry = (base: string, { host }: URL): string => join(base, host.replace(/[^\w.-]/g, "_"));

const fileOf = (digest: Digest): string => `${algorithmOf(digest)}-${encodedOf(digest)}`;

const unfinishedIn = (parent: string): string | null => {
  const names = namesIn(parent).filter(isJournalName);
  return names.sort(compareText).findLast((name) => !existsSync(join(parent, name, COMPLETE))) ?? null;
};

const plansIn = (folder: string): JournalPlan[] => {
  const names = namesIn(folder).filter((name) => PLAN.test(name));
  return names.map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as JournalPlan);
};

const namesIn = (folder: string): string[] => {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isAbsence(error)) return [];
    throw error;
  }
};

const syncFolder = (path: string): void => {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
};
