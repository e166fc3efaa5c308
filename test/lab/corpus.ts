import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import {
  artifact,
  attestation,
  type Content,
  content,
  fallbackTagOf,
  image,
  index,
  layer,
  MEDIA_TYPES,
  manifest,
  multiPlatformImage,
  type PushTarget,
  push,
  type SyntheticManifest,
} from "./images";

/** A tag that is kept when the newest two of each repository are. */
export interface KeptTag {
  readonly repository: string;
  readonly tag: string;
  readonly image: SyntheticManifest;
}

/** BuildKit's registry cache: an index of layers. */
const buildCache = (seed: string): SyntheticManifest => {
  const blobs = [
    layer(`${seed}/one`),
    layer("shared"),
    content("application/vnd.buildkit.cacheconfig.v0", Buffer.from(seed)),
  ];
  const document = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.oci.index,
    manifests: blobs.map(({ descriptor }) => descriptor),
  };
  return manifest(document, { blobs });
};

/** A year of pushes at once. @returns what the newest two tags of each repository need, and nothing else */
export const pushCorpus = async (registry: PushTarget): Promise<KeptTag[]> => {
  const kept: KeptTag[] = [];
  const keep = async (repository: string, image: SyntheticManifest, tag: string) => {
    await push(registry, repository, image, tag);
    kept.push({ repository, tag, image });
  };
  const base = layer("base", { size: 20_000 });
  const version = (n: number) => multiPlatformImage(`v${n}`, { layers: [base, layer(`v${n}`)] });
  // Old versions first, each moving latest; then the ones that are kept.
  for (const n of [1, 2, 3]) {
    await push(registry, "app", version(n), `v${n}`, "latest");
    const signature = artifact(`signature of ${n}`, { subject: version(n) });
    await push(registry, "app", index([signature]), fallbackTagOf(version(n)));
  }
  const signed = index([version(4), image("extra", { layers: [base, layer("extra")] })]);
  const attested = image("attested", { layers: [base] });
  await keep("app", index([attested, attestation(attested)]), "v5");
  await keep("app", signed, "latest");
  await keep("app", index([artifact("signature", { subject: signed })]), fallbackTagOf(signed));

  for (const n of [1, 2, 3]) await push(registry, "app/cache", buildCache(`cache ${n}`), "buildcache");
  await keep("app/cache", buildCache("cache 4"), "buildcache");

  const shared = multiPlatformImage("list", { format: "docker" });
  await push(registry, "team/tool", image("dropped", { format: "docker" }), "v0");
  await push(registry, "team/tool", shared, "v1");
  await keep("team/tool", shared, "v2");
  await keep("team/tool", artifact("chart"), "chart");
  await push(registry, "team/tool", image("untagged"));
  // The same content in a repository that keeps it and in one that removes it.
  await push(registry, "mirror", version(1), "old");
  await keep("mirror", version(2), "newer");
  await keep("mirror", image("newest"), "newest");
  return kept;
};

export const contentOf = (one: SyntheticManifest): Content[] => [
  one,
  ...one.blobs,
  ...one.manifests.flatMap(contentOf),
];

/** Every blob file, with its size. */
export const blobsOnDisk = (root: string): Map<string, number> => {
  const folder = join(root, "docker/registry/v2/blobs");
  const paths = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith("/data"));
  return new Map(paths.map((path) => [`sha256:${path.split("/").at(-2)}`, statSync(join(folder, path)).size]));
};

/** What the kept tags need, and nothing else: each digest with its size. */
export const idealOf = (kept: readonly KeptTag[]): Map<string, number> =>
  new Map(kept.flatMap(({ image }) => contentOf(image)).map(({ descriptor }) => [descriptor.digest, descriptor.size]));
