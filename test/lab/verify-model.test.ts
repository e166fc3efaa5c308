import { readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import type { Digest } from "../../registry/oci/digest";
import type { Failure } from "../../registry/oci/failure";
import { verify } from "../registry/oci/fake-registry";
import { SyntheticStore } from "../registry/storage/synthetic-store";
import { describeWith } from "./components";
import { attestation, digestOf, type Format, image, index, type Layer, layer, type SyntheticManifest } from "./images";
import { startRegistry } from "./registry";

// The machine may have only two cores, shared with other tests.
jest.setTimeout(120_000);

/** What a walk reports about one broken object. */
type ExpectedFailure = Pick<Failure, "repository" | "object" | "digest" | "reason" | "tags" | "path" | "platform">;

const KINDS = ["no revision", "empty revision", "no data", "truncated", "no layer link", "altered"] as const;
type Kind = (typeof KINDS)[number];

/** How to generate a repository: the numbers are small, so that much is shared. */
interface Shape {
  images: { seed: number; layers: number[]; format: Format; architecture: string }[];
  /** Children: images and earlier indexes, by number. */
  indexes: { children: number[]; attested: boolean; format: Format }[];
  /** The target of each tag: an image or index, by number. */
  tags: number[];
  /** Which object is damaged, and how. */
  damage: { object: number; kind: Kind }[];
}

const format = fc.constantFrom<Format>("oci", "docker");
const shape: fc.Arbitrary<Shape> = fc.record({
  images: fc.array(
    fc.record({
      seed: fc.nat(3),
      layers: fc.array(fc.nat(4), { minLength: 1, maxLength: 3 }),
      format,
      architecture: fc.constantFrom("amd64", "arm64", "riscv64"),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  indexes: fc.array(
    fc.record({ children: fc.array(fc.nat(9), { minLength: 1, maxLength: 3 }), attested: fc.boolean(), format }),
    { maxLength: 3 },
  ),
  tags: fc.array(fc.nat(9), { minLength: 1, maxLength: 4 }),
  damage: fc.array(fc.record({ object: fc.nat(40), kind: fc.constantFrom(...KINDS) }), { maxLength: 3 }),
});

interface Made {
  name: string;
  tags: Map<string, SyntheticManifest>;
  manifests: Map<Digest, SyntheticManifest>;
  /** Broken objects, by digest. */
  broken: Map<Digest, Kind>;
}

const make = (name: string, { images, indexes, tags }: Shape): Made => {
  const made: SyntheticManifest[] = images.map(({ seed, layers, format, architecture }) =>
    image(`${name}/${seed}`, {
      format,
      platform: { architecture, os: "linux" },
      layers: layers.map((each): Layer => layer(`${name}/layer/${each}`, { format })),
    }),
  );
  for (const { children, attested, format } of indexes) {
    const picked = children.map((child) => made[child % made.length] as SyntheticManifest);
    const first = picked[0] as SyntheticManifest;
    made.push(index(attested ? [...picked, attestation(first)] : picked, { format }));
  }
  const manifests = new Map<Digest, SyntheticManifest>();
  const note = (manifest: SyntheticManifest): void => {
    manifests.set(digestOf(manifest), manifest);
    manifest.manifests.forEach(note);
  };
  const named = new Map(tags.map((of, at) => [`t${at}`, made[of % made.length] as SyntheticManifest]));
  for (const manifest of named.values()) note(manifest);
  return { name, tags: named, manifests, broken: new Map() };
};

/** Damages an object, if this kind of damage applies to it. */
const damage = (store: SyntheticStore, made: Made, object: number, kind: Kind): void => {
  const repository = store.repository(made.name);
  const blobs = new Set([...made.manifests.values()].flatMap((manifest) => manifest.blobs.map(digestOf)));
  const all = [...made.manifests.keys(), ...blobs];
  const digest = all[object % all.length] as Digest;
  if (made.broken.has(digest)) return;
  const data = store.layout.blobData(digest);
  const isManifest = made.manifests.has(digest);
  const applies = isManifest ? kind !== "no layer link" : kind !== "no revision" && kind !== "empty revision";
  if (!applies) return;
  if (kind === "no revision") rmSync(repository.revisionLink(digest));
  else if (kind === "empty revision") writeFileSync(repository.revisionLink(digest), "");
  else if (kind === "no data") rmSync(data);
  else if (kind === "truncated") truncateSync(data, 20);
  else if (kind === "no layer link") rmSync(repository.layerLink(digest));
  else {
    // The same number of bytes; a manifest stays valid JSON.
    const bytes = readFileSync(data);
    const another = bytes.toString().replace(/(?<="size":\d*)\d(?!\d)/, (digit) => `${(Number(digit) + 1) % 10}`);
    writeFileSync(data, isManifest ? another : bytes.map((byte, at) => (at === 0 ? byte ^ 1 : byte)));
  }
  made.broken.set(digest, kind);
};

const reasonOf = (kind: Kind, isManifest: boolean): Failure["reason"] => {
  switch (kind) {
    case "no revision":
    case "no data":
    case "no layer link":
      return "missing";
    case "empty revision":
      return "server-error";
    case "truncated":
      return isManifest ? "server-error" : "truncated";
    case "altered":
      return "digest-mismatch";
  }
};

/** What must be found, derived route by route only from what was generated and damaged. */
const expectedOf = ({ name, tags, broken }: Made): ExpectedFailure[] => {
  const found = new Map<string, ExpectedFailure & { distance: number }>();
  const unanswered = (kind: Kind | undefined): boolean => kind !== undefined && kind !== "altered";
  for (const [tag, root] of [...tags].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const kind = broken.get(digestOf(root));
    if (unanswered(kind)) {
      const reason = reasonOf(kind as Kind, true);
      const failure = { object: "tag", digest: null, reason, tags: [tag], path: [], platform: null } as const;
      found.set(tag, { repository: name, ...failure, tags: [tag], path: [], distance: 0 });
      continue;
    }
    const visit = (
      object: ExpectedFailure["object"],
      content: SyntheticManifest | SyntheticManifest["blobs"][number],
      path: Digest[],
      platform: string | null,
    ): void => {
      const digest = digestOf(content);
      const reason = broken.has(digest) ? reasonOf(broken.get(digest) as Kind, object === "manifest") : null;
      if (reason !== null) {
        const known = found.get(digest);
        if (known === undefined) {
          found.set(digest, {
            repository: name,
            object,
            digest,
            reason,
            tags: [tag],
            path,
            platform,
            distance: path.length,
          });
        } else {
          if (!known.tags.includes(tag)) known.tags.push(tag);
          if (path.length < known.distance) Object.assign(known, { object, path, platform, distance: path.length });
        }
        if (object === "manifest") return;
      }
      if (!("manifests" in content)) return;
      for (const child of content.manifests) {
        const { os, architecture } = child.descriptor.platform ?? { os: "unknown", architecture: "unknown" };
        const own = os === "unknown" ? null : `${os}/${architecture}`;
        visit("manifest", child, [...path, digestOf(child)], own ?? platform);
      }
      for (const [at, blob] of content.blobs.entries()) {
        visit(at === 0 ? "config" : "layer", blob, [...path, digestOf(blob)], platform);
      }
    };
    visit("manifest", root, [digestOf(root)], null);
  }
  return [...found.values()].map(({ distance, ...failure }) => failure);
};

const key = ({
  repository,
  object,
  digest,
  tags,
}: Pick<Failure, "repository" | "object" | "digest" | "tags">): string => [repository, object, digest, tags].join(" ");

describe.each(["registry", "registry-v3"] as const)("%s", (component) => {
  describeWith([component], "whatever is broken, and however it is shared", () => {
    test("exactly that is found, each object once and at its place", async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(shape, { minLength: 20, maxLength: 40 }), async (shapes) => {
          const store = new SyntheticStore();
          const all = shapes.map((each, at) => make(`p/r${String(at).padStart(3, "0")}`, each));
          for (const made of all) for (const [tag, root] of made.tags) store.push(made.name, root, tag);
          for (const [at, made] of all.entries()) {
            for (const { object, kind } of shapes[at]?.damage ?? []) damage(store, made, object, kind);
          }
          const registry = await startRegistry({ component, root: store.root });
          try {
            const report = await verify(new URL(registry.url), { blobs: "hash" });
            const expected = all.flatMap(expectedOf);
            const found = report.failures.map(({ status, detail, ...rest }) => rest);
            const sorted = <T extends ExpectedFailure>(list: T[]): T[] =>
              [...list].sort((a, b) => (key(a) < key(b) ? -1 : 1));
            expect(sorted(found)).toEqual(sorted(expected));
            expect(report.complete).toBe(true);
            expect(report.counts.tags).toBe(all.reduce((sum, { tags }) => sum + tags.size, 0));
          } finally {
            await registry.stop();
            store.remove();
          }
        }),
        { numRuns: 5, endOnFailure: true },
      );
    });
  });
});
