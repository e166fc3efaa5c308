import { shellWord } from "../../text/shell-word";
import type { Digest } from "../oci/digest";
import { isManifestType } from "../oci/manifest";
import type { Finding } from "./finding";
import { type RepositoryGraph, referencesOf } from "./graph";
import type { StoreReader } from "./reader";
import { StorageRefusal } from "./refusal";
import type { RepositoryPlan } from "./retention";

/**
 * The damage in a store that is about to be pruned. Whatever could still be repaired is lost for good once its configs and
 * layers are collected, and the collection itself removes what a broken manifest can no longer name.
 *
 * Not damage: anything that no tag leads to and the plan does not keep, such as a leftover, or a manifest that goes anyway.
 */
export const damageIn = (findings: Finding[], plans: RepositoryPlan[]): Finding[] => {
  const kept = new Set(plans.flatMap(({ name, keptManifests }) => keptManifests.map((each) => key(name, each))));
  return findings.filter(
    ({ repository, kind, tags, parent, digest }) =>
      kind === "hidden-repository" || tags.length > 0 || kept.has(key(repository, parent ?? digest)),
  );
};

/**
 * The blobs with data that damaged repositories need: everything their tags and manifests lead to, even past a lost link.
 * If a manifest along the way is unreadable, or none is known, everything the repository links.
 */
export const neededBy = (reader: StoreReader, graphs: RepositoryGraph[]): Set<Digest> => {
  const needed = new Set<Digest>();
  for (const { tags, manifests, layerLinks } of graphs) {
    const pending = [...[...tags.values()].map(({ digest }) => digest), ...manifests.keys()];
    let isWhole = pending.length > 0;
    const seen = new Set<Digest>();
    for (let digest = pending.pop(); digest !== undefined; digest = pending.pop()) {
      if (seen.has(digest)) continue;
      seen.add(digest);
      const stored = reader.manifest(digest);
      if (stored.state !== "whole") isWhole = false;
      else if (stored.manifest.kind === "index") {
        for (const { digest: child, mediaType } of stored.manifest.manifests) {
          if (isManifestType(mediaType)) pending.push(child);
          else seen.add(child);
        }
      } else for (const each of referencesOf(stored.manifest)) seen.add(each);
    }
    if (!isWhole) for (const target of layerLinks.values()) seen.add(target);
    for (const digest of seen) if (reader.sizeNow(digest) !== null) needed.add(digest);
  }
  return needed;
};

/**
 * The blobs that the registry's garbage collection keeps after a plan is done: it visits the repositories that have
 * `_layers`, and marks every linked manifest and what that names.
 */
export const markedBy = (reader: StoreReader, graphs: RepositoryGraph[], plans: RepositoryPlan[]): Set<Digest> => {
  const marked = new Set<Digest>();
  for (const [at, { name, keptManifests }] of plans.entries()) {
    if (!reader.isFolder(reader.layout.repository(name).layers)) continue;
    for (const digest of keptManifests) {
      marked.add(digest);
      for (const each of graphs[at]?.manifests.get(digest)?.references ?? []) marked.add(each);
    }
  }
  return marked;
};

/** @throws StorageRefusal `damaged`, if the damage cannot be excluded from the clean-up */
export const refuseDamage = (root: string, damage: Finding[]): never => {
  const [first] = damage;
  const names = [first?.repository, first?.digest, ...(first?.tags ?? [])].filter((name) => name != null).join(" ");
  throw new StorageRefusal(
    "damaged",
    `the store is damaged (${damage.length} found, the first: ${first?.kind} ${names})`,
    hint(root, damage),
  );
};

/**
 * Refuses to prune when the registry's garbage collection would remove something that is to be kept. The collection looks
 * at revisions only, and goes by the digests that manifests name: it removes what is named by a manifest that is served
 * through a layer link only, and a blob named by another digest (sha512) than its own. Seen on 2.8.3 and 3.0.0.
 *
 * @throws StorageRefusal `damaged`
 */
export const refuseCollected = (graphs: RepositoryGraph[], plans: RepositoryPlan[]): void => {
  const byName = new Map(graphs.map((graph) => [graph.name, graph]));
  for (const plan of plans) {
    const graph = byName.get(plan.name);
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
};

const collected = (why: string, what: string): StorageRefusal => {
  const hint = "push this image again, its manifests to their digests and its blobs named by sha256";
  return new StorageRefusal("damaged", `${why}, so the registry's garbage collection would take ${what}`, hint);
};

const key = (repository: string | null, digest: string | null): string => `${repository}@${digest}`;

const hint = (storageRoot: string, damage: Finding[]): string => {
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
};
