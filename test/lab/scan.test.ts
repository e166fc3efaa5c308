import { execFile } from "node:child_process";
import { rmSync } from "node:fs";
import { promisify } from "node:util";
import { fetch } from "undici";
import { MANIFEST_ACCEPT } from "../../registry/oci/manifest";
import type { Report, WalkOptions } from "../../registry/oci/walk";
import { type ScanReport, scan } from "../../registry/storage/scan";
import { verify as walkUrl } from "../registry/oci/fake-registry";
import { describeWith } from "./components";
import { artifact, attestation, fallbackTagOf, image, index, layer, multiPlatformImage, push } from "./images";
import { waitFor } from "./process";
import { type LabRegistry, startRegistry } from "./registry";
import { DAMAGES, DamagedRepository, victimOf } from "./storage-damage";
import { WARDEN_PROGRAM } from "./warden";

/** Findings of a scan only: they affect nothing that is served from a tag. */
const ONLY_ON_DISK = ["orphan-layer-link", "stale-upload"];

const verify = (registry: LabRegistry, options?: Partial<WalkOptions>): Promise<Report> =>
  walkUrl(new URL(registry.url), options);

describe.each([
  // The versions build their catalogs from different folders, so the repository that a walk cannot find differs too.
  { component: "registry", hidden: "layers-gone" },
  { component: "registry-v3", hidden: "manifests-gone" },
] as const)("on disk and over HTTP: $component", ({ component, hidden }) => {
  describeWith([component], "each kind of damage", () => {
    let registry: LabRegistry;
    let failures: Report["failures"];
    let findings: Awaited<ReturnType<typeof scan>>["findings"];

    beforeAll(async () => {
      registry = await startRegistry({ component });
      for (const { name } of DAMAGES) await push(registry, name, victimOf(name).both, "v1");
      await push(registry, "healthy", victimOf("healthy").both, "v1");
      await push(registry, "layers-gone", victimOf("layers-gone").both, "v1");
      for (const { name, make } of DAMAGES) make(new DamagedRepository(registry.root, name));
      rmSync(new DamagedRepository(registry.root, "layers-gone").repository.layers, { recursive: true });
      await registry.restart();
      failures = (await verify(registry)).failures;
      findings = (await scan(registry.root, { hash: true })).findings;
    }, 60_000);
    afterAll(() => registry.stop());

    test.each(DAMAGES)("$name", ({ name, scan, verify, repairable }) => {
      const victim = victimOf(name);
      const found = findings.filter(({ repository }) => repository === name);
      expect(found.map(({ kind, digest }) => [kind, digest])).toEqual(
        scan.map(([kind, of]) => [kind, of === null ? null : of(victim).descriptor.digest]),
      );
      expect(found.every((finding) => finding.repairable === repairable)).toBe(true);
      const failed = failures.filter(({ repository }) => repository === name);
      // A listed repository without tags is a warning of a walk: it may never have had any.
      const visible = verify !== null && name !== hidden && found[0]?.kind !== "hidden-repository";
      expect(failed.map(({ reason }) => reason)).toEqual(visible ? [verify] : []);
      // A walk does not know the target of a broken tag.
      if (failed[0]?.digest) expect(failed[0].digest).toBe(found[0]?.digest);
      if (found[0]?.kind !== "hidden-repository") expect(found[0]?.tags).toEqual(["v1"]);
    });

    test("a repository without _layers is found whole", () => {
      const reasons = failures.filter(({ repository }) => repository === "layers-gone").map(({ reason }) => reason);
      expect(reasons).toEqual(hidden === "layers-gone" ? [] : Array(6).fill("missing"));
      expect(findings.filter(({ repository }) => repository === "layers-gone").map(({ kind }) => kind)).toEqual([
        ...Array(2).fill("missing-config"),
        ...Array(4).fill("missing-layer"),
        "hidden-repository",
      ]);
    });

    test("a healthy repository beside them is never reported", () => {
      expect([...failures, ...findings].filter(({ repository }) => repository === "healthy")).toEqual([]);
    });
  });
});

describeWith(["registry"], "the incident", () => {
  test("garbage-collect -m over every kind of image: disk and HTTP agree on what is lost", async () => {
    const registry = await startRegistry();
    try {
      const signed = image("signed");
      const attested = image("attested");
      await push(registry, "app", image("single"), "single");
      await push(registry, "app", multiPlatformImage("old"), "latest");
      await push(registry, "app", multiPlatformImage("new"), "latest");
      await push(registry, "app", multiPlatformImage("list", { format: "docker" }), "list");
      await push(registry, "app", index([multiPlatformImage("inner"), image("outer")]), "nested");
      await push(registry, "app", index([attested, attestation(attested)]), "attested");
      await push(registry, "app", signed, "signed");
      await push(registry, "app", index([artifact("signature", { subject: signed })]), fallbackTagOf(signed));
      expect((await scan(registry.root)).findings).toEqual([]);
      await registry.collectGarbage({ deleteUntagged: true });
      await registry.restart();

      const { failures } = await verify(registry);
      const { findings } = await scan(registry.root);
      const onDisk = findings.filter(({ kind }) => !ONLY_ON_DISK.includes(kind));
      expect(onDisk.length).toBeGreaterThan(5);
      expect(new Set(onDisk.map(({ kind }) => kind))).toEqual(new Set(["orphan-index-child"]));
      expect(onDisk.map(({ digest, tags, platform, parent }) => [digest, tags, platform, parent])).toEqual(
        failures.map(({ digest, tags, platform, path }) => [digest, tags, platform, path.at(-2)]),
      );
      // Their manifests still exist, but their layers do not.
      expect(onDisk.every(({ repairable, linkPresent }) => repairable && !linkPresent)).toBe(true);
    } finally {
      await registry.stop();
    }
  }, 30_000);
});

/** Scans in a separate process, as an operator does, so that pushes continue meanwhile. */
const scanBeside = async (registry: LabRegistry): Promise<ScanReport> => {
  const args = [WARDEN_PROGRAM, "scan", registry.root, "--json"];
  // With a finding the exit code is 1, but the report is complete.
  const { stdout } = await promisify(execFile)(process.execPath, args).catch((error: { stdout: string }) => error);
  return JSON.parse(stdout);
};

describe.each(["registry", "registry-v3"] as const)("%s", (component) => {
  describeWith([component], "a registry that is running", () => {
    test("pushes and deletions in flight are no finding", async () => {
      const registry = await startRegistry({ component });
      try {
        let scans = 0;
        let pushes = 0;
        const pushers = Array.from({ length: 4 }, async (_, pusher) => {
          // New repositories all the time, and one that all push to.
          for (let n = 0; scans < 5; n++) {
            const layers = [layer(`${pusher}/${n}`, { size: 100_000 }), layer(`shared/${n % 3}`)];
            const pushed = index([index([image(`${pusher}/${n}`, { layers })]), image(`plain ${pusher}/${n}`)]);
            const name = n % 3 === 0 ? "together" : `app${pusher}/${n}`;
            await push(registry, name, pushed, "latest", `v${n % 5}`);
            pushes++;
            // Not in the shared repository: there the registry sometimes fails to tag.
            if (n % 6 !== 4) continue;
            await fetch(`${registry.url}/v2/${name}/manifests/${pushed.descriptor.digest}`, { method: "DELETE" });
          }
        });
        for (; scans < 5; scans++) expect((await scanBeside(registry)).findings).toEqual([]);
        await Promise.all(pushers);
        expect(pushes).toBeGreaterThan(10);
        expect((await scan(registry.root)).findings).toEqual([]);
      } finally {
        await registry.stop();
      }
    }, 120_000);
  });
});

describeWith(["registry"], "a pull-through cache", () => {
  test("that holds part of 156 indexes has no finding", async () => {
    const upstream = await startRegistry();
    const cache = await startRegistry({ proxy: { url: upstream.url } });
    const pull = async (reference: string | undefined) => {
      const answer = await fetch(`${cache.url}/v2/app/manifests/${reference}`, {
        headers: { accept: MANIFEST_ACCEPT },
      });
      expect(answer.status).toBe(200);
      await answer.arrayBuffer();
    };
    try {
      for (let n = 0; n < 156; n++) {
        const pushed = multiPlatformImage(`${n}`, {
          platforms: ["amd64", "arm64", "s390x"],
          layers: [layer("shared")],
        });
        await push(upstream, "app", pushed, `v${n}`);
        await pull(`v${n}`);
        await pull(pushed.manifests[1]?.descriptor.digest);
      }
      // A cache stores an object only after the client has received it.
      await waitFor("the cache to store it all", async () => (await scan(cache.root)).counts.revisions === 312);
      const { counts, findings } = await scan(cache.root, { role: "proxy" });
      expect(counts).toMatchObject({ indexes: 156, tags: 156 });
      expect(findings).toEqual([]);
      expect((await scan(cache.root, { role: "private" })).findings.length).toBeGreaterThanOrEqual(312);
    } finally {
      await cache.stop();
      await upstream.stop();
    }
  }, 120_000);
});
