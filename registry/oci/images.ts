import { compareText } from "../../text/compare-text";
import type { Digest } from "./digest";
import { type Fault, isUncertain } from "./failure";
import type { Graph, ManifestNode, Referenced } from "./graph";

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
export const compareImages = (a: BrokenImage, b: BrokenImage): number =>
  compareText(a.repository, b.repository) ||
  compareText(a.tags[0] ?? "", b.tags[0] ?? "") ||
  compareText(a.digest ?? "", b.digest ?? "");

/**
 * What is known of an image that was asked for: everything of it is there and as it should be; a part is lost or damaged;
 * it is not there at all; or it could not be asked for.
 */
export const IMAGE_STATES = ["intact", "broken", "missing", "unknown"] as const;
export type ImageState = (typeof IMAGE_STATES)[number];

/** A tag or a digest that was asked for, with what it came to. */
export interface AskedImage {
  /** Every tag that leads there; none where only its digest was asked for. */
  tags: readonly string[];
  /** Null where a tag leads nowhere. */
  digest: Digest | null;
  /** Of an index those it names. */
  manifests: readonly Digest[];
  state: ImageState;
}

/** What the fault of an image itself says of it. */
export const stateOfFault = (fault: Fault): ImageState => {
  if (isUncertain(fault)) return "unknown";
  return fault.reason === "missing" ? "missing" : "broken";
};

/** What each root of a graph came to. @param faultOf null where nothing is wrong, or nothing here needs the object */
export const askedImages = (graph: Graph, faultOf: (object: Referenced) => Fault | null): AskedImage[] => {
  const certain = new Judge((object) => {
    const fault = faultOf(object);
    return fault !== null && !isUncertain(fault);
  });
  const any = new Judge((object) => faultOf(object) !== null);
  return [...graph.roots].map(([root, tags]) => {
    const fault = faultOf(root);
    const state = (): ImageState => {
      if (fault !== null) return stateOfFault(fault);
      if (!certain.isWhole(root)) return "broken";
      return any.isWhole(root) ? "intact" : "unknown";
    };
    return { tags, digest: root.digest, manifests: root.manifests.map(({ node }) => node.digest), state: state() };
  });
};

/** Tells of each manifest whether everything that a pull of it needs is whole; what is shared is worked out once. */
class Judge {
  readonly #isBroken: (object: Referenced) => boolean;
  readonly #whole = new Map<ManifestNode, boolean>();

  constructor(isBroken: (object: Referenced) => boolean) {
    this.#isBroken = isBroken;
  }

  isWhole(node: ManifestNode): boolean {
    const known = this.#whole.get(node);
    if (known !== undefined) return known;
    // An index that holds itself is none the worse for it.
    this.#whole.set(node, true);
    const { config, layers, manifests } = node;
    const whole =
      !this.#isBroken(node) &&
      (config === null || !this.#isBroken(config)) &&
      !layers.some((layer) => this.#isBroken(layer)) &&
      manifests.every((edge) => this.isWhole(edge.node));
    this.#whole.set(node, whole);
    return whole;
  }

  /** Of an index its platforms, those of indexes within it too; of an image itself. */
  platforms(root: ManifestNode): BrokenImage["platforms"] {
    if (this.#isBroken(root)) return [];
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
      .sort((a, b) => compareText(a.platform ?? "", b.platform ?? ""));
  }
}

/** Which images of a repository can be pulled, by what is broken of its graph. */
export const imagesOf = (repository: string, graph: Graph, isBroken: (object: Referenced) => boolean): Images => {
  const judge = new Judge(isBroken);
  const broken: BrokenImage[] = [];
  for (const [root, tags] of graph.roots) {
    if (judge.isWhole(root)) continue;
    broken.push({
      repository,
      tags: [...tags].sort(compareText),
      digest: root.digest,
      platforms: judge.platforms(root),
    });
  }
  return { whole: graph.roots.size - broken.length, broken };
};
