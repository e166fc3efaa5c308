import type { Finding } from "./finding";
import type { RepositoryGraph } from "./graph";
import { StorageRefusal } from "./refusal";
import type { RepositoryPlan } from "./retention";
import { shellWord } from "./shell-word";

/**
 * Refuses to prune a damaged store: what could still be healed is lost for ever once its configs and layers are
 * collected, and the collection itself sweeps what a broken manifest can no longer name.
 *
 * Not damage: what no tag leads to and the plan does not keep, such as a leftover, or a manifest that goes anyway.
 *
 * @throws StorageRefusal `damaged`
 */
export function refuseDamage(root: string, findings: Finding[], plans: RepositoryPlan[]): void {
  const kept = new Set(plans.flatMap(({ name, keptManifests }) => keptManifests.map((each) => key(name, each))));
  const damage = findings.filter(
    ({ repository, kind, tags, parent, digest }) =>
      kind === "hidden-repository" || tags.length > 0 || kept.has(key(repository, parent ?? digest)),
  );
  const [first] = damage;
  if (first === undefined) return;
  const names = [first.repository, first.digest, ...first.tags].filter((name) => name !== null).join(" ");
  throw new StorageRefusal(
    "damaged",
    `the store is damaged (${damage.length} found, the first: ${first.kind} ${names})`,
    hint(root, damage),
  );
}

/**
 * Refuses to prune what the registry's garbage collection would take although it is kept. It looks into revisions only,
 * and goes by the digests that manifests name: it takes what a manifest names that is served by a layer link alone, and a
 * blob that is named by another digest (sha512) than the one it is stored under. Seen on 2.8.3 and 3.0.0.
 *
 * @throws StorageRefusal `damaged`
 */
export function refuseCollected(graphs: RepositoryGraph[], plans: RepositoryPlan[]): void {
  for (const [at, plan] of plans.entries()) {
    const graph = graphs[at];
    if (graph === undefined) continue;
    const named = new Set(plan.keptManifests.flatMap((digest) => graph.manifests.get(digest)?.references ?? []));
    for (const { tag } of plan.keptTags) {
      const pushed = graph.tags.get(tag);
      if (pushed !== undefined) named.add(pushed.digest);
    }
    const unlinked = [...named].find((digest) => graph.unlinked.has(digest));
    if (unlinked !== undefined) throw collected(`${plan.name}@${unlinked} has no revision link`, "what it names");
    const renamed = [...named].find((digest) => !named.has(graph.layerLinks.get(digest) ?? digest));
    if (renamed !== undefined) throw collected(`${plan.name} names ${renamed}, stored under another digest`, "it");
  }
}

function collected(why: string, what: string): StorageRefusal {
  const hint = "push this image again, its manifests to their digests and its blobs named by sha256";
  return new StorageRefusal("damaged", `${why}, so the registry's garbage collection would take ${what}`, hint);
}

function key(repository: string | null, digest: string | null): string {
  return `${repository}@${digest}`;
}

function hint(storageRoot: string, damage: Finding[]): string {
  const root = shellWord(storageRoot);
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
