import type { RegistryClient } from "../oci/client";
import type { Digest } from "../oci/digest";
import { RegistryError } from "../oci/errors";
import type { Failure } from "../oci/failure";
import type { RegistryWriter } from "../oci/push";
import { type Report, type WalkOptions, walk } from "../oci/walk";
import { type Discard, type DiscardTarget, discardByApi, type KnownDamage, planDiscard, wholeDigest } from "./discard";
import { discardOnDisk } from "./discard-apply";
import { Unreadable } from "./disk";
import type { Finding } from "./finding";
import { hiddenFailures, lostFolders } from "./hidden-damage";
import { Journal } from "./journal";
import { lockStore } from "./prune";
import { StoreReader } from "./reader";
import { applyRepair, explain, type FailedAction } from "./repair-apply";
import { planRepair, type RepairCheck, type RepairSources, type RepairStep } from "./repair-plan";
import { scan } from "./scan";
import { rememberSought } from "./sought";

export interface RepairReport {
  /** The registry's origin. */
  registry: string;
  actions: RepairAction[];
  /** What the plan does not repair; with `applied`, what is still broken. */
  remaining: Failure[];
  applied: boolean;
  /** Actions that failed; empty without `applied`. */
  problems: FailedAction[];
  /** The folder with the links of discarded images, until the next garbage collection; absent if no link was moved. */
  journal?: string;
}

export interface RepairAction {
  action: "relink" | "copy" | "discard";
  repository: string;
  /** Null for a tag that leads nowhere. */
  digest: Digest | null;
  /** Where the bytes come from: the storage's folder, or the other registry. Null for a discard. */
  source: string | null;
  /** The tags that are restored or removed. */
  tags: string[];
}

export interface RepairOptions {
  sources: RepairSources;
  /** Only these, even if the catalog does not list them; all if there are none. @default all */
  repositories?: readonly string[];
  /** Images to remove if nothing can repair them. */
  discard: DiscardTarget[];
  /** @default "last-byte" */
  blobs?: RepairCheck;
  /** Applies the plan; null to plan only. */
  writer: RegistryWriter | null;
}

/**
 * Repairs a registry: pushes again what is still on its disk, copies what is lost from another registry, and removes what
 * neither has. Everything goes through the registry itself, which verifies its digest; afterwards the result is verified.
 *
 * @throws RegistryError when a registry as a whole is unavailable
 * @throws StorageRefusal when an image to discard is intact or needed, or the registry accepts no pushes
 */
export const repair = async (client: RegistryClient, options: RepairOptions): Promise<RepairReport> => {
  const { sources, writer, repositories = [], blobs = "last-byte" } = options;
  const broken = await brokenIn(client, sources, blobs, repositories);
  const plan = await planRepair(broken.failures, client, sources, blobs);
  const left = {
    failures: plan.remaining,
    findings: broken.findings.filter((each) => !isHealed(each, broken.failures, plan.remaining)),
  };
  const discards = await planDiscards(client, left, broken.failures, options);
  const actions = [...plan.steps.map((step) => actionOf(step, sources)), ...discards.map(discarding)];
  const registry = client.url.origin;
  if (writer === null) {
    const remaining = plan.remaining.filter((failure) => !isCovered(failure, discards));
    return { registry, actions, remaining, applied: false, problems: [] };
  }
  const problems = await applyRepair(plan.steps, writer, sources);
  const journal = await applyDiscards(discards, left.findings, client, writer, sources.storage, problems);
  const remaining =
    actions.length === 0 ? plan.remaining : (await brokenIn(client, sources, blobs, repositories)).failures;
  if (sources.storage !== null && sources.from !== null) {
    rememberSought(sources.storage.layout, sources.from.url.origin, remaining, Date.now());
  }
  return { registry, actions, remaining, applied: true, problems, ...(journal !== null && { journal }) };
};

/** @returns the journal's folder; null if the registry itself removes the images, or none is discarded */
const applyDiscards = async (
  discards: readonly Discard[],
  findings: readonly Finding[],
  client: RegistryClient,
  writer: RegistryWriter,
  storage: StoreReader | null,
  problems: FailedAction[],
): Promise<string | null> => {
  if (discards.length === 0) return null;
  const each = async (discard: (one: Discard) => void | Promise<void>): Promise<void> => {
    for (const one of discards) {
      try {
        await discard(one);
      } catch (error) {
        const { repository, digest } = one;
        problems.push({ repository, digest, message: explain(error, writer.url) });
      }
    }
  };
  if (storage === null) {
    await each((one) => discardByApi(one, client, writer));
    return null;
  }
  const { layout } = storage;
  const lock = await lockStore(layout);
  try {
    const garbage = discards.flatMap(({ digest }) =>
      digest === null || storage.sizeNow(digest) === null ? [] : digest,
    );
    const journal = Journal.begin(layout, Date.now(), discards, garbage);
    try {
      await each((one) => {
        lock.check();
        discardOnDisk(one, discards, findings, new StoreReader(layout), journal);
      });
      journal.complete();
    } finally {
      journal.close();
    }
    return journal.folder;
  } finally {
    await lock.release();
  }
};

/** @param only the repositories to consider; empty for all */
const brokenIn = async (
  client: RegistryClient,
  { storage }: RepairSources,
  blobs: RepairCheck,
  only: readonly string[],
): Promise<KnownDamage> => {
  const all = only.length === 0;
  // The catalog does not list repositories that have lost their folders.
  const stored = storage === null ? [] : [...storage.repositories()].map(({ name }) => name);
  const repositories = all ? stored : only;
  const found = await walked(client, { blobs, catalog: all, repositories, selection: { kind: "all" } });
  if (storage === null) return { failures: found.failures, findings: [] };
  const scanned = await scan(storage.layout.root, { role: "private", hash: blobs === "hash" });
  if (scanned.unreadable[0] !== undefined) throw new Unreadable(scanned.unreadable[0]);
  const findings = scanned.findings.filter(({ repository }) => all || only.includes(repository ?? ""));
  const failures = [...found.failures, ...lostFolders(found.warnings, findings)];
  return { failures: [...failures, ...hiddenFailures(storage, findings, failures)], findings };
};

/** The result of a walk over a private registry. @throws RegistryError when it cannot be completed */
export const walked = async (
  client: RegistryClient,
  scope: Pick<WalkOptions, "blobs" | "catalog" | "repositories" | "selection">,
): Promise<Pick<Report, "failures" | "warnings">> => {
  const report = await walk(client, {
    role: "private",
    credentialsGiven: false,
    ...scope,
  });
  if (report.stopped !== null) throw new RegistryError("unreachable", report.stopped.message, report.stopped.hint);
  return report;
};

/** @param broken what this repair does not fix. @param failures all, for manifests that are not images of their own */
const planDiscards = async (
  client: RegistryClient,
  broken: KnownDamage,
  failures: readonly Failure[],
  { sources: { storage }, discard, blobs = "last-byte" }: RepairOptions,
): Promise<Discard[]> => {
  const targets = discard.map((target) => ({ ...target, digest: wholeDigest(target, broken, storage) }));
  const discards = new Map<string, Discard>();
  for (const target of targets) {
    const { repository, digest } = target;
    const known =
      digest === null || failures.some((each) => each.repository === repository && each.path.includes(digest));
    const { failures: untagged } = known
      ? { failures: [] }
      : await walked(client, {
          blobs,
          catalog: false,
          repositories: [repository],
          selection: { kind: "named", tags: [], digests: [digest] },
        });
    const together = targets.flatMap((each) => (each.repository === repository ? each.digest : []));
    const planned = await planDiscard(
      target,
      together,
      { ...broken, failures: [...broken.failures, ...untagged] },
      client,
      storage,
    );
    // Two tags of one image are one discard.
    discards.set(JSON.stringify([repository, planned.digest ?? planned.tags]), planned);
  }
  return [...discards.values()];
};

const actionOf = (step: RepairStep, { storage, from }: RepairSources): RepairAction => {
  const { repository, digest } = step;
  const tags = step.kind === "manifest" && step.tag !== null ? [step.tag] : [];
  return step.source === "storage"
    ? { action: "relink", repository, digest, source: storage?.layout.root ?? null, tags }
    : { action: "copy", repository, digest, source: from?.url.origin ?? null, tags };
};

const discarding = ({ repository, digest, tags }: Discard): RepairAction => ({
  action: "discard",
  repository,
  digest,
  source: null,
  tags,
});

/** Whether what a finding is about is fixed by repairing the failures that do not remain. */
const isHealed = (
  { repository, digest, tags }: Finding,
  failures: readonly Failure[],
  remaining: readonly Failure[],
) => {
  const isAbout = (failure: Failure): boolean =>
    failure.repository === repository &&
    (failure.digest === null ? failure.tags.some((tag) => tags.includes(tag)) : failure.digest === digest);
  return failures.some(isAbout) && !remaining.some(isAbout);
};

/** Whether the failure disappears with the images, because nothing else leads to it. */
const isCovered = ({ repository, object, tags, path }: Failure, discards: readonly Discard[]): boolean => {
  const own = discards.filter((discard) => discard.repository === repository);
  if (object === "repository") return own.some((discard) => discard.digest === null && discard.tags.length === 0);
  if (tags.length === 0) return own.some(({ digest }) => digest !== null && path.includes(digest));
  return tags.every((tag) => own.some((discard) => discard.tags.includes(tag)));
};
