import type { RegistryClient } from "../oci/client";
import type { Digest } from "../oci/digest";
import { RegistryError } from "../oci/errors";
import type { Failure } from "../oci/failure";
import type { ImageTarget } from "../oci/reference";
import { type WalkOptions, walk } from "../oci/walk";
import { applyDiscard, type Discard, planDiscard } from "./discard";
import { Unreadable } from "./disk";
import { hiddenLosses } from "./hidden-loss";
import type { RegistryWriter } from "./registry-writer";
import { applyRepair, explain, type RepairProblem } from "./repair-apply";
import { planRepair, type RepairCheck, type RepairPlan, type RepairSources, type RepairStep } from "./repair-plan";
import { scan } from "./scan";

export interface RepairReport {
  /** The registry's origin. */
  registry: string;
  actions: RepairAction[];
  /** What the plan does not heal; with `applied`, what is broken still. */
  remaining: Failure[];
  applied: boolean;
  /** Actions that did not succeed; empty without `applied`. */
  problems: RepairProblem[];
}

export interface RepairAction {
  action: "relink" | "copy" | "discard";
  repository: string;
  /** Null for a tag that leads nowhere. */
  digest: Digest | null;
  /** Where the bytes come from: the storage's folder, or the other registry. Null for a discard. */
  source: string | null;
  /** The tags that are put back, or go. */
  tags: string[];
}

export interface RepairOptions {
  sources: RepairSources;
  /** Images to remove where nothing heals them. */
  discard: ImageTarget[];
  /** @default "last-byte" */
  blobs?: RepairCheck;
  /** Does it, instead of planning only. */
  writer: RegistryWriter | null;
}

/**
 * Heals a registry: pushes again what is still on its disk, copies what is lost from another registry, removes what
 * neither has. Everything goes through the registry itself, which hashes it again; afterwards it is verified.
 *
 * @throws RegistryError when a registry as a whole cannot be asked
 * @throws StorageRefusal when an image to discard is whole or needed, or the registry takes no pushes
 */
export async function repair(client: RegistryClient, options: RepairOptions): Promise<RepairReport> {
  const { sources, writer, blobs = "last-byte" } = options;
  const failures = await failuresOf(client, sources, blobs);
  const plan = await planRepair(failures, client, sources, blobs);
  const discards = await planDiscards(client, failures, plan, options);
  const actions = [...plan.steps.map((step) => actionOf(step, sources)), ...discards.map(discarding)];
  const registry = client.url.origin;
  if (writer === null) {
    const remaining = plan.remaining.filter((failure) => !discards.some((discard) => covers(discard, failure)));
    return { registry, actions, remaining, applied: false, problems: [] };
  }
  const problems = await applyRepair(plan.steps, writer, sources);
  for (const discard of discards) {
    try {
      await applyDiscard(discard, client, writer, sources.storage);
    } catch (error) {
      const { repository, digest } = discard;
      problems.push({ repository, digest, message: explain(error, writer.url) });
    }
  }
  const remaining = actions.length === 0 ? plan.remaining : await failuresOf(client, sources, blobs);
  return { registry, actions, remaining, applied: true, problems };
}

async function failuresOf(client: RegistryClient, { storage }: RepairSources, blobs: RepairCheck): Promise<Failure[]> {
  // The catalog hides what has lost its folders.
  const repositories = storage === null ? [] : [...storage.repositories()].map(({ name }) => name);
  const failures = await walked(client, { blobs, catalog: true, repositories, selection: { kind: "all" } });
  if (storage === null) return failures;
  const { findings, unreadable } = await scan(storage.layout.root, { role: "private" });
  if (unreadable[0] !== undefined) throw new Unreadable(unreadable[0]);
  return [...failures, ...hiddenLosses(storage, findings, failures)];
}

async function walked(
  client: RegistryClient,
  scope: Pick<WalkOptions, "blobs" | "catalog" | "repositories" | "selection">,
): Promise<Failure[]> {
  const { failures, stopped } = await walk(client, {
    role: "private",
    credentialsGiven: false,
    ...scope,
  });
  if (stopped !== null) throw new RegistryError("unreachable", stopped.message, stopped.hint);
  return failures;
}

async function planDiscards(
  client: RegistryClient,
  failures: Failure[],
  { remaining }: RepairPlan,
  { sources, discard, blobs = "last-byte" }: RepairOptions,
): Promise<Discard[]> {
  const discards: Discard[] = [];
  for (const image of discard) {
    const { repository, digest } = image;
    const untagged =
      digest === null || failures.some((each) => each.repository === repository && each.path.includes(digest))
        ? []
        : await walked(client, {
            blobs,
            catalog: false,
            repositories: [repository],
            selection: { kind: "digest", digest },
          });
    const planned = await planDiscard(image, [...remaining, ...untagged], client, sources.storage);
    discards.push(planned);
  }
  return discards;
}

function actionOf(step: RepairStep, { storage, from }: RepairSources): RepairAction {
  const { repository, digest } = step;
  const tags = step.kind === "manifest" && step.tag !== null ? [step.tag] : [];
  return step.source === "storage"
    ? { action: "relink", repository, digest, source: storage?.layout.root ?? null, tags }
    : { action: "copy", repository, digest, source: from?.url.origin ?? null, tags };
}

function discarding({ repository, digest, tags }: Discard): RepairAction {
  return { action: "discard", repository, digest, source: null, tags };
}

/** Whether the failure goes with the image: no other tag leads to it. */
function covers(discard: Discard, { repository, tags }: Failure): boolean {
  return repository === discard.repository && tags.length > 0 && tags.every((tag) => discard.tags.includes(tag));
}
