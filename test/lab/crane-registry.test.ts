import { execFileSync } from "node:child_process";
import { rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { verify } from "../registry/oci/fake-registry";
import { describeWith } from "./components";
import { healFrom } from "./healing";
import { artifact, attestation, image, index, multiPlatformImage, push, type SyntheticManifest } from "./images";
import { accepts, freePort, type RunningProcess, startProcess, temporaryFolder } from "./process";
import { type LabRegistry, startRegistry } from "./registry";

/**
 * The registry of go-containerregistry, which people use in tests: manifests in memory, blobs in a folder, tags cannot
 * be deleted.
 */
describeWith(["crane", "registry"], "the registry of go-containerregistry", ({ crane }) => {
  let process: RunningProcess;
  let url: string;
  let distribution: LabRegistry;
  const folder = temporaryFolder("crane-registry");
  const blob = (digest: string): string => join(folder, ...digest.split(":"));

  beforeAll(async () => {
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    [process, distribution] = await Promise.all([
      startProcess([...crane.command, "registry", "serve", "--address", `127.0.0.1:${port}`, "--disk", folder], {
        ready: () => accepts(port),
      }),
      startRegistry(),
    ]);
  });
  afterAll(async () => {
    await process?.stop();
    await distribution?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const healthy: Record<string, SyntheticManifest> = {
    "team/multi": multiPlatformImage("multi"),
    "team/docker": multiPlatformImage("docker", { format: "docker" }),
    "team/nested": index([index([image("leaf")]), image("beside")]),
    "team/single": image("single"),
    "team/artifact": artifact("artifact"),
    "team/attested": index([image("attested"), attestation(image("attested"))]),
  };

  test("is whole, whatever shape its content has", async () => {
    for (const [repository, made] of Object.entries(healthy)) await push({ url }, repository, made, "v1");
    for (const blobs of ["head", "last-byte", "hash"] as const) {
      const report = await verify(new URL(url), { blobs });
      expect(report).toMatchObject({ complete: true, failures: [], warnings: [] });
      expect(report.counts.repositories).toBe(Object.keys(healthy).length);
    }
  });

  test("has every damage found", async () => {
    const layer = (made: SyntheticManifest): string => made.blobs[1]?.descriptor.digest ?? "";
    const damages: Record<string, (made: SyntheticManifest) => void> = {
      "broken/layer-lost": (made) => rmSync(blob(layer(made))),
      "broken/layer-cut": (made) => truncateSync(blob(layer(made)), 10),
      "broken/layer-altered": (made) =>
        writeFileSync(blob(layer(made)), Buffer.alloc(made.blobs[1]?.descriptor.size ?? 0)),
      "broken/config-lost": (made) => rmSync(blob(made.blobs[0]?.descriptor.digest ?? "")),
    };
    for (const [repository, damage] of Object.entries(damages)) {
      const made = image(repository);
      await push({ url }, repository, made, "v1");
      damage(made);
    }
    const orphaned = multiPlatformImage("orphaned");
    await push({ url }, "broken/child-lost", orphaned, "v1");
    execFileSync(crane.command[0], [
      "delete",
      `${url.replace("http://", "")}/broken/child-lost@${orphaned.manifests[0]?.descriptor.digest}`,
    ]);
    const { failures } = await verify(new URL(url), { blobs: "hash" });
    expect([...new Set(failures.map(({ repository }) => repository))].sort()).toEqual(
      [...Object.keys(damages), "broken/child-lost"].sort(),
    );
  });

  test.each([
    ["it heals a distribution", () => [distribution.url, url]],
    ["a distribution heals it", () => [url, distribution.url]],
  ])("%s", async (name, sides) => {
    const [broken = "", whole = ""] = sides();
    const repository = `heal/${name.replaceAll(" ", "-")}`;
    const made = multiPlatformImage(name);
    const { lost, report } = await healFrom({ url: whole }, { url: broken }, repository, made);
    expect(report).toMatchObject({ actions: [{ action: "copy", digest: lost }], remaining: [], problems: [] });
    expect((await verify(new URL(broken), { repositories: [repository], catalog: false })).failures).toEqual([]);
  });
});
