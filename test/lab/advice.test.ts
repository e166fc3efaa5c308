import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Diagnosis, DiagnosisReport } from "../../registry/diagnose";
import { type RepositoryLayout, StorageLayout } from "../../registry/storage/layout";
import { keepNewest } from "../../registry/storage/policy";
import { planPrune } from "../../registry/storage/prune";
import { runWarden } from "../cli/run-warden";
import { write } from "../registry/storage/synthetic-store";
import { describeWith } from "./components";
import {
  type Content,
  content,
  digestOf,
  image,
  index,
  MEDIA_TYPES,
  manifest,
  push,
  type SyntheticManifest,
} from "./images";
import { temporaryFolder } from "./process";
import { type LabRegistry, startRegistry } from "./registry";
import { DAMAGES, DamagedRepository, NAMELESS, victimOf } from "./storage-damage";

/** Damage to a repository. */
interface RepositoryDamage {
  /** Also the name of the repository. */
  name: string;
  /** What is pushed as v1. @default the image that the damage tables use, as v1 and latest */
  pushed?: SyntheticManifest;
  make?: (layout: StorageLayout, repository: RepositoryLayout, pushed: SyntheticManifest) => void;
  /** Whether nothing can repair it, not even a copy. */
  hopeless?: true;
}

const sized = (of: Content, size: number | undefined) => ({ ...of.descriptor, size }) as Content["descriptor"];

/** An image whose first layer is described with a size of the test's choice. */
const misdescribed = (seed: string, size: (actual: number) => number | undefined): SyntheticManifest => {
  const { blobs } = image(seed);
  const [config, first, second] = blobs as [Content, Content, Content];
  return manifest(
    {
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.oci.manifest,
      config: config.descriptor,
      layers: [sized(first, size(first.bytes.length)), second.descriptor],
    },
    { blobs },
  );
};

const latin1 = (seed: string): SyntheticManifest => {
  const made = image(seed, { annotations: { author: "Andr\u00e9" } });
  return { ...made, ...content(made.descriptor.mediaType, Buffer.from(made.bytes.toString("utf8"), "latin1")) };
};

const foreign = (seed: string): SyntheticManifest => {
  const { blobs } = image(seed);
  const [config, first, second] = blobs as [Content, Content, Content];
  const layers = [{ ...first.descriptor, urls: ["https://example.org/layer"] }, second.descriptor];
  return manifest(
    { schemaVersion: 2, mediaType: MEDIA_TYPES.oci.manifest, config: config.descriptor, layers },
    { blobs },
  );
};

const childOfWrongSize = (seed: string): SyntheticManifest => {
  const child = image(seed);
  return manifest(
    { schemaVersion: 2, mediaType: MEDIA_TYPES.oci.index, manifests: [sized(child, child.bytes.length + 1)] },
    { manifests: [child] },
  );
};

const childOf = (pushed: SyntheticManifest): SyntheticManifest => pushed.manifests[1] as SyntheticManifest;
const dataOf = (layout: StorageLayout, of: Content) => layout.blobData(digestOf(of));

/** In addition to the damage tables: what people, other programs and unusual clients leave behind. */
const LEFT_BEHIND: RepositoryDamage[] = [
  { name: "size-left-out", pushed: misdescribed("size-left-out", () => undefined), hopeless: true },
  { name: "size-too-large", pushed: misdescribed("size-too-large", (size) => size + 7), hopeless: true },
  { name: "size-too-small", pushed: misdescribed("size-too-small", (size) => size - 7), hopeless: true },
  { name: "child-of-wrong-size", pushed: childOfWrongSize("child-of-wrong-size"), hopeless: true },
  { name: "latin-1", pushed: latin1("latin-1"), hopeless: true },
  {
    name: "size-too-large-and-lost",
    pushed: misdescribed("size-too-large-and-lost", (size) => size + 7),
    make: (layout, _, { blobs }) => rmSync(dataOf(layout, blobs[1] as Content)),
    hopeless: true,
  },
  {
    name: "foreign-layer-lost",
    pushed: foreign("foreign-layer-lost"),
    make: (layout, _, { blobs }) => rmSync(dataOf(layout, blobs[1] as Content)),
  },
  { name: "tag-folder-by-hand", make: (_, { tags }) => mkdirSync(`${tags}/v1.bak`), hopeless: true },
  { name: "tag-without-history", make: (_, repository) => rmSync(repository.tag("v1"), { recursive: true }) },
  {
    name: "tag-emptied",
    make: (_, repository) => {
      rmSync(repository.tag("v1"), { recursive: true });
      mkdirSync(repository.tag("v1"));
    },
    hopeless: true,
  },
  {
    name: "tag-of-a-layer",
    make: (_, repository, pushed) =>
      writeFileSync(repository.tagLink("v1"), digestOf(childOf(pushed).blobs[1] as Content)),
  },
  {
    name: "tag-of-nothing",
    make: (_, repository) => writeFileSync(repository.tagLink("v1"), `sha256:${"f".repeat(64)}`),
  },
  {
    name: "collected",
    make: (layout, repository, pushed) => {
      rmSync(repository.revision(digestOf(childOf(pushed))), { recursive: true });
      for (const blob of childOf(pushed).blobs) rmSync(dirname(dataOf(layout, blob)), { recursive: true });
    },
  },
  {
    name: "collected-and-the-tag-lost",
    make: (layout, repository, pushed) => {
      for (const blob of childOf(pushed).blobs) rmSync(dirname(dataOf(layout, blob)), { recursive: true });
      rmSync(repository.tagLink("v1"));
    },
  },
  { name: "layers-gone", make: (_, { layers }) => rmSync(layers, { recursive: true }) },
  {
    name: "layers-gone-and-collected",
    make: (layout, { layers }, pushed) => {
      rmSync(layers, { recursive: true });
      for (const { blobs } of pushed.manifests) for (const blob of blobs) rmSync(dataOf(layout, blob));
    },
  },
  {
    name: "layer-is-a-folder",
    make: (layout, _, pushed) => {
      const data = dataOf(layout, childOf(pushed).blobs[1] as Content);
      rmSync(data);
      mkdirSync(data);
    },
    hopeless: true,
  },
  {
    name: "leftovers",
    make: (layout, repository) => {
      const untagged = index([image("leftovers/untagged")]);
      const lost = `sha256:${"a".repeat(64)}` as const;
      const [child] = untagged.manifests as [SyntheticManifest];
      write(dataOf(layout, untagged), untagged.bytes);
      write(repository.revisionLink(digestOf(untagged)), digestOf(untagged));
      write(repository.revisionLink(digestOf(child)), "");
      write(repository.layerLink(lost), lost);
      write(repository.layerLink(`sha256:${"b".repeat(64)}`), "");
      write(repository.uploadStarted("0f1e2d3c-0000-4000-8000-000000000000"), "2020-01-01T00:00:00Z");
      write(layout.blobData(`sha256:${"c".repeat(64)}`), "nobody names these bytes");
    },
  },
];

const pushedAs = ({ name, pushed }: RepositoryDamage): SyntheticManifest => pushed ?? victimOf(name).both;
const tagsPushed = ({ pushed }: RepositoryDamage): string[] => (pushed === undefined ? ["v1", "latest"] : ["v1"]);
const damages: RepositoryDamage[] = [
  ...DAMAGES.map(
    ({ name, make }): RepositoryDamage => ({ name, make: (layout) => make(new DamagedRepository(layout.root, name)) }),
  ),
  ...LEFT_BEHIND,
];
/**
 * Each step of the advice examines a whole registry, and there are about as many steps as damaged repositories: spread
 * over several registries they take less time.
 */
const groups: RepositoryDamage[][] = Array.from({ length: Math.ceil(damages.length / 6) }, (_, group) =>
  damages.slice(6 * group, 6 * (group + 1)),
);

describeWith(["registry"], "whoever follows the advice comes to an end", () => {
  const folder = temporaryFolder("advice");
  let registry: LabRegistry;
  /** URL of the registry to copy from. */
  let other: string;
  /** It has none of the wanted images. */
  let strange: LabRegistry;
  beforeAll(async () => {
    strange = await startRegistry();
    await push(strange, "something", image("else"), "v1");
  });
  afterAll(async () => {
    await strange.stop();
    rmSync(folder, { recursive: true });
  });

  const diagnosed = async (): Promise<Diagnosis[]> => {
    const { out } = await runWarden("diagnose", registry.url, registry.root, "--hash", "--json");
    return (JSON.parse(out) as DiagnosisReport).findings;
  };

  const follow = async (next: string): Promise<void> => {
    // Split into words by a shell.
    const words = execFileSync("bash", ["-c", `printf '%s\\0' ${next}`], { encoding: "utf8" })
      .split("\0")
      .slice(0, -1);
    const [program = "", ...args] = words.map((word) => (word === "OTHER-REGISTRY" ? other : word));
    if (program === "warden") await runWarden(...args);
    else if (program === "docker") await registry.restart();
    else execFileSync(program, args);
  };

  /** Rounds of following the advice, until nothing is found. */
  const followed = async (): Promise<Diagnosis[][]> => {
    const rounds = [await diagnosed()];
    while ((rounds.at(-1) ?? []).length > 0 && rounds.length < 4) {
      for (const next of new Set(rounds.at(-1)?.map((finding) => finding.next))) await follow(next);
      rounds.push(await diagnosed());
    }
    return rounds;
  };

  const tagsOf = async (name: string): Promise<string[]> => {
    const answer = await fetch(`${registry.url}/v2/${name}/tags/list`);
    return ((await answer.json()) as { tags?: string[] | null }).tags ?? [];
  };

  describe.each(groups.map((group) => ({ group, names: group.map(({ name }) => name).join(", ") })))(
    "$names",
    ({ group }) => {
      let whole: LabRegistry;
      beforeAll(async () => {
        whole = await startRegistry();
        for (const wrong of group) {
          await push(whole, wrong.name, image(`${wrong.name}/healthy`), "healthy");
          await push(whole, wrong.name, pushedAs(wrong), ...tagsPushed(wrong));
        }
      });
      afterAll(() => whole.stop());
      afterEach(() => registry.stop());

      /** A registry with the same images, each of them damaged on the disk. */
      const damaged = async (state: "cold" | "warm"): Promise<LabRegistry> => {
        const root = mkdtempSync(join(folder, "store-"));
        cpSync(whole.root, root, { recursive: true, preserveTimestamps: true });
        const made = await startRegistry({ root });
        if (state === "warm") await runWarden("verify", made.url);
        const layout = new StorageLayout(root);
        for (const wrong of group) wrong.make?.(layout, layout.repository(wrong.name), pushedAs(wrong));
        return made;
      };

      const expectEnd = async (rounds: Diagnosis[][]): Promise<void> => {
        expect(rounds.at(-1)).toEqual([]);
        for (const { name } of group.filter((wrong) => !NAMELESS.includes(wrong.name))) {
          expect([name, await tagsOf(name)]).toEqual([name, expect.arrayContaining(["healthy"])]);
        }
        const plan = planPrune(registry.root, keepNewest(3, []), Date.now());
        await expect(plan).resolves.toMatchObject({ applied: false });
      };

      // A registry that has lost data on its disk but still has it cached accepts a copy with 201 and stores nothing.
      test.each(["cold", "warm"] as const)("another registry has a copy; the cache is %s", async (state) => {
        other = whole.url;
        registry = await damaged(state);
        const rounds = await followed();
        await expectEnd(rounds);
        for (const wrong of group) {
          const { name, hopeless } = wrong;
          const given = rounds.flat().filter(({ repository, remedy }) => repository === name && remedy === "give-up");
          const isLost = hopeless === true || NAMELESS.includes(name);
          expect([name, given.length > 0]).toEqual([name, isLost]);
          for (const { why } of given) expect(why).toMatch(/^cannot be healed here/);
          if (!isLost && name !== "tag-without-history") {
            expect([name, await tagsOf(name)]).toEqual([name, expect.arrayContaining(tagsPushed(wrong))]);
          }
        }
      });

      test("no other registry has it: given up, and the maintenance goes on", async () => {
        other = strange.url;
        registry = await damaged("cold");
        const rounds = await followed();
        await expectEnd(rounds);
        const copied = rounds[0]?.filter(({ remedy }) => remedy === "copy") ?? [];
        for (const { giveUp } of copied) expect(giveUp).toMatch(/^warden repair .* --discard .* --apply$/);
      });
    },
  );
});
