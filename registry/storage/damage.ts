import type { Finding } from "./finding";
import type { RepositoryGraph } from "./graph";
import { StorageRefusal } from "./refusal";
import type { RepositoryPlan } from "./retention";

/**
 * Refuses to prune a damaged store: what could still be healed is lost for ever once its configs and layers are
 * collected, and the collection itself sweeps what a broken manifest can no longer name.
 *
 * Not damage: leftovers that nothing refers to, and an untagged manifest that the plan removes anyway.
 *
 * @throws StorageRefusal `damaged`
 */
export function refuseDamage(root: string, findings: Finding[], plans: RepositoryPlan[]): void {
  const going = new Set(plans.flatMap(({ name, removedManifests }) => removedManifests.map((each) => key(name, each))));
  const damage = findings.filter(
    ({ repository, kind, tags, parent, digest }) =>
      kind !== "stale-upload" &&
      kind !== "orphan-layer-link" &&
      (tags.length > 0 || !going.has(key(repository, parent ?? digest))),
  );
  const [first] = damage;
  if (first === undefined) return;
  const names = [first.repository, first.digest, ...first.tags].filter((name) => name !== null).join(" ");
  throw new StorageRefusal(
    "damaged",
    `the store is damaged (${damage.length} found, the first: ${first.kind} ${names})`,
    cure(root, damage),
  );
}

/**
 * Refuses to prune while a kept manifest is served by a layer link alone: the registry's garbage collection looks into
 * revisions only, and would take what that manifest names.
 *
 * @throws StorageRefusal `damaged`
 */
export function refuseUnlinked(graphs: RepositoryGraph[], plans: RepositoryPlan[]): void {
  const unlinked = new Map(graphs.map(({ name, unlinked }) => [name, unlinked]));
  for (const { name, keptTags, keptBlobs } of plans) {
    const digest = keptTags.length > 0 ? keptBlobs.find((kept) => unlinked.get(name)?.has(kept)) : undefined;
    if (digest === undefined) continue;
    throw new StorageRefusal(
      "damaged",
      `${name}@${digest} has no revision link, so the registry's garbage collection would take what it names`,
      "push this image again, to its digest or to a tag",
    );
  }
}

function key(repository: string | null, digest: string | null): string {
  return `${repository}@${digest}`;
}

function cure(root: string, damage: Finding[]): string {
  const commands = [
    ...(damage.some(({ repairable }) => repairable) ? [`warden repair REGISTRY --storage ${root} --apply`] : []),
    ...(damage.some(({ repairable }) => !repairable)
      ? [
          `warden repair REGISTRY --storage ${root} --from OTHER-REGISTRY --apply`,
          "for what no other registry has: warden repair REGISTRY --discard IMAGE --apply",
        ]
      : []),
  ];
  return `${commands.join("; ")}; warden diagnose REGISTRY ${root} tells which`;
}
