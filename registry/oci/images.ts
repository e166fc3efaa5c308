import type { Digest } from "./digest";
import { compare, type Graph, type ManifestNode, type Referenced } from "./graph";

/** An image that cannot be pulled, or not on every platform. */
export interface BrokenImage {
  repository: string;
  /** Sorted; empty where it was asked for by digest. */
  tags: string[];
  /** Null where a tag leads nowhere. */
  digest: Digest | null;
  /** Sorted; empty where nothing of it can be pulled. The platform is null of a part that has none. */
  platforms: { platform: string | null; whole: boolean }[];
}

/** Which images can be pulled. */
export interface Images {
  /** How many can be, on every platform that was asked for. */
  whole: number;
  /** Sorted by repository and tag. */
  broken: BrokenImage[];
}

/** By repository, then by tag. */
export function compareImages(a: BrokenImage, b: BrokenImage): number {
  return (
    compare(a.repository, b.repository) ||
    compare(a.tags[0] ?? "", b.tags[0] ?? "") ||
    compare(a.digest ?? "", b.digest ?? "")
  );
}

/** Tells of each manifest whether everything that a pull of it needs is whole; what is shared is worked out once. */
class Judge {
  readonly #whole = new Map<ManifestNode, boolean>();

  constructor(private readonly isBroken: (object: Referenced) => boolean) {}

  isWhole(node: ManifestNode): boolean {
    const known = this.#whole.get(node);
    if (known !== undefined) return known;
    // An index that holds itself is none the worse for it.
    this.#whole.set(node, true);
    const { config, layers, manifests } = node;
    const whole =
      !this.isBroken(node) &&
      (config === null || !this.isBroken(config)) &&
      !layers.some((layer) => this.isBroken(layer)) &&
      manifests.every((edge) => this.isWhole(edge.node));
    this.#whole.set(node, whole);
    return whole;
  }

  /** Of an index its platforms, those of indexes within it too; of an image itself. */
  platforms(root: ManifestNode): BrokenImage["platforms"] {
    if (this.isBroken(root)) return [];
    if (root.manifests.length === 0) return [{ platform: null, whole: this.isWhole(root) }];
    const found = new Map<string | null, boolean>();
    const seen = new Set<ManifestNode>([root]);
    for (const index of seen) {
      for (const { node, platform } of index.manifests) {
        if (platform === null && node.index && node.manifests.length > 0) seen.add(node);
        else found.set(platform, (found.get(platform) ?? true) && this.isWhole(node));
      }
    }
    return [...found]
      .map(([platform, whole]) => ({ platform, whole }))
      .filter(({ platform, whole }) => platform !== null || !whole)
      .sort((a, b) => compare(a.platform ?? "", b.platform ?? ""));
  }
}

/** Which images of a repository can be pulled, by what is broken of its graph. */
export function imagesOf(repository: string, graph: Graph, isBroken: (object: Referenced) => boolean): Images {
  const judge = new Judge(isBroken);
  const broken: BrokenImage[] = [];
  for (const [root, tags] of graph.roots) {
    if (judge.isWhole(root)) continue;
    broken.push({ repository, tags: [...tags].sort(compare), digest: root.digest, platforms: judge.platforms(root) });
  }
  return { whole: graph.roots.size - broken.length, broken };
}
