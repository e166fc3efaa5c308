import fc from "fast-check";
import { type Digest, sha256 } from "../../../registry/oci/digest";
import {
  emptyGraph,
  type Graph,
  locate,
  type ManifestNode,
  type Referenced,
  unreadManifest,
} from "../../../registry/oci/graph";
import { compareText } from "../../../text/compare-text";

interface Shape {
  /** For each manifest: the later ones that it refers to, its layers, and its tags. */
  manifests: { below: number[]; layers: number[]; tags: string[] }[];
}

const MOST = 8;
const shape: fc.Arbitrary<Shape> = fc
  .array(
    fc.record({
      below: fc.uniqueArray(fc.nat(MOST)),
      layers: fc.uniqueArray(fc.nat(4)),
      tags: fc.uniqueArray(fc.constantFrom("a", "b", "c", "d"), { maxLength: 2 }),
    }),
    { minLength: 1, maxLength: MOST },
  )
  .map((manifests) => ({ manifests }));

const build = ({ manifests }: Shape): { graph: Graph; nodes: ManifestNode[]; blobs: number[] } => {
  const graph = emptyGraph();
  const blobs = Array.from({ length: 5 }, (_, at) => graph.blobs.add(sha256(`blob ${at}`), at));
  const nodes = manifests.map((_, at): ManifestNode => {
    return unreadManifest(sha256(`manifest ${at}`), at);
  });
  const named = new Set<string>();
  for (const [at, { below, layers, tags }] of manifests.entries()) {
    const node = nodes[at] as ManifestNode;
    // A digest depends on what the manifest refers to, so a graph cannot have a cycle.
    node.manifests = below.flatMap((to) => {
      const child = to > at ? nodes[to] : undefined;
      return child ? [{ node: child, platform: `linux/${to}` }] : [];
    });
    node.layers = layers.map((layer) => blobs[layer] as number);
    graph.manifests.set(node.digest, node);
    const own = tags.filter((tag) => !named.has(tag));
    for (const tag of own) named.add(tag);
    if (own.length > 0) graph.roots.set(node, own);
  }
  return { graph, nodes, blobs };
};

/** Every route from a tag to an object, by brute force. */
const routes = (graph: Graph, to: Referenced): { tag: string; path: Digest[] }[] => {
  const found: { tag: string; path: Digest[] }[] = [];
  const follow = (tag: string, node: ManifestNode, path: Digest[]): void => {
    const here = [...path, node.digest];
    if (node === to) found.push({ tag, path: here });
    if (typeof to === "number" && node.layers.includes(to))
      found.push({ tag, path: [...here, graph.blobs.digest(to)] });
    for (const edge of node.manifests) follow(tag, edge.node, here);
  };
  for (const [root, tags] of graph.roots) for (const tag of tags) follow(tag, root, []);
  return found;
};

test("the place of an object: all tags that reach it, by the shortest route, of the lowest tag", () => {
  fc.assert(
    fc.property(shape, (made) => {
      const { graph, nodes, blobs } = build(made);
      const objects = [...nodes, ...blobs].filter((object) => routes(graph, object).length > 0);
      const places = locate(graph, objects);
      for (const [at, object] of objects.entries()) {
        const all = routes(graph, object);
        const place = places[at];
        expect(place?.tags).toEqual([...new Set(all.map(({ tag }) => tag))].sort(compareText));
        const least = Math.min(...all.map(({ path }) => path.length));
        const shortest = all.filter(({ path }) => path.length === least);
        const lowest = shortest.map(({ tag }) => tag).sort(compareText)[0];
        const best = shortest.filter(({ tag }) => tag === lowest).map(({ path }) => path);
        expect(best).toContainEqual(place?.path);
      }
    }),
    { numRuns: 300 },
  );
});

test("the platform is that of the entry nearest to the object", () => {
  const { graph, nodes, blobs } = build({
    manifests: [
      { below: [1], layers: [], tags: ["a"] },
      { below: [2], layers: [], tags: [] },
      { below: [], layers: [0], tags: [] },
    ],
  });
  const [, middle, bottom] = nodes;
  expect(locate(graph, [blobs[0] as number, bottom as ManifestNode, middle as ManifestNode])).toMatchObject([
    { platform: "linux/2", object: "layer" },
    { platform: "linux/2", object: "manifest" },
    { platform: "linux/1", object: "manifest" },
  ]);
});
