import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PackageListing } from "../../registry/remote/package-listing";
import { newest } from "../registry/newest";
import { verify } from "../registry/oci/fake-registry";
import { RemoteCleanUps } from "../registry/remote/clean-up";
import { describeWith } from "./components";
import { blobsOnDisk } from "./corpus";
import { type LabGitea, startGitea } from "./gitea";
import {
  artifact,
  createdOn,
  fallbackTagOf,
  image,
  index,
  layer,
  type PushTarget,
  push,
  type SyntheticManifest,
} from "./images";
import { type LabRegistry, startRegistry } from "./registry";
import { WARDEN_PROGRAM } from "./warden";

const DAY = 86_400_000;

/** An image for two platforms; all versions share one of them. */
const version = (n: number): SyntheticManifest => {
  const [amd64, arm64] = ["amd64", "arm64"].map((architecture) =>
    image(architecture === "arm64" ? "the same in every version" : `version ${n}`, {
      platform: { architecture, os: "linux" },
      layers: [layer("base"), layer(`${architecture} ${architecture === "arm64" ? "" : n}`)],
    }),
  ) as [SyntheticManifest, SyntheticManifest];
  return index([amd64, arm64], { annotations: createdOn(n) });
};

/** Five versions, the newest with its own index, each with a signature under its fallback tag. */
const pushVersions = async (registry: PushTarget, repository: string): Promise<void> => {
  for (const n of [1, 2, 3, 4]) {
    await push(registry, repository, version(n), `v${n}`);
    const signature = artifact(`signature of ${n}`, { subject: version(n) });
    await push(registry, repository, index([signature]), fallbackTagOf(version(n)));
  }
  await push(registry, repository, index([version(5)], { annotations: createdOn(5) }), "v5", "latest");
};

const KEPT = ["latest", "v3", "v4", "v5", fallbackTagOf(version(3)), fallbackTagOf(version(4))].sort();

const tagsOf = async (registry: PushTarget, repository: string): Promise<string[]> => {
  const response = await fetch(`${registry.url}/v2/${repository}/tags/list`);
  return ((await response.json()) as { tags: string[] }).tags.sort();
};

describe.each(["registry", "registry-v3"] as const)("%s", (component) => {
  describeWith([component], "cleaned up over HTTP", () => {
    let registry: LabRegistry;
    let cleanUp: RemoteCleanUps;
    beforeEach(async () => {
      registry = await startRegistry({ component });
      cleanUp = new RemoteCleanUps(new URL(registry.url));
      await pushVersions(registry, "app");
    });
    afterEach(async () => {
      cleanUp.remove();
      await registry.stop();
    });
    const whole = async () =>
      expect(await verify(new URL(registry.url), { blobs: "hash" })).toMatchObject({ complete: true, failures: [] });

    test("ends where the disk's clean-up would, and until the collection everything can be put back", async () => {
      const before = await tagsOf(registry, "app");
      const disk = blobsOnDisk(registry.root);
      // By date the newest are v5 and latest, which are the same image.
      const report = await cleanUp.apply(newest(4));
      expect(report).toMatchObject({ untagged: "hidden", spared: [], problems: [], remaining: [] });
      expect(await tagsOf(registry, "app")).toEqual(KEPT);
      await whole();

      expect(await cleanUp.undo(report.journal ?? "")).toMatchObject({ left: [], problems: [] });
      expect(await tagsOf(registry, "app")).toEqual(before);
      await whole();
      await registry.collectGarbage();
      expect(blobsOnDisk(registry.root)).toEqual(disk);

      const again = await cleanUp.apply(newest(4));
      await registry.collectGarbage();
      await registry.restart();
      const left = [...blobsOnDisk(registry.root).values()].reduce((sum, size) => sum + size);
      const all = [...disk.values()].reduce((sum, size) => sum + size);
      expect(all - left).toBe(again.remove.bytes);
      await whole();
    }, 120_000);

    test("a tag goes alone where it can, and is named where it cannot", async () => {
      await push(registry, "app", version(1), "v1");
      await push(registry, "app", index([version(1)], { annotations: createdOn(9) }), "v9");
      const { spared, remaining } = await cleanUp.apply(newest(4));
      const tags = await tagsOf(registry, "app");
      expect(remaining).toEqual([]);
      if (component === "registry-v3") {
        expect(spared).toEqual([]);
        expect(tags).not.toContain("v1");
      } else {
        expect(spared).toMatchObject([{ tag: "v1", reason: "this registry deletes no tag without its manifest" }]);
        expect(tags).toContain("v1");
      }
      await whole();
    }, 120_000);

    test("takes no deletions: one line, and nothing happens", async () => {
      await registry.restart({ deletion: false });
      await expect(cleanUp.apply(newest(1))).rejects.toMatchObject({ code: "no-deletions" });
      await registry.restart({ deletion: true, readOnly: true });
      await expect(cleanUp.apply(newest(1))).rejects.toMatchObject({ code: "no-deletions" });
      await whole();
    }, 120_000);
  });
});

describeWith(["registry"], "killed", () => {
  test("by SIGKILL at random moments: every tag is whole each time, the last run ends all, the undo brings all back", async () => {
    const registry = await startRegistry();
    const journals = mkdtempSync(join(tmpdir(), "warden-journals-"));
    const cleanUp = new RemoteCleanUps(new URL(registry.url));
    try {
      await pushVersions(registry, "app");
      await pushVersions(registry, "other");
      const before = await tagsOf(registry, "app");
      const args = ["prune", registry.url, "--keep-newest", "4", "--apply", "--journal", journals, "--json"];
      const run = (killAfter: number | null) =>
        new Promise<string>((resolve) => {
          const child = spawn(process.execPath, [WARDEN_PROGRAM, ...args], {
            stdio: ["ignore", "pipe", "inherit"],
          });
          let out = "";
          child.stdout.setEncoding("utf8").on("data", (text) => {
            out += text;
          });
          child.once("exit", () => resolve(out));
          if (killAfter === null) return;
          // Wait for this many deletions.
          const asked = () => (registry.output().match(/http\.request\.method=DELETE/g) ?? []).length;
          const from = asked();
          const timer = setInterval(() => {
            if (asked() - from >= killAfter) child.kill("SIGKILL");
          }, 1);
          child.once("exit", () => clearInterval(timer));
        });
      let killed = 0;
      for (const after of [1, 3, 2]) {
        if ((await run(after)) === "") killed++;
        const report = await verify(new URL(registry.url), { blobs: "hash" });
        expect(report).toMatchObject({ complete: true, failures: [] });
      }
      expect(killed).toBeGreaterThan(0);
      const report = JSON.parse(await run(null));
      expect(report).toMatchObject({ problems: [], remaining: [], spared: [] });
      for (const name of ["app", "other"]) expect(await tagsOf(registry, name)).toEqual(KEPT);

      expect(await cleanUp.undo(report.journal)).toMatchObject({ left: [], problems: [] });
      for (const name of ["app", "other"]) expect(await tagsOf(registry, name)).toEqual(before);
      expect(await verify(new URL(registry.url), { blobs: "hash" })).toMatchObject({ complete: true, failures: [] });
      // The next run finds everything that the interrupted ones left.
      await run(null);
      await registry.collectGarbage();
      const onDisk = blobsOnDisk(registry.root);
      for (const gone of [version(1), version(2)]) expect(onDisk.has(gone.descriptor.digest)).toBe(false);
      expect(onDisk.has(version(3).descriptor.digest)).toBe(true);
    } finally {
      cleanUp.remove();
      rmSync(journals, { recursive: true });
      await registry.stop();
    }
  }, 180_000);
});

/** The most common request: every push under the same tag leaves behind the platforms of the one before. */
describeWith(["gitea"], "a Gitea", () => {
  let gitea: LabGitea;
  let cleanUp: RemoteCleanUps;
  beforeAll(async () => {
    gitea = await startGitea();
    cleanUp = new RemoteCleanUps(new URL(gitea.url), { kind: "password", ...gitea.user });
  }, 120_000);
  afterAll(async () => {
    cleanUp?.remove();
    await gitea?.stop();
  });
  const target = () => ({ url: gitea.url, credentials: gitea.user });
  const verified = () =>
    verify(
      new URL(gitea.url),
      { blobs: "hash", credentialsGiven: true },
      { credentials: { kind: "password", ...gitea.user } },
    );
  const digests = async (repository: string): Promise<string[]> => {
    const listing = new PackageListing({ url: new URL(gitea.url), credentials: { kind: "password", ...gitea.user } });
    try {
      const listed = await listing.of(repository);
      return listed === null || listed === "refused" ? [] : [...listed.digests.keys()].sort();
    } finally {
      await listing.close();
    }
  };
  const later = { now: Date.now() + 2 * DAY };

  test("is cleaned of what every push under the same tag leaves, never of a part that is needed, and gets it back", async () => {
    for (const n of [1, 2, 3]) await push(target(), "lab/app", version(n), "latest");
    await push(target(), "lab/app", version(2), "stable");
    const left = await digests("lab/app");
    // All of them share one platform.
    expect(left).toHaveLength(4);
    expect(await cleanUp.plan(newest(5))).toMatchObject({ untagged: "listed", remove: { manifests: [] } });

    const orphan = version(1).manifests[0]?.descriptor.digest;
    const report = await cleanUp.apply(newest(5), later);
    expect(report).toMatchObject({
      remove: { tags: [], manifests: [{ repository: "lab/app", digest: orphan }] },
      problems: [],
      remaining: [],
      spared: [],
    });
    expect(await digests("lab/app")).toEqual(left.filter((digest) => digest !== orphan));
    expect(await verified()).toMatchObject({ complete: true, failures: [] });

    expect(await cleanUp.undo(report.journal ?? "")).toMatchObject({ restored: [{ digest: orphan }], problems: [] });
    expect(await digests("lab/app")).toEqual(left);
  }, 120_000);

  test("loses tags by the policy, with their images, and an undo brings back the layers too", async () => {
    for (const n of [1, 2, 3]) await push(target(), "lab/tags", version(n), `v${n}`);
    await push(target(), "lab/tags", image("single"), "single");
    const before = await digests("lab/tags");
    const policy = { rules: [{ repositories: "lab/tags", keepNewest: 1, keep: ["v3"] }] };
    // Tags pushed within one second have the same age, so the last one is pushed later.
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await push(target(), "lab/tags", image("last"), "last");
    const report = await cleanUp.apply(policy, later);
    expect(report.remove.tags.map(({ tag }) => tag)).toEqual(["single", "v1", "v2"]);
    expect(report).toMatchObject({ problems: [], remaining: [], spared: [] });
    expect(await digests("lab/tags")).toEqual(
      version(3)
        .manifests.map(({ descriptor }) => descriptor.digest)
        .sort(),
    );
    expect(await verified()).toMatchObject({ complete: true, failures: [] });

    expect(await cleanUp.undo(report.journal ?? "")).toMatchObject({ left: [], problems: [] });
    expect(await digests("lab/tags")).toEqual(before);
    // This checks every layer of every image.
    expect(await verified()).toMatchObject({ complete: true, failures: [] });
  }, 120_000);
});
