import { execFile, execFileSync, spawn, spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { scan } from "../../registry/storage/scan";
import { verify as walkUrl } from "../registry/oci/fake-registry";
import { describeWith } from "./components";
import { blobsOnDisk, contentOf, idealOf, pushCorpus } from "./corpus";
import { multiPlatformImage, push } from "./images";
import { type LabRegistry, startRegistry } from "./registry";
import { WARDEN_PROGRAM } from "./warden";

const prune = async (...args: string[]) => {
  const { stdout } = await promisify(execFile)(process.execPath, [WARDEN_PROGRAM, "prune", ...args, "--json"]);
  return JSON.parse(stdout);
};

/** `repository:tag` in the order of a report. */
const byRepository = (kept: { repository: string; tag: string }[]): string[] =>
  kept
    .toSorted((a, b) => (`${a.repository}\0${a.tag}` < `${b.repository}\0${b.tag}` ? -1 : 1))
    .map(({ repository, tag }) => `${repository}:${tag}`);

const verify = async (registry: LabRegistry) => {
  const report = await walkUrl(new URL(registry.url), { blobs: "hash" });
  // The walk requests the layers of BuildKit's cache as if they were manifests; only the scan can check that
  // repository.
  return { ...report, failures: report.failures.filter(({ repository }) => repository !== "app/cache") };
};

describe.each(["registry", "registry-v3"] as const)("%s", (component) => {
  describeWith([component, "skopeo"], "maintenance instead of the incident", ({ skopeo }) => {
    let registry: LabRegistry;
    beforeEach(async () => {
      registry = await startRegistry({ component });
    });
    afterEach(() => registry.stop());

    test("ends at exactly what the kept tags need, serves all of it, and takes pushes afterwards", async () => {
      const kept = await pushCorpus(registry);
      const ideal = idealOf(kept);
      await registry.restart({ readOnly: true });
      const report = await prune(registry.root, "--keep-newest", "2", "--apply", "--registry", registry.url);
      expect(
        report.kept.map(({ repository, tag }: { repository: string; tag: string }) => `${repository}:${tag}`),
      ).toEqual(byRepository(kept));
      expect(report.keep).toMatchObject({ blobs: ideal.size });
      await registry.collectGarbage();
      expect(blobsOnDisk(registry.root)).toEqual(ideal);
      expect([...blobsOnDisk(registry.root).values()].reduce((sum, size) => sum + size)).toBe(report.keep.bytes);
      await registry.restart({ readOnly: false });

      expect(await verify(registry)).toMatchObject({ complete: true, failures: [], counts: { tags: kept.length } });
      expect(await scan(registry.root, { hash: true })).toMatchObject({ findings: [] });
      const [skopeoProgram, ...first] = skopeo.command;
      for (const { repository, tag, image } of kept) {
        // skopeo cannot copy an index within an index, nor an index of layers.
        if (image.manifests.some(({ manifests }) => manifests.length > 0) || repository === "app/cache") continue;
        const from = `docker://${registry.host}/${repository}:${tag}`;
        execFileSync(
          skopeoProgram,
          [
            ...first,
            "--insecure-policy",
            "copy",
            "--quiet",
            "--all",
            "--src-tls-verify=false",
            from,
            `dir:${registry.root}/../${tag.slice(0, 20)}`,
          ],
          { stdio: "pipe" },
        );
      }

      await registry.shutDown();
      const again = await prune(registry.root, "--keep-newest", "2", "--apply", "--registry", registry.url);
      expect(again).toMatchObject({ remove: { tags: [], manifests: [], blobs: 0, bytes: 0 }, journal: null });
      await registry.restart();
      await push(registry, "app", multiPlatformImage("v6"), "v6", "latest");
      expect(await verify(registry)).toMatchObject({ complete: true, failures: [] });
    }, 120_000);

    test("what -m would have destroyed stays", async () => {
      await pushCorpus(registry);
      await registry.shutDown();
      await prune(registry.root, "--keep-newest", "2", "--apply", "--registry", registry.url);
      const eligible = (await registry.collectGarbage({ deleteUntagged: true, dryRun: true })).matchAll(
        /manifest eligible for deletion: .*?(sha256:[0-9a-f]{64})/g,
      );
      const wouldGo = [...eligible].map(([, digest]) => digest);
      await registry.collectGarbage();
      const onDisk = blobsOnDisk(registry.root);
      expect(wouldGo.every((digest) => onDisk.has(digest ?? ""))).toBe(true);
      // 3.0.0 no longer removes the children of a tagged index; 2.8.3 does.
      if (component === "registry") expect(wouldGo.length).toBeGreaterThan(5);
    }, 120_000);

    const mounts = spawnSync("unshare", ["--mount", "true"]).status === 0;
    (mounts ? test : test.skip)(
      mounts ? "refuses a read-only disk" : "a read-only disk: skipped: no right to mount",
      async () => {
        await pushCorpus(registry);
        await registry.shutDown();
        const script = 'mount --bind "$0" "$0" && mount --options remount,ro,bind "$0" && exec "$@"';
        const args = ["prune", registry.root, "--keep-newest", "1", "--apply", "--offline"];
        const { status, stderr } = spawnSync(
          "unshare",
          ["--mount", "sh", "-c", script, registry.root, process.execPath, WARDEN_PROGRAM, ...args],
          { encoding: "utf8" },
        );
        expect({ status, stderr }).toEqual({
          status: 2,
          stderr: expect.stringMatching(/^error: the store cannot be changed: mkdir .* \(EROFS\); mount it[^\n]*\n$/),
        });
        expect(readdirSync(registry.root)).toEqual(["docker"]);
      },
      60_000,
    );

    test("refuses while the registry runs, and changes nothing", async () => {
      await pushCorpus(registry);
      const paths = () => readdirSync(registry.root, { recursive: true, encoding: "utf8" }).sort();
      const before = paths();
      const refused = prune(registry.root, "--keep-newest", "1", "--apply", "--registry", registry.url);
      await expect(refused).rejects.toMatchObject({ code: 2, stdout: expect.stringContaining('"registry-running"') });
      expect(paths()).toEqual(before);
    }, 60_000);
  });
});

describeWith(["registry"], "killed", () => {
  test("by SIGKILL at random moments: every kept tag is served each time, and the last run ends at the ideal", async () => {
    const registry = await startRegistry();
    try {
      const kept = await pushCorpus(registry);
      await registry.restart({ readOnly: true });
      const args = ["prune", registry.root, "--keep-newest", "2", "--apply", "--offline"];
      const start = () => spawn(process.execPath, [WARDEN_PROGRAM, ...args], { stdio: "ignore" });
      const ended = (child: ReturnType<typeof spawn>) =>
        new Promise<NodeJS.Signals | null>((resolve) => child.once("exit", (_, signal) => resolve(signal)));
      const journals = join(registry.root, "registry-warden/journal");
      let killed = 0;
      for (let run = 0; run < 4; run++) {
        const child = start();
        const end = ended(child);
        // Wait until it has begun to remove, or has ended without removing anything.
        let over = false;
        void end.then(() => {
          over = true;
        });
        const before = count(journals);
        while (!over && count(journals) === before) await new Promise((resolve) => setImmediate(resolve));
        child.kill("SIGKILL");
        if ((await end) === "SIGKILL") killed++;
        expect(await verify(registry)).toMatchObject({ complete: true, failures: [] });
      }
      expect(killed).toBeGreaterThan(0);
      await prune(registry.root, "--keep-newest", "2", "--apply", "--offline");
      await registry.shutDown();
      await registry.collectGarbage();
      const ideal = new Set(kept.flatMap(({ image }) => contentOf(image)).map(({ descriptor }) => descriptor.digest));
      expect(new Set(blobsOnDisk(registry.root).keys())).toEqual(ideal);
    } finally {
      await registry.stop();
    }
  }, 180_000);
});

/** The number of journals. */
const count = (folder: string): number => {
  try {
    return readdirSync(folder).length;
  } catch {
    return 0;
  }
};
