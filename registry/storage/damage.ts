import { shellWord } from "../../text/shell-word";
import type { Digest } from "../oci/digest";
import { isManifestType } from "../oci/manifest";
import type { Finding } from "./finding";
import { type RepositoryGraph, referencesOf } from "./graph";
import type { StoreReader } from "./reader";
import { StorageRefusal } from "./refusal";
import type { RepositoryPlan } from "./retention";

/**
 * What is damaged in a store that is going to be pruned: what could still be healed is lost forever once its configs and
 * layers are collected, and the collection itself sweeps what a broken manifest can no longer name.
 *
 * Not damage: what no tag leads to and the plan does not keep, such as a leftover, or a manifest that goes anyway.
 */
export const damageIn = (findings: Finding[], plans: RepositoryPlan[]): Finding[] => {
  const kept = new Set(plans.flatMap(({ name, keptManifests }) => keptManifests.map((each) => key(name, each))));
  return findings.filter(
    ({ repository, kind, tags, parent, digest }) =>
      kind === "hidden-repository" || tags.length > 0 || kept.has(key(repository, parent ?? digest)),
  );
};

/**
 * The blobs with data that damaged repositories need: what their tags and manifests lead to, also where a link on the way
 * is lost; where a manifest on the way cannot be read, or none is known, everything they link.
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
 * The blobs that the registry's garbage collection leaves when a plan is done: it looks at the repositories that have
 * `_layers`, and marks each manifest with a link and what that names.
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

/** @throws StorageRefusal `damaged`, where the damage cannot be left aside */
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
 * Refuses to prune what the registry's garbage collection would take although it is kept. It looks into revisions only,
 * and goes by the digests that manifests name: it takes what a manifest names that is served by a layer link alone, and a
 * blob that is named by another digest (sha512) than the one it is stored under. Seen on 2.8.3 and 3.0.0.
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
