import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { Agent, fetch } from "undici";
import { createCertificateAuthority } from "./certificates";
import { describeWith } from "./components";
import { artifact, attestation, fallbackTagOf, image, index, MEDIA_TYPES, multiPlatformImage, push } from "./images";
import { type LabRegistry, type RegistryOptions, startRegistry } from "./registry";

const manifestStatus = async (url: string, repository: string, reference: string, mediaType: string) =>
  (await fetch(`${url}/v2/${repository}/manifests/${reference}`, { headers: { accept: mediaType } })).status;

const withRegistry = async (options: RegistryOptions, body: (registry: LabRegistry) => Promise<void>) => {
  const registry = await startRegistry(options);
  try {
    await body(registry);
  } finally {
    await registry.stop();
  }
};

/** One tag for each kind of content that the lab can make. */
const pushEveryKind = async (registry: LabRegistry): Promise<void> => {
  const signed = image("signed");
  const amd64 = image("attested");
  const signature = artifact("signature", { subject: signed });
  await push(registry, "app", image("single"), "single");
  await push(registry, "app", image("docker", { format: "docker" }), "docker");
  await push(registry, "app", multiPlatformImage("multi"), "multi", "latest");
  await push(registry, "app", multiPlatformImage("list", { format: "docker" }), "list");
  await push(registry, "app", index([multiPlatformImage("inner"), image("outer")]), "nested");
  await push(registry, "app", index([amd64, attestation(amd64)]), "attested");
  await push(registry, "app", signed, "signed");
  await push(registry, "app", index([signature]), fallbackTagOf(signed));
};

describeWith(["registry", "crane", "skopeo"], "synthetic images on a real registry", ({ crane, skopeo }) => {
  test("are intact for crane and can be copied by skopeo", () =>
    withRegistry({}, async (registry) => {
      await pushEveryKind(registry);
      const [craneProgram, ...craneFirst] = crane.command;
      const [skopeoProgram, ...skopeoFirst] = skopeo.command;
      const { tags } = (await (await fetch(`${registry.url}/v2/app/tags/list`)).json()) as { tags: string[] };
      expect(tags).toHaveLength(9);
      // crane can only validate images, not the signature and the attestation.
      for (const tag of ["single", "docker", "multi", "latest", "list", "nested", "signed"]) {
        execFileSync(craneProgram, [...craneFirst, "validate", "--remote", `${registry.host}/app:${tag}`], {
          stdio: "pipe",
        });
      }
      // skopeo cannot copy an index within an index.
      for (const tag of tags.filter((name) => name !== "nested")) {
        const from = `docker://${registry.host}/app:${tag}`;
        const to = `dir:${registry.root}/../copy-${tag}`;
        execFileSync(
          skopeoProgram,
          [...skopeoFirst, "--insecure-policy", "copy", "--quiet", "--all", "--src-tls-verify=false", from, to],
          { stdio: "pipe" },
        );
      }
    }));
});

describeWith(["registry", "registry-v3"], "startRegistry", () => {
  test.each([
    ["registry", 404],
    ["registry-v3", 200],
  ] as const)("garbage-collect -m of %s leaves children of a tagged index at %i", (component, status) =>
    withRegistry({ component }, async (registry) => {
      const multi = multiPlatformImage("multi");
      await push(registry, "app", multi, "latest");
      expect(await registry.collectGarbage({ deleteUntagged: true, dryRun: true })).toContain("blobs");
      await registry.collectGarbage({ deleteUntagged: true });
      await registry.restart();
      const [child] = multi.manifests;
      expect(await manifestStatus(registry.url, "app", "latest", MEDIA_TYPES.oci.index)).toBe(200);
      expect(await manifestStatus(registry.url, "app", child?.descriptor.digest ?? "", MEDIA_TYPES.oci.manifest)).toBe(
        status,
      );
    }),
  );

  test.each(["registry", "registry-v3"] as const)("%s: down, up and read-only on the same port", (component) =>
    withRegistry({ component }, async (registry) => {
      await push(registry, "app", image("a"), "a");
      await registry.shutDown();
      await expect(fetch(registry.url)).rejects.toThrow("fetch failed");
      await registry.restart({ readOnly: true });
      expect(await manifestStatus(registry.url, "app", "a", MEDIA_TYPES.oci.manifest)).toBe(200);
      await expect(push(registry, "app", image("b"), "b")).rejects.toThrow("405, expected 202");
    }),
  );

  test("pages its catalog, and caches another registry as its proxy", () =>
    withRegistry({ maxEntries: 2 }, async (upstream) => {
      for (const name of ["a", "b", "c"]) await push(upstream, name, image(name), "latest");
      const page = await fetch(`${upstream.url}/v2/_catalog`);
      expect(await page.json()).toEqual({ repositories: ["a", "b"] });
      expect(page.headers.get("link")).toContain("last=b");
      await withRegistry({ proxy: { url: upstream.url } }, async (proxy) => {
        expect(await manifestStatus(proxy.url, "c", "latest", MEDIA_TYPES.oci.manifest)).toBe(200);
        await expect(push(proxy, "a", image("a"), "latest")).rejects.toThrow("405");
      });
    }));

  test("asks for the password over TLS of a private authority", async () => {
    const authority = createCertificateAuthority();
    const dispatcher = new Agent({ connect: { ca: readFileSync(authority.certificate) } });
    const credentials = { username: "lab", password: "p'a\"s $s" };
    try {
      const tls = authority.issue(["127.0.0.1", "registry.example"]);
      await withRegistry({ tls, htpasswd: { ...credentials, cost: 4 } }, async ({ url }) => {
        expect((await fetch(`${url}/v2/`, { dispatcher })).status).toBe(401);
        await expect(push({ url, credentials }, "app", image("a"), "a")).rejects.toThrow("fetch failed");
        await push({ url, credentials, dispatcher }, "app", image("a"), "a");
      });
    } finally {
      await dispatcher.close();
      authority.remove();
    }
  });
});
