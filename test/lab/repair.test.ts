import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fetch } from "undici";
import { RegistryClient } from "../../registry/oci/client";
import type { Digest } from "../../registry/oci/digest";
import { RegistryWriter } from "../../registry/oci/push";
import { type ImageTarget, parseTarget } from "../../registry/oci/reference";
import { StorageLayout } from "../../registry/storage/layout";
import { keepNewest } from "../../registry/storage/policy";
import { applyPrune } from "../../registry/storage/prune";
import { StoreReader } from "../../registry/storage/reader";
import { type RepairReport, repair } from "../../registry/storage/repair";
import { scan } from "../../registry/storage/scan";
import { describeWith } from "./components";
import { image, index, layer, multiPlatformImage, push, type SyntheticManifest } from "./images";
import { type LabRegistry, startRegistry } from "./registry";
import { DAMAGES, DamagedRepository, NAMELESS, victimOf } from "./storage-damage";

interface Sources {
  storage?: boolean;
  from?: LabRegistry;
  discard?: string[];
  apply?: boolean;
}

const healing = async (registry: LabRegistry, sources: Sources): Promise<RepairReport> => {
  const client = new RegistryClient({ url: new URL(registry.url) });
  const from = sources.from === undefined ? null : new RegistryClient({ url: new URL(sources.from.url) });
  const writer = sources.apply === false ? null : new RegistryWriter({ url: client.url, credentials: null });
  try {
    return await repair(client, {
      sources: { storage: sources.storage ? new StoreReader(new StorageLayout(registry.root)) : null, from },
      discard: (sources.discard ?? []).map((image) => parseTarget(`${registry.host}/${image}`) as ImageTarget),
      writer,
    });
  } finally {
    await Promise.all([client, from, writer].map((each) => each?.close()));
  }
};

const names = (failures: readonly { repository: string }[]) => failures.map(({ repository }) => repository).sort();
const damaged = (which: (damage: (typeof DAMAGES)[number]) => boolean) =>
  DAMAGES.filter(which)
    .map(({ name }) => name)
    .sort();

/** These can be recovered from the tag's history. */
const RETAGGED = ["tag-link-gone", "tag-link-empty", "tag-link-with-newline"];

describe.each(["registry", "registry-v3"] as const)("%s", (component) => {
  describeWith([component], "each kind of damage", () => {
    let registry: LabRegistry;
    let other: LabRegistry;
    beforeEach(async () => {
      registry = await startRegistry({ component });
      other = await startRegistry({ component });
      for (const { name } of DAMAGES) {
        for (const each of [registry, other]) await push(each, name, victimOf(name).both, "v1");
      }
      for (const { name, make } of DAMAGES) make(new DamagedRepository(registry.root, name));
      await registry.restart();
    }, 60_000);
    afterEach(async () => {
      await registry.stop();
      await other.stop();
    });

    test("what is still on the disk is linked again, and the rest comes from the other registry", async () => {
      const visible = damaged(
        ({ name, verify }) => verify !== null && !(component === "registry-v3" && name === NAMELESS[0]),
      );
      const plan = await healing(registry, { storage: true, apply: false });
      const healable = damaged(({ name, repairable }) => repairable || RETAGGED.includes(name));
      expect(plan).toMatchObject({ applied: false, problems: [] });
      expect([...new Set(names(plan.actions))]).toEqual(healable);
      expect(plan.actions.every(({ action, source }) => action === "relink" && source === registry.root)).toBe(true);
      expect([...new Set(names(plan.remaining))]).toEqual(
        [...new Set([...visible, NAMELESS[0] as string])].filter((name) => !healable.includes(name)).sort(),
      );

      const relinked = await healing(registry, { storage: true });
      expect(relinked).toEqual({ ...plan, applied: true, remaining: expect.anything() });
      expect(names(relinked.remaining)).toEqual(names(plan.remaining));

      const copied = await healing(registry, { storage: true, from: other });
      expect(copied.problems).toEqual([]);
      expect(copied.actions.every(({ action, source }) => action === "copy" && source === other.url)).toBe(true);
      // The running registry still has the old length cached.
      expect(names(copied.remaining)).toEqual(["config-truncated", "layer-grown", "layer-truncated", ...NAMELESS]);
      await registry.restart();
      const last = await healing(registry, { storage: true, from: other });
      expect({ actions: last.actions, remaining: names(last.remaining) }).toEqual({ actions: [], remaining: NAMELESS });
      const { findings } = await scan(registry.root, { hash: true });
      expect(names(findings as { repository: string }[])).toEqual(["layer-altered", ...NAMELESS]);
    }, 120_000);

    test("what the registry still remembers is healed too", async () => {
      const warm = await startRegistry({ component });
      try {
        for (const { name } of DAMAGES) await push(warm, name, victimOf(name).both, "v1");
        for (const { name, make } of DAMAGES) make(new DamagedRepository(warm.root, name));
        const repairable = async () => (await scan(warm.root)).findings.filter((finding) => finding.repairable);
        expect(names((await repairable()) as { repository: string }[])).toEqual(damaged((each) => each.repairable));
        expect((await healing(warm, { storage: true })).problems).toEqual([]);
        expect(await repairable()).toEqual([]);
      } finally {
        await warm.stop();
      }
    }, 60_000);

    test("a dead image does not block maintenance: discarded, pruned, collected, and nothing is wrong", async () => {
      const dead = await startRegistry({ component });
      try {
        const doomed = DAMAGES.filter(
          ({ name, repairable, verify }) =>
            !repairable && verify !== null && ![...NAMELESS, ...RETAGGED].includes(name),
        );
        for (const { name } of doomed) await push(dead, name, victimOf(name).both, "v1");
        for (const { name } of doomed) await push(dead, name, image(`${name}/healthy`), "healthy");
        // On 2.8.3, both DELETE and the garbage collection fail at an empty link.
        const emptied = {
          name: "emptied",
          make: (on: DamagedRepository) => writeFileSync(on.revisionLink(on.victim.both), ""),
        };
        await push(dead, emptied.name, victimOf(emptied.name).both, "v1");
        await push(dead, emptied.name, image("emptied/healthy"), "healthy");
        rmSync(new DamagedRepository(dead.root, emptied.name).data(victimOf(emptied.name).both));
        for (const { name, make } of [...doomed, emptied]) make(new DamagedRepository(dead.root, name));
        await dead.restart();
        const prune = () => applyPrune(dead.root, keepNewest(1, []), Date.now(), async () => {});
        await expect(prune()).rejects.toMatchObject({ code: "damaged" });
        const discard = [...doomed, emptied].map(({ name }) => `${name}:v1`);
        expect(await healing(dead, { storage: true, discard })).toMatchObject({ problems: [], remaining: [] });
        await dead.shutDown();
        await prune();
        await dead.collectGarbage();
        await dead.restart();
        expect((await scan(dead.root, { hash: true })).findings).toEqual([]);
        expect(await healing(dead, {})).toMatchObject({ actions: [], remaining: [] });
      } finally {
        await dead.stop();
      }
    }, 60_000);

    test("--discard removes what nothing heals, with its tags", async () => {
      const doomed = damaged(
        ({ name, repairable, verify }) => !repairable && verify !== null && !NAMELESS.includes(name),
      );
      for (const name of doomed) await push(registry, name, image(`${name}/healthy`), "healthy");
      const discard = doomed.map((name) => `${name}:v1`);
      const plan = await healing(registry, { discard, apply: false });
      expect(plan.actions.map(({ action, repository, tags }) => [action, repository, tags])).toEqual(
        doomed.map((name) => ["discard", name, ["v1"]]),
      );
      const { problems, remaining } = await healing(registry, { discard });
      expect(problems).toEqual([]);
      expect(names(remaining).filter((name) => doomed.includes(name))).toEqual([]);
      for (const name of doomed) {
        const answer = await fetch(`${registry.url}/v2/${name}/tags/list`);
        expect(await answer.json()).toEqual({ name, tags: ["healthy"] });
      }
    }, 120_000);
  });
});

describeWith(["registry"], "the incident", () => {
  let registry: LabRegistry;
  let other: LabRegistry;
  const lost = index([multiPlatformImage("inner"), image("outer", { layers: [layer("big", { size: 9_000_000 })] })]);
  beforeEach(async () => {
    registry = await startRegistry();
    other = await startRegistry();
    for (const each of [registry, other]) await push(each, "app", lost, "v1", "latest");
  });
  afterEach(async () => {
    await registry.stop();
    await other.stop();
  });
  const links = (of: SyntheticManifest): string[] =>
    of.manifests.flatMap((child) => [
      new StorageLayout(registry.root).repository("app").revision(child.descriptor.digest),
      ...links(child),
    ]);

  test("links that are gone are put back while the data is there", async () => {
    for (const folder of links(lost)) rmSync(folder, { recursive: true });
    await registry.restart();
    const { actions, remaining } = await healing(registry, { storage: true });
    expect(actions.map(({ action }) => action)).toEqual(Array(4).fill("relink"));
    // Children come before the index that names them.
    expect(actions.at(-1)?.digest).not.toBe(lost.manifests[0]?.manifests[0]?.descriptor.digest);
    expect(remaining).toEqual([]);
  }, 60_000);

  test("after garbage-collect -m everything comes from another registry, a large layer too", async () => {
    await registry.collectGarbage({ deleteUntagged: true });
    await registry.restart();
    const disk = await healing(registry, { storage: true, apply: false });
    expect(disk.actions).toEqual([]);
    const { actions, remaining, problems } = await healing(registry, { from: other });
    expect({ remaining, problems }).toEqual({ remaining: [], problems: [] });
    expect(actions.every(({ action }) => action === "copy")).toBe(true);
    expect((await scan(registry.root, { hash: true })).findings).toEqual([]);
    expect(await healing(registry, { from: other })).toMatchObject({ actions: [], remaining: [] });
  }, 60_000);

  test("a registry whose memory still holds the lost blobs is healed too", async () => {
    const [big] = (lost.manifests[1] as SyntheticManifest).blobs.slice(1);
    const data = new StorageLayout(registry.root).blobData(big?.descriptor.digest as Digest);
    rmSync(dirname(data), { recursive: true });
    const { actions, remaining, problems } = await healing(registry, { from: other });
    expect(actions).toMatchObject([{ action: "copy", digest: big?.descriptor.digest }]);
    expect({ remaining, problems }).toEqual({ remaining: [], problems: [] });
    expect(readFileSync(data).equals(big?.bytes ?? Buffer.alloc(0))).toBe(true);
  }, 60_000);

  test("what is whole, healed or needed is not discarded", async () => {
    await expect(healing(registry, { discard: ["app:v1"] })).rejects.toMatchObject({ code: "whole" });
    const child = lost.manifests[1]?.descriptor.digest as Digest;
    rmSync(new StorageLayout(registry.root).repository("app").revision(child), { recursive: true });
    await expect(healing(registry, { storage: true, discard: ["app:v1"] })).rejects.toMatchObject({ code: "whole" });
    await expect(healing(registry, { discard: [`app@${child}`] })).rejects.toMatchObject({ code: "needed" });
    const { actions } = await healing(registry, { discard: ["app:v1"], apply: false });
    expect(actions).toMatchObject([{ action: "discard", digest: lost.descriptor.digest, tags: ["latest", "v1"] }]);
  });

  test("a registry that is read-only is refused", async () => {
    for (const folder of links(lost)) rmSync(folder, { recursive: true });
    await registry.restart({ readOnly: true });
    await expect(healing(registry, { storage: true })).rejects.toMatchObject({ code: "read-only" });
  });
});
