import { compareText } from "../../text/compare-text";
import { type BlobNumber, BlobTable } from "./blob-table";
import type { Digest } from "./digest";

/** From an index to one of its manifests, or from a subject to one of its referrers. */
export interface ManifestEdge {
  readonly node: ManifestNode;
  /** The platform of the index entry, such as `linux/arm64/v8`. */
  readonly platform: string | null;
}

/** A manifest of a repository and what it refers to; no references until it has been read. */
export interface ManifestNode {
  readonly digest: Digest;
  /** Bytes, as first described or received. */
  size: number | null;
  /** Whether it is an index, as far as its descriptor or its body says so. */
  index: boolean;
  /** Whether something needs it; false for the child of an index whose platform was not selected. */
  required: boolean;
  /** Whether it was requested and the answer was judged. */
  read: boolean;
  /** Whether it is or was queued for reading. */
  queued: boolean;
  manifests: readonly ManifestEdge[];
  referrers: readonly ManifestEdge[];
  config: BlobNumber | null;
  layers: readonly BlobNumber[];
}

/** What the walk of one repository has seen: its tags, and everything reachable from them. */
export interface Graph {
  /** The tags of each tagged manifest; an empty list for one that was requested by digest. */
  readonly roots: Map<ManifestNode, string[]>;
  readonly manifests: Map<Digest, ManifestNode>;
  readonly blobs: BlobTable;
}

/** Where an object is: the tags that reach it, and the shortest path to it. */
export interface GraphLocation {
  /** Sorted. */
  tags: string[];
  object: "manifest" | "config" | "layer";
  platform: string | null;
  /** From the root's digest to the object's. */
  path: Digest[];
}

/** How the shortest path enters a manifest. */
interface Entry {
  from: ManifestNode | null;
  platform: string | null;
}

export const emptyGraph = (): Graph => ({ roots: new Map(), manifests: new Map(), blobs: new BlobTable() });

const NOTHING: readonly never[] = [];

/** A manifest known only from a reference to it. */
export const unreadManifest = (digest: Digest, size: number | null): ManifestNode => {
  const state = { index: false, required: false, read: false, queued: false };
  return { digest, size, ...state, manifests: NOTHING, referrers: NOTHING, config: null, layers: NOTHING };
};

const lowest = (tags: readonly string[]): string =>
  tags.reduce((least, tag) => (compareText(tag, least) < 0 ? tag : least), tags[0] ?? "");

const edgesOf = (node: ManifestNode): ManifestEdge[] => [...node.manifests, ...node.referrers];

/**
 * The entry of the shortest path to each manifest. Breadth first from the roots in the order of their lowest tags: at each
 * distance the queue keeps that order, so of several shortest paths the one from the lowest tag wins.
 */
const shortestEntries = (graph: Graph): Map<ManifestNode, Entry> => {
  const entries = new Map<ManifestNode, Entry>();
  const roots = [...graph.roots].map(([node, tags]) => ({ node, tag: lowest(tags) }));
  roots.sort((a, b) => compareText(a.tag, b.tag) || compareText(a.node.digest, b.node.digest));
  for (const { node } of roots) entries.set(node, { from: null, platform: null });
  // A Map can grow while it is iterated, so it also serves as the queue.
  for (const [from] of entries) {
    for (const { node, platform } of edgesOf(from)) {
      if (!entries.has(node)) entries.set(node, { from, platform });
    }
  }
  return entries;
};

/** What a manifest refers to: another manifest, or a config or layer by its number in the table of blobs. */
export type Referenced = ManifestNode | BlobNumber;

/** The manifests that refer to the given objects and, going up, to those manifests. */
const referringManifests = (graph: Graph, objects: ReadonlySet<Referenced>): Map<Referenced, ManifestNode[]> => {
  const referring = new Map<Referenced, ManifestNode[]>();
  const note = (object: Referenced, by: ManifestNode): void => {
    const known = referring.get(object);
    if (known === undefined) referring.set(object, [by]);
    else if (known.at(-1) !== by) known.push(by);
  };
  for (const manifest of graph.manifests.values()) {
    for (const { node } of edgesOf(manifest)) note(node, manifest);
    if (manifest.config !== null && objects.has(manifest.config)) note(manifest.config, manifest);
    for (const layer of manifest.layers) if (objects.has(layer)) note(layer, manifest);
  }
  return referring;
};

/** A blob named by only one manifest is reached by that manifest's tags, so thousands of its failures share one list. */
const sharedTags = (graph: Graph, referring: Map<Referenced, ManifestNode[]>): ((object: Referenced) => string[]) => {
  const known = new Map<Referenced, string[]>();
  return (object) => {
    const by = isManifest(object) ? [] : (referring.get(object) ?? []);
    const shared = by.length === 1 && by[0] !== undefined ? by[0] : object;
    const tags = known.get(shared) ?? tagsReaching(shared, graph, referring);
    known.set(shared, tags);
    return tags;
  };
};

/** Every tag from which the object can be reached, sorted. */
const tagsReaching = (object: Referenced, graph: Graph, referring: Map<Referenced, ManifestNode[]>): string[] => {
  const tags = new Set<string>();
  const seen = new Set<Referenced>([object]);
  for (const reached of seen) {
    if (isManifest(reached)) for (const tag of graph.roots.get(reached) ?? []) tags.add(tag);
    for (const by of referring.get(reached) ?? []) seen.add(by);
  }
  return [...tags].sort(compareText);
};

const isManifest = (object: Referenced): object is ManifestNode => typeof object !== "number";

/** The first of the manifests in queue order: the one nearest to a root, then the one with the lowest tag. */
const nearest = (
  manifests: readonly ManifestNode[],
  position: ReadonlyMap<ManifestNode, number>,
): ManifestNode | null => {
  let best: ManifestNode | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const manifest of manifests) {
    const at = position.get(manifest) ?? Number.POSITIVE_INFINITY;
    if (at < least) [best, least] = [manifest, at];
  }
  return best;
};

/** Locates objects in a graph; work that they share is done once. */
export const locate = (graph: Graph, objects: readonly Referenced[]): GraphLocation[] => {
  const referring = referringManifests(graph, new Set(objects));
  const entries = shortestEntries(graph);
  const tagsOf = sharedTags(graph, referring);
  const position = new Map([...entries.keys()].map((node, at) => [node, at]));

  return objects.map((object) => {
    const manifest = isManifest(object) ? object : nearest(referring.get(object) ?? [], position);
    const path: Digest[] = isManifest(object) ? [] : [graph.blobs.digest(object)];
    let platform: string | null = null;
    for (let node = manifest; node !== null; node = entries.get(node)?.from ?? null) {
      path.push(node.digest);
      platform ??= entries.get(node)?.platform ?? null;
    }
    path.reverse();
    const kind = isManifest(object) ? "manifest" : manifest?.config === object ? "config" : "layer";
    return { tags: tagsOf(object), object: kind, platform, path };
  });
};
