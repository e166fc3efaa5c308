import { sha256 } from "../../../registry/oci/digest";
import { digestOf, image, index, multiPlatformImage } from "../../lab/images";
import { type FakeRegistry, json, verify } from "./fake-registry";
import { startFakeRegistry } from "./registry-of-test";

jest.mock("node:timers/promises", () => ({ setTimeout: () => Promise.resolve() }));

let registry: FakeRegistry;
const made = multiPlatformImage("app", { platforms: ["amd64", "arm64", "riscv64"] });
const [amd64, arm64] = made.manifests;
beforeEach(async () => {
  registry = await startFakeRegistry();
  registry.push("app", made, "v1", "latest").push("other", image("other"), "v1");
});

const images = async () => (await verify(registry.url)).images;
const platforms = (...broken: string[]) =>
  ["linux/amd64", "linux/arm64", "linux/riscv64"].map((platform) => ({ platform, whole: !broken.includes(platform) }));

test("all whole", async () => {
  expect(await images()).toEqual({ whole: 2, broken: [] });
});

test("a platform whose manifest is missing, and one whose layer is", async () => {
  const { manifests, blobs } = registry.repository("app");
  manifests.delete(amd64?.descriptor.digest ?? "");
  blobs.delete(arm64?.blobs.at(-1)?.descriptor.digest ?? "");
  expect(await images()).toEqual({
    whole: 1,
    broken: [
      {
        repository: "app",
        tags: ["latest", "v1"],
        digest: digestOf(made),
        platforms: platforms("linux/amd64", "linux/arm64"),
      },
    ],
  });
});

test("an image without an index, an index that is broken itself, and a tag that leads nowhere", async () => {
  registry.repository("other").blobs.delete(image("other").blobs[0]?.descriptor.digest ?? "");
  registry.on(/app\/manifests\/(v1|latest|sha)/, (_request, response) => {
    json(response, 200, { schemaVersion: 2 }, { "docker-content-digest": sha256("index") });
  });
  registry.push("app", made, "lost");
  registry.on("/v2/app/manifests/lost", (_request, response) => json(response, 404, {}));
  const { whole, broken } = await images();
  expect(whole).toBe(0);
  expect(broken).toEqual([
    { repository: "app", tags: ["latest", "v1"], digest: sha256("index"), platforms: [] },
    { repository: "app", tags: ["lost"], digest: null, platforms: [] },
    {
      repository: "other",
      tags: ["v1"],
      digest: digestOf(image("other")),
      platforms: [{ platform: null, whole: false }],
    },
  ]);
});

test("an index within an index, whose platforms are told as the outer one's", async () => {
  registry.push("nested", index([made, image("beside")]), "v1");
  registry.repository("nested").manifests.delete(amd64?.descriptor.digest ?? "");
  const { broken } = await images();
  expect(broken).toMatchObject([{ repository: "nested", platforms: platforms("linux/amd64") }]);
});

test("what is missing on purpose keeps no image from being whole", async () => {
  registry.repository("app").manifests.delete(amd64?.descriptor.digest ?? "");
  expect((await verify(registry.url, { platforms: ["linux/arm64"] })).images).toEqual({ whole: 2, broken: [] });
});
