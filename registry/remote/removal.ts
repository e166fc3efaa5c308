import { setTimeout as sleep } from "node:timers/promises";
import { checkManifest } from "../oci/check";
import type { RegistryClient } from "../oci/client";
import { type Digest, isDigest } from "../oci/digest";
import { ExchangeError } from "../oci/http";
import { type RegistryWriter, WriteRefused } from "../oci/push";
import { StorageRefusal } from "../storage/refusal";
import type { RemoteJournal, RemovedManifest } from "./journal";
import { closure, type PlannedRepository } from "./plan";
import { type RepositoryState, Unlisted, type Unresolved } from "./repository";

/** Something that the plan names but that stays. */
export interface Spared {
  repository: string;
  /** Null if it is a manifest that stays. */
  tag: string | null;
  digest: Digest;
  reason: string;
}

/** A manifest that could not be removed or put back, and why, in one line. */
export interface FailedChange {
  repository: string;
  digest: Digest;
  message: string;
}

/** What the removals of one run share across repositories. */
export interface RemovalRun {
  client: RegistryClient;
  writer: RegistryWriter;
  journal: RemoteJournal;
  /** Whether the registry drops the blobs together with a manifest, as Gitea does: they are then held for an undo. */
  holdsBlobs: boolean;
  /** Null until the first attempt. */
  deletesTags: boolean | null;
}

/** Tag requests that each removal may cost beyond its own; every tag is read as often as this budget allows. */
const TAGS_A_REMOVAL = 32;

/** Delays between attempts while a tag or a manifest is being written. Milliseconds. */
const WRITING = [20, 100, 500];

const TAGS_ALONE = "this registry deletes no tag without its manifest";

interface Removed {
  bytes: Buffer;
  mediaType: string;
}

/**
 * Removes from one repository what the plan says, while others may push to it.
 *
 * Before each removal the list of tags is read, and every tag as often as TAGS_A_REMOVAL allows, ideally each time. A tag that is
 * new or was moved protects everything it leads to; parts of that which are already gone are restored, children first. A
 * deletion removes every tag of its manifest, even one that was written after the last check: a tag that disappears with it,
 * although it pointed elsewhere before, had been moved there, and is restored with it.
 */
export class RepositoryRemoval {
  readonly #run: RemovalRun;
  readonly #planned: PlannedRepository;
  readonly problems: FailedChange[] = [];
  readonly #toRemove: ReadonlySet<Digest>;
  /** In the journal, but not yet requested to be deleted. */
  readonly #written = new Map<Digest, Removed>();
  readonly #removed = new Map<Digest, Removed>();
  readonly #putBack = new Map<Digest, Removed>();
  readonly #held = new Set<Digest>();
  #hasRemoved = false;
  readonly #spared = new Map<Digest, string>();
  /** The target of each tag when it was last read. */
  #tags: Map<string, Digest>;
  /** Tags in the plan that must stay now, with the reason. */
  readonly #keptTags = new Map<string, string>();
  /** Removed since all tags were read, most recent last. */
  #recent: Digest[] = [];
  /** Removed since the names of the tags were read. */
  #last: Digest | null = null;

  constructor(run: RemovalRun, planned: PlannedRepository) {
    this.#run = run;
    this.#planned = planned;

    this.#toRemove = new Set(planned.plan.removedManifests);
    this.#tags = new Map(planned.look.tags);
  }

  get name(): string {
    return this.#planned.remote.name;
  }

  /** Whether the registry has deleted anything, or was asked to and the result is unknown. */
  get hasRemoved(): boolean {
    return this.#hasRemoved;
  }

  /** @throws StorageRefusal when the registry deletes nothing at all, RegistryError when it becomes unavailable */
  async apply(): Promise<void> {
    try {
      await this.look();
      for (const digest of this.#planned.plan.removedManifests) {
        if (this.#spared.has(digest)) continue;
        if (this.#recent.length * TAGS_A_REMOVAL >= this.#tags.size) await this.look();
        await this.#remove(digest);
      }
      await this.#removeTags();
      await this.look();
    } catch (error) {
      this.#give(error);
    }
  }

  /** Checks once more at the end for anything pushed in the meantime. */
  async settle(): Promise<void> {
    try {
      await this.look();
    } catch (error) {
      this.#give(error);
    }
  }

  /** What is still there although the plan names it, and why. */
  spared(): Spared[] {
    const manifests = [...this.#spared].filter(([digest]) => !this.#removed.has(digest));
    const tags = this.#planned.plan.removedTags.flatMap(({ tag }): Spared[] => {
      const digest = this.#tags.get(tag);
      if (digest === undefined) return [];
      const reason = this.#keptTags.get(tag) ?? this.#spared.get(digest) ?? "it was pushed meanwhile";
      return [{ repository: this.name, tag, digest, reason }];
    });
    return [...tags, ...manifests.map(([digest, reason]) => ({ repository: this.name, tag: null, digest, reason }))];
  }

  /** Reads every tag, and protects what new and moved tags lead to. */
  async look(): Promise<void> {
    const { remote } = this.#planned;
    let look = await remote.look();
    if (look.unread.size > 0) look = await this.#restoreUnread(look);
    const before = this.#tags;
    this.#tags = look.tags;
    for (const [tag, digest] of before) if (!look.tags.has(tag)) await this.#miss(tag, digest);
    for (const [tag, digest] of look.tags) if (before.get(tag) !== digest) await this.#keep(digest, moved(tag));
    this.#recent = [];
    this.#last = null;
  }

  /**
   * Reads the names of the tags, and those tags that are new or outlived their manifest. Much cheaper than a look, and therefore
   * done right before each removal.
   */
  async #glance(): Promise<void> {
    const { remote } = this.#planned;
    const names = new Set(await remote.names());
    for (const [tag, digest] of [...this.#tags]) {
      if (names.has(tag)) continue;
      this.#tags.delete(tag);
      await this.#miss(tag, digest);
    }
    for (const tag of names) {
      const known = this.#tags.get(tag);
      if (known !== undefined && !this.#removed.has(known)) continue;
      const found = await remote.resolve(tag);
      // It appeared or came back while its manifest was removed, or is being written.
      if (typeof found !== "string") return this.look();
      this.#tags.set(tag, found);
      await this.#keep(found, moved(tag));
    }
    this.#last = null;
  }

  /** Handles the disappearance of a tag that did not lead to what was removed. */
  async #miss(tag: string, digest: Digest): Promise<void> {
    const taken = this.#last;
    if (taken === null) return;
    // If its own manifest is gone too, someone else removed it; but Gitea forgets a manifest when its last tag moves away.
    if (!this.#run.holdsBlobs && !(await this.#isThere(digest))) return;
    await this.#keep(taken, moved(tag));
    // If it has been pushed again since, it belongs to that push.
    const found = await this.#planned.remote.resolve(tag);
    if (typeof found === "string") {
      this.#tags.set(tag, found);
      return this.#keep(found, moved(tag));
    }
    if (await this.#push(taken, tag)) this.#tags.set(tag, taken);
  }

  /** Restores what is needed by listed tags that lead nowhere: they were written while their manifests were removed. */
  async #restoreUnread(look: RepositoryState): Promise<RepositoryState> {
    const { remote } = this.#planned;
    const tags = new Map(look.tags);
    for (const tag of look.unread.keys()) {
      const now = await this.#settled(tag);
      if (typeof now === "string") {
        tags.set(tag, now);
        continue;
      }
      if (now.reason !== "missing") throw new Unlisted(`its tag ${tag} cannot be read: ${now.detail}`);
      // A tag may be written long after the registry checked its manifest, and after the tags were read.
      const candidates = now.leadsTo === null ? this.#recent.toReversed() : [now.leadsTo];
      for (const digest of candidates) {
        await this.#keep(digest, moved(tag));
        const found = await remote.resolve(tag);
        if (typeof found !== "string") continue;
        tags.set(tag, found);
        break;
      }
    }
    return { tags, unread: new Map() };
  }

  /** The target of a tag once it is completely written: in the middle of a write, 2.8.3 answers 500. */
  async #settled(tag: string): Promise<Digest | Unresolved> {
    const { remote } = this.#planned;
    for (const pause of WRITING) {
      const found = await remote.resolve(tag);
      if (typeof found === "string" || found.reason === "missing") return found;
      await sleep(pause);
    }
    return remote.resolve(tag);
  }

  /**
   * Protects a manifest, everything below it and all its referrers, and restores parts of that which are gone.
   *
   * @throws Unlisted when not all of it can be read
   */
  async #keep(digest: Digest, reason: string): Promise<void> {
    const { remote } = this.#planned;
    await remote.readBelow([digest]);
    const kept = this.#partsFirst(closure(remote, [digest]));
    for (const each of kept) {
      if (!this.#toRemove.has(each)) continue;
      this.#spared.set(each, this.#spared.get(each) ?? reason);
      if (this.#removed.has(each)) await this.#push(each, null);
    }
    for (const each of kept) {
      for (const part of [each, ...(remote.manifests.get(each)?.children ?? [])]) {
        const failure = remote.failures.get(part);
        // Its children are unknown, so nothing more may be removed. A missing one was not there in the first place.
        if (failure !== undefined && failure.reason !== "missing")
          throw new Unlisted(`${part} cannot be read: ${failure.detail}`);
      }
    }
  }

  #partsFirst(digests: ReadonlySet<Digest>): Digest[] {
    const order = new Set<Digest>();
    const visit = (digest: Digest): void => {
      for (const child of this.#planned.remote.manifests.get(digest)?.children ?? []) {
        if (digests.has(child) && !order.has(child)) visit(child);
      }
      order.add(digest);
    };
    for (const digest of digests) if (!order.has(digest)) visit(digest);
    return [...order];
  }

  /** Restores a manifest that was removed, or a tag of one. @returns whether that succeeded */
  async #push(digest: Digest, tag: string | null): Promise<boolean> {
    const removed = this.#removed.get(digest) ?? this.#putBack.get(digest);
    if (removed === undefined) return false;
    try {
      await this.#run.writer.pushManifest(this.name, tag ?? digest, removed.bytes, removed.mediaType);
      this.#putBack.set(digest, removed);
      this.#removed.delete(digest);
      return true;
    } catch (error) {
      this.#fail(digest, `it is needed again, and could not be put back: ${lineOf(error)}`);
      return false;
    }
  }

  async #isThere(digest: Digest): Promise<boolean> {
    return (await this.#run.client.manifest(this.name, digest)).status === 200;
  }

  #fail(digest: Digest, message: string): void {
    this.problems.push({ repository: this.name, digest, message });
  }

  async #remove(digest: Digest): Promise<void> {
    const tags = [...this.#tags].filter(([, each]) => each === digest).map(([tag]) => tag);
    const planned = new Set(this.#planned.plan.removedTags.map(({ tag }) => tag));
    const kept = tags.find((tag) => !planned.has(tag));
    if (kept !== undefined) return this.#keep(digest, moved(kept));
    if (!(await this.#journal({ repository: this.name, digest, tags }))) return;
    for (let attempt = 1; ; attempt++) {
      if (await this.#hasNewReferrer(digest)) return;
      await this.#glance();
      if (this.#spared.has(digest)) return;
      const again = await this.#delete(digest, attempt);
      if (again === null) return;
      await sleep(again);
    }
  }

  /** Whether something that the plan does not know refers to it, which protects it. */
  async #hasNewReferrer(digest: Digest): Promise<boolean> {
    const { remote } = this.#planned;
    const referrers = await remote.listReferrers(digest);
    const failure = remote.failures.get(digest);
    if (failure !== undefined) throw new Unlisted(`what refers to ${digest} cannot be read: ${failure.detail}`);
    const unknown = referrers.find((each) => !this.#toRemove.has(each));
    if (unknown === undefined) return false;
    await this.#keep(digest, `${unknown} refers to it meanwhile`);
    return true;
  }

  async #giveUp(digest: Digest, why: string): Promise<void> {
    this.#fail(digest, why);
    await this.#keep(digest, why);
  }

  /** @returns the milliseconds after which to look and try again if that may help; null otherwise */
  async #delete(digest: Digest, attempt: number): Promise<number | null> {
    let why: string;
    try {
      const { status, again } = await this.#ask(digest, attempt);
      if (again !== null) return again;
      if (status < 300 || status === 404) {
        this.#noteRemoved(digest);
        return null;
      }
      why = `its removal answered ${status}`;
    } catch (error) {
      if (!(error instanceof ExchangeError) || error.code === "cancelled") throw error;
      why = `its removal ended without an answer: ${error.message}`;
    }
    // It may be done or half done: if a tag is being written, 2.8.3 removes the manifest, answers 500 and leaves its tags.
    if ((await this.#run.client.manifest(this.name, digest)).status === 404) {
      this.#noteRemoved(digest);
      return null;
    }
    // While someone pushes the same manifest, 2.8.3 answers 400.
    const pause = WRITING[attempt - 1] ?? null;
    if (pause === null) await this.#giveUp(digest, why);
    return pause;
  }

  /** Requests a deletion. @throws StorageRefusal when the registry accepts none, or none from this account */
  async #ask(reference: string, attempt = 1): Promise<{ status: number; again: number | null }> {
    const before = this.#hasRemoved;
    this.#hasRemoved = true;
    const { status, unsupported, again } = await this.#run.writer.remove(this.name, reference, attempt);
    if (status >= 300) this.#hasRemoved = before;
    const { host } = this.#run.client.url;
    if (unsupported && isDigest(reference)) throw deletesNothing(host, status);
    if (status === 401 || status === 403) throw mayNotDelete(host, status);
    return { status, again };
  }

  #noteRemoved(digest: Digest): void {
    const kept = this.#written.get(digest);
    if (kept !== undefined) this.#removed.set(digest, kept);
    this.#written.delete(digest);
    // They were deleted with it; one that is still listed points elsewhere by now.
    for (const [tag, each] of [...this.#tags]) if (each === digest) this.#tags.delete(tag);
    this.#recent.push(digest);
    this.#last = digest;
    this.#hasRemoved = true;
  }

  /** Saves a manifest's bytes before its removal. @returns whether it exists and can be removed */
  async #journal(removal: Omit<RemovedManifest, "mediaType">): Promise<boolean> {
    const { digest } = removal;
    const answer = await this.#run.client.manifest(this.name, digest);
    if (answer.status === 404) return false;
    const check = checkManifest(answer, { digest, size: null });
    if (!check.ok) {
      await this.#giveUp(digest, `it cannot be read any more: ${check.failure.detail}`);
      return false;
    }
    const type = answer.headers["content-type"];
    const mediaType = typeof type === "string" ? type : (check.manifest.mediaType ?? "");
    if (this.#run.holdsBlobs && check.manifest.kind === "image") {
      for (const blob of [
        ...(check.manifest.config === null ? [] : [check.manifest.config]),
        ...check.manifest.layers,
      ]) {
        if (this.#held.has(blob.digest)) continue;
        this.#held.add(blob.digest);
        await this.#run.writer.hold(this.name, blob.digest);
      }
    }
    this.#run.journal.keep({ ...removal, mediaType }, answer.body);
    this.#written.set(digest, { bytes: answer.body, mediaType });
    return true;
  }

  /** Removes the tags whose manifest stays. */
  async #removeTags(): Promise<void> {
    for (const { tag } of this.#planned.plan.removedTags) {
      const digest = this.#planned.look.tags.get(tag);
      if (digest === undefined || this.#toRemove.has(digest) || this.#tags.get(tag) !== digest) continue;
      if (this.#run.deletesTags === false) this.#keptTags.set(tag, TAGS_ALONE);
      else await this.#removeTag(tag, digest);
    }
  }

  async #removeTag(tag: string, digest: Digest): Promise<void> {
    const { remote } = this.#planned;
    if (!(await this.#journal({ repository: this.name, digest, tags: [tag] }))) return;
    const others = [...this.#tags].filter(([other, each]) => each === digest && other !== tag).map(([other]) => other);
    const found = await remote.resolve(tag);
    if (!isDigest(found) || found !== digest) return;
    const { status } = await this.#ask(tag);
    this.#run.deletesTags = status < 300 && (await this.#isThere(digest));
    if (this.#run.deletesTags) {
      this.#tags.delete(tag);
      return;
    }
    this.#keptTags.set(tag, TAGS_ALONE);
    if (status >= 300) return;
    // The registry removed the manifest along with the tag.
    this.#noteRemoved(digest);
    if (!(await this.#push(digest, null))) return;
    for (const each of [...others, tag]) await this.#push(digest, each);
  }

  /** Ends the work on this repository, but not on the others. */
  #give(error: unknown): void {
    const isOwn = error instanceof Unlisted || (error instanceof ExchangeError && error.code !== "cancelled");
    if (!isOwn) throw error;
    const [digest] = this.#planned.plan.removedManifests;
    const message = lineOf(error);
    const isTold = this.problems.some((each) => each.message === message);
    if (digest !== undefined && !isTold) this.#fail(digest, message);
  }
}

const moved = (tag: string): string => `${tag} leads to it since the plan`;

const lineOf = (error: unknown): string => {
  if (error instanceof WriteRefused || error instanceof ExchangeError || error instanceof Unlisted)
    return error.message;
  throw error;
};

const deletesNothing = (host: string, status: number): StorageRefusal =>
  new StorageRefusal(
    "no-deletions",
    `${host} takes no deletions (${status})`,
    "allow them (storage.delete.enabled of a distribution registry), or delete by the registry's own means where it has others",
  );

const mayNotDelete = (host: string, status: number): StorageRefusal =>
  new StorageRefusal(
    "unauthorized",
    `${host} refuses the credentials for a deletion (${status})`,
    "set REG_USER and REG_PASS to an account that may push and delete",
  );
