import { RegistryClient } from "../../../registry/oci/client";
import { sha256 } from "../../../registry/oci/digest";
import { workloadsReport, workloadsTable } from "../../../registry/workloads/report";
import { countStates, digestsOf, unverified, verifyImages } from "../../../registry/workloads/verify";
import type { UsedImage } from "../../../registry/workloads/workloads";
import { digestOf, image, multiPlatformImage, type SyntheticManifest } from "../../lab/images";
import { type FakeRegistry, json } from "../oci/fake-registry";
import { startFakeRegistry } from "../oci/registry-of-test";

jest.mock("node:timers/promises", () => ({ setTimeout: () => Promise.resolve() }));

let registry: FakeRegistry;
let client: RegistryClient;
beforeEach(async () => {
  registry = await startFakeRegistry();
  client = new RegistryClient({ url: registry.url });
});
afterEach(async () => {
  await client.close();
});

const [old, fresh] = [image("old"), multiPlatformImage("fresh")];
const used = (tag: string | null, more: Partial<UsedImage> = {}): UsedImage => ({
  repository: "app",
  tag,
  digest: null,
  running: null,
  imageId: null,
  workloads: ["default/web"],
  ...more,
});
const verify = (...images: UsedImage[]) =>
  verifyImages(client, images, { role: "private", blobs: "head", credentialsGiven: false });

test("what runs is verified by its digest, also where its tag has moved, and by what it asks for", async () => {
  registry.push("app", old, "v1");
  registry.push("app", fresh, "v1", "v2");
  const [amd64] = fresh.manifests as [SyntheticManifest];
  const images = await verify(
    used("v1", { running: digestOf(old) }),
    used("v1", { running: digestOf(amd64) }),
    used("v2", { running: digestOf(fresh) }),
    used(null, { digest: digestOf(old) }),
  );
  expect(images.map(({ state, moved }) => [state, moved])).toEqual([
    ["intact", true],
    ["intact", false],
    ["intact", false],
    ["intact", false],
  ]);
  expect(digestsOf(images)).toEqual([digestOf(old), digestOf(fresh), digestOf(amd64)].sort());
  expect(registry.asked(/_catalog|tags\/list/)).toEqual([]);
});

test("what is gone, what is broken and what nobody can tell are told apart", async () => {
  registry.push("app", old, "v1", "lost-layer");
  registry.push("app", fresh, "moved");
  registry.push("hidden", old, "v1");
  registry.push("app", image("broken"), "broken");
  registry.repository("app").blobs.delete(image("broken").blobs[1]?.descriptor.digest ?? "");
  registry.push("app", image("slow"), "slow");
  registry.on(new RegExp(`app/blobs/${image("slow").blobs[1]?.descriptor.digest}`), (_, response) =>
    json(response, 503, {}),
  );
  registry.on(/\/hidden\//, (_, response) => json(response, 403, {}));
  const gone = sha256("gone");
  const images = [
    used("v1", { running: digestOf(old) }),
    used("gone", { running: digestOf(old) }),
    used("moved", { running: gone }),
    used(null, { digest: gone }),
    used("broken"),
    used("slow"),
    used("v1", { repository: "hidden" }),
    used("v1", { repository: "never-pushed" }),
  ];
  const found = await verify(...images);
  expect(found.map(({ state }) => state)).toEqual([
    "intact",
    "missing",
    "missing",
    "missing",
    "broken",
    "unknown",
    "unknown",
    "missing",
  ]);
  expect(countStates(found)).toEqual({ intact: 1, broken: 1, missing: 4, unknown: 2 });
  const report = workloadsReport(registry.url.origin, [registry.host], { containers: 12, unreadable: 1 }, found);
  expect(report.complete).toBe(false);
  const lines = workloadsTable(report, 5);
  expect(lines.slice(0, 3)).toEqual([
    `registry  ${registry.url.origin}`,
    "in use    8 images of 12 containers: 1 intact, 1 broken, 4 missing, 2 unknown",
    "warning   1 pod or CronJob could not be read",
  ]);
  expect(lines[5]).toMatch(/^missing +app:gone +sha256:[0-9a-f]{12} +default\/web$/);
  expect(lines.at(-1)).toBe("and 3 more");
});

test("nothing is asked where nothing is in use, and nothing is known of what was not verified", async () => {
  expect(await verify()).toEqual([]);
  expect(registry.seen).toEqual([]);
  const report = workloadsReport(registry.url.origin, ["registry.example.org"], { containers: 3, unreadable: 0 }, []);
  expect(workloadsTable(report).at(-1)).toBe("note      no container has an image of registry.example.org");
  expect(unverified([used("v1")])).toMatchObject([{ state: "unknown", now: null }]);
});

test("a walk that is cut short says nothing of what it did not reach", async () => {
  registry.push("app", old, "v1");
  registry.on(/\/app\/manifests/, () => {});
  const cut = new RegistryClient({ url: registry.url, signal: AbortSignal.timeout(200) });
  const images = await verifyImages(cut, [used("v1")], { role: "private", blobs: "none", credentialsGiven: false });
  await cut.close();
  expect(images).toMatchObject([{ state: "unknown" }]);
});
