import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runWarden } from "../cli/run-warden";
import { describeWith } from "./components";
import { artifact, type Content, image, multiPlatformImage, push, type SyntheticManifest } from "./images";
import { type LabRegistry, startRegistry } from "./registry";

const released = multiPlatformImage("released");
const older = image("older");

describe.each(["registry", "registry-v3"] as const)("%s", (component) => {
  describeWith([component], "what was deleted through the API", () => {
    let registry: LabRegistry;
    beforeEach(async () => {
      registry = await startRegistry({ component });
      await push(registry, "team/app", released, "1.0");
      await push(registry, "team/app", older, "latest");
      await push(registry, "team/app", image("newest"), "latest");
      await push(registry, "team/app", artifact("sbom", { subject: released }));
    }, 60_000);
    afterEach(() => registry.stop());

    const ask = (method: string, reference: string) =>
      fetch(`${registry.url}/v2/team/app/manifests/${reference}`, {
        method,
        headers: { accept: "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json" },
      });
    const remove = async ({ descriptor }: Content) => expect((await ask("DELETE", descriptor.digest)).status).toBe(202);
    const undelete = async (...args: string[]) => {
      const { code, out } = await runWarden("undelete", registry.url, "--storage", registry.root, "--json", ...args);
      return { code, ...JSON.parse(out) };
    };
    const gone = (of: SyntheticManifest) => ({ repository: "team/app", digest: of.descriptor.digest });

    test("nothing, where nothing was", async () => {
      expect(await undelete()).toMatchObject({ code: 0, images: [], applied: false });
    });

    test("is found, and comes back under the tag that the log tells, every part of it", async () => {
      const log = join(mkdtempSync(join(tmpdir(), "warden-log-")), "registry.log");
      writeFileSync(log, registry.output());
      try {
        await remove(released);
        const images = [
          { ...gone(released), createdAt: 0, deletedAt: expect.any(Number), tags: ["1.0"], restoredTags: ["1.0"] },
        ];
        expect(await undelete("--log", log)).toMatchObject({ code: 0, images, applied: false });
        expect((await ask("GET", "1.0")).status).toBe(404);
        expect(await undelete("--log", log, "--apply")).toMatchObject({
          code: 0,
          images,
          applied: true,
          problems: [],
          remaining: [],
        });
        expect((await ask("GET", "1.0")).headers.get("docker-content-digest")).toBe(released.descriptor.digest);
        expect(await undelete()).toMatchObject({ images: [] });
        const { code, out } = await runWarden("verify", `${registry.host}/team/app:1.0`, "--blobs", "hash");
        expect([code, out]).toEqual([0, expect.stringContaining("nothing broken")]);
      } finally {
        rmSync(join(log, ".."), { recursive: true });
      }
    }, 60_000);

    test("without a log the tag is the operator's to give, by a digest that is cut short", async () => {
      await remove(released);
      expect(await undelete()).toMatchObject({ images: [{ ...gone(released), tags: [], restoredTags: [] }] });
      const name = `team/app:1.0@${released.descriptor.digest.slice(0, 19)}`;
      expect(await undelete(name, "--apply")).toMatchObject({ code: 0, images: [{ restoredTags: ["1.0"] }] });
      expect((await ask("GET", "1.0")).status).toBe(200);
    }, 60_000);

    test("a tag that was pushed since stays where it points", async () => {
      await remove(older);
      const newest = image("newest").descriptor.digest;
      expect(await undelete("--apply")).toMatchObject({
        code: 0,
        images: [{ ...gone(older), tags: ["latest"], restoredTags: [] }],
      });
      expect((await ask("GET", older.descriptor.digest)).status).toBe(200);
      expect((await ask("GET", "latest")).headers.get("docker-content-digest")).toBe(newest);
    }, 60_000);

    test("what the garbage collection has taken cannot be put back, and nothing is promised", async () => {
      await remove(released);
      await registry.collectGarbage();
      const { images } = await undelete();
      // Its children have their own links, and are still served by digest.
      expect(images.map(({ digest }: { digest: string }) => digest)).not.toContain(released.descriptor.digest);
      expect(images.filter(({ deletedAt }: { deletedAt: number | null }) => deletedAt !== null)).toEqual([]);
      expect(await undelete("team/app:1.0")).toMatchObject({ code: 2, error: { code: "not-found" } });
    }, 60_000);
  });
});

describeWith(["registry-v3"], "a tag that a registry removes alone", () => {
  test("is put back", async () => {
    const registry = await startRegistry({ component: "registry-v3" });
    try {
      await push(registry, "app", released, "1.0");
      await push(registry, "app", older, "other");
      const answer = await fetch(`${registry.url}/v2/app/manifests/1.0`, { method: "DELETE" });
      expect(answer.status).toBe(202);
      const { out } = await runWarden("undelete", registry.url, "app", "--storage", registry.root, "--json");
      expect(JSON.parse(out)).toMatchObject({
        images: [{ digest: released.descriptor.digest, deletedAt: null, tags: [] }],
      });
    } finally {
      await registry.stop();
    }
  }, 60_000);
});
