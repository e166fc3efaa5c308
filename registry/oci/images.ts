import { compareText } from "../../text/compare-text";
import type { Digest } from "./digest";
import { type CheckFailure, isUncertain } from "./failure";
import type { Graph, ManifestNode, Referenced } from "./graph";

/** An image that cannot be pulled, or not on every platform. */
export interface BrokenImage {
  repository: string;
  /** Sorted; empty if it was requested by digest. */
  tags: string[];
  /** Null if the tag leads nowhere. */
  digest: Digest | null;
  /** Sorted; empty if nothing of it can be pulled. The platform is null for a manifest without one. */
  platforms: { platform: string | null; whole: boolean }[];
}

/** Which images can be pulled. */
export interface Images {
  /** How many can be pulled on every selected platform. */
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
 * The state of a requested image: complete and intact; partly lost or damaged; not there at all; or unknown, because it
 * could not be read.
 */
export const IMAGE_STATES = ["intact", "broken", "missing", "unknown"] as const;
export type ImageState = (typeof IMAGE_STATES)[number];

/** A requested tag or digest, with the result. */
export interface AskedImage {
  /** Every tag that leads to it; empty if only its digest was requested. */
  tags: readonly string[];
  /** Null if the tag leads nowhere. */
  digest: Digest | null;
  /** For an index, the manifests it names. */
  manifests: readonly Digest[];
  state: ImageState;
}

/** The state that follows from a failure of the image itself. */
export const stateOfFailure = (failure: CheckFailure): ImageState => {
  if (isUncertain(failure)) return "unknown";
  return failure.reason === "missing" ? "missing" : "broken";
};

/** The result for each root of a graph. @param failureOf null when nothing is wrong, or when nothing here needs the object */
export const askedImages = (graph: Graph, failureOf: (object: Referenced) => CheckFailure | null): AskedImage[] => {
  const certain = new Judge((object) => {
    const failure = failureOf(object);
    return failure !== null && !isUncertain(failure);
  });
  const any = new Judge((object) => failureOf(object) !== null);
  return [...graph.roots].map(([root, tags]) => {
    const failure = failureOf(root);
    const state = (): ImageState => {
      if (failure !== null) return stateOfFailure(failure);
      if (!certain.isWhole(root)) return "broken";
      return any.isWhole(root) ? "intact" : "unknown";
    };
    return { tags, digest: root.digest, manifests: root.manifests.map(({ node }) => node.digest), state: state() };
  });
};

/** Determines for each manifest whether everything needed to pull it is intact; shared parts are checked once. */
class Judge {
  readonly #isBroken: (object: Referenced) => boolean;
  readonly #whole = new Map<ManifestNode, boolean>();

  constructor(isBroken: (object: Referenced) => boolean) {
    this.#isBroken = isBroken;
  }

  isWhole(node: ManifestNode): boolean {
    const known = this.#whole.get(node);
    if (known !== undefined) return known;
    // Breaks the cycle of an index that contains itself.
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

  /** For an index its platforms, including those of nested indexes; otherwise the image's own. */
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

/** Which images of a repository can be pulled, given the broken objects of its graph. */
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
