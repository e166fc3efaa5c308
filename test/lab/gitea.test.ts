import { rmSync, truncateSync, writeFileSync } from "node:fs";
import { publishReport } from "../../registry/in-use/publish";
import { IN_USE_REPOSITORY } from "../../registry/in-use/report";
import { servedReport } from "../../registry/in-use/served-reports";
import { RegistryClient } from "../../registry/oci/client";
import { sha256 } from "../../registry/oci/digest";
import { RegistryWriter, WriteRefused } from "../../registry/oci/push";
import { verify as walk } from "../registry/oci/fake-registry";
import { describeWith } from "./components";
import { type LabGitea, makeOwner, startGitea } from "./gitea";
import { healFrom } from "./healing";
import { artifact, attestation, image, index, multiPlatformImage, push, type SyntheticManifest } from "./images";
import { type LabRegistry, startRegistry } from "./registry";

/** Forgejo shares its code. Packages belong to an owner: `lab/app`. */
describeWith(["gitea", "registry"], "a Gitea", () => {
  let gitea: LabGitea;
  let registry: LabRegistry;
  const multi = multiPlatformImage("multi");
  // It rejects an index within an index.
  const healthy: Record<string, SyntheticManifest> = {
    "lab/multi": multi,
    "lab/docker": multiPlatformImage("docker", { format: "docker" }),
    "lab/single": image("single"),
    "lab/artifact": artifact("artifact"),
    "lab/attested": index([image("attested"), attestation(image("attested"))]),
  };
  const credentials = () => ({ kind: "password", ...gitea.user }) as const;
  const verify = (options: Parameters<typeof walk>[1] = {}) =>
    walk(new URL(gitea.url), { credentialsGiven: true, ...options }, { credentials: credentials() });

  beforeAll(async () => {
    [gitea, registry] = await Promise.all([startGitea(), startRegistry()]);
    for (const [repository, made] of Object.entries(healthy)) {
      await push({ url: gitea.url, credentials: gitea.user }, repository, made, "v1");
    }
  }, 120_000);
  afterAll(async () => {
    await gitea?.stop();
    await registry?.stop();
  });

  test("is whole, whatever shape its content has, and the report says what was not proved", async () => {
    const report = await verify();
    expect(report).toMatchObject({ complete: true, failures: [], warnings: [] });
    expect(report.counts.repositories).toBe(Object.keys(healthy).length);
    expect(report.blobs).toEqual({ asked: "last-byte", used: "head", because: expect.stringMatching(/no Range/) });
    expect(await verify({ blobs: "hash" })).toMatchObject({ complete: true, failures: [] });
  });

  test("has every damage found", async () => {
    const damages: Record<string, (made: SyntheticManifest) => void> = {
      "lab/layer-lost": (made) => rmSync(gitea.data(made.blobs[1]?.descriptor.digest ?? "")),
      "lab/layer-cut": (made) => truncateSync(gitea.data(made.blobs[1]?.descriptor.digest ?? ""), 10),
      "lab/layer-altered": (made) => {
        const { digest, size } = made.blobs[1]?.descriptor ?? { digest: "", size: 0 };
        writeFileSync(gitea.data(digest), Buffer.alloc(size, "x"));
      },
      "lab/config-lost": (made) => rmSync(gitea.data(made.blobs[0]?.descriptor.digest ?? "")),
      "lab/manifest-lost": (made) => rmSync(gitea.data(made.descriptor.digest)),
    };
    for (const [repository, damage] of Object.entries(damages)) {
      const made = image(repository);
      await push({ url: gitea.url, credentials: gitea.user }, repository, made, "v1");
      await push(registry, repository, made, "v1");
      damage(made);
    }
    // Gitea answers from its database: only reading every byte shows the truth.
    const { failures } = await verify({ blobs: "hash" });
    expect([...new Set(failures.map(({ repository }) => repository))].sort()).toEqual(Object.keys(damages).sort());
  }, 120_000);

  test("takes the report of what runs, as soon as an owner has its name", async () => {
    const access = { url: new URL(gitea.url), credentials: credentials() };
    const [client, writer] = [new RegistryClient(access), new RegistryWriter(access)];
    const report = { cluster: "home", time: Date.now(), digests: [sha256("runs")] };
    try {
      await expect(publishReport(client, writer, report)).rejects.toBeInstanceOf(WriteRefused);
      await makeOwner(gitea, IN_USE_REPOSITORY.split("/")[0] ?? "");
      expect(await publishReport(client, writer, report)).toBe(true);
      expect(await publishReport(client, writer, report)).toBe(false);
      expect(await servedReport(client, "home", Date.now())).toEqual({ cluster: "home", report, problem: null });
      const only = { catalog: false, repositories: [IN_USE_REPOSITORY], blobs: "hash" } as const;
      expect(await verify(only)).toMatchObject({ complete: true, failures: [], counts: { tags: 1, blobs: 2 } });
    } finally {
      await Promise.all([client.close(), writer.close()]);
    }
  });

  test("heals a registry of another kind", async () => {
    const there = { url: gitea.url, credentials: gitea.user };
    const { lost, report } = await healFrom(there, registry, "lab/heal", multiPlatformImage("heal"));
    expect(report).toMatchObject({ actions: [{ action: "copy", digest: lost }], remaining: [], problems: [] });
  });
});
