import { MISSING } from "../../../registry/in-use/protection";
import { IN_USE_REPOSITORY } from "../../../registry/in-use/report";
import { servedReport } from "../../../registry/in-use/served-reports";
import { RegistryClient } from "../../../registry/oci/client";
import { sha256 } from "../../../registry/oci/digest";
import { image } from "../../lab/images";
import type { FakeRegistry } from "../oci/fake-registry";
import { startFakeRegistry } from "../oci/registry-of-test";
import { storedReport } from "./stored-report";

const NOW = Date.UTC(2026, 10, 28);
const REPORT = { cluster: "home", time: NOW - 1000, digests: [sha256("a"), sha256("b")].sort() };

let registry: FakeRegistry;
let client: RegistryClient;
beforeEach(async () => {
  registry = await startFakeRegistry();
  client = new RegistryClient({ url: registry.url });
});
afterEach(async () => {
  await client.close();
});

const stored = storedReport(REPORT);
const [, layer] = stored.blobs;
const read = () => servedReport(client, "home", NOW);

test("a report is read by two requests", async () => {
  registry.push(IN_USE_REPOSITORY, stored, "home");
  expect(await read()).toEqual({ cluster: "home", report: REPORT, problem: null });
  expect(registry.seen).toHaveLength(2);
});

test.each<[what: string, put: () => void, problem: string]>([
  ["nothing", () => {}, MISSING],
  [
    "an image",
    () => registry.push(IN_USE_REPOSITORY, image("app"), "home"),
    "is not of the artifact type application/vnd.registry-warden.in-use.v1+json",
  ],
  [
    "the report of another cluster",
    () => registry.push(IN_USE_REPOSITORY, storedReport({ ...REPORT, cluster: "office" }), "home"),
    "is of another cluster",
  ],
  [
    "a report without its layer",
    () => {
      registry.push(IN_USE_REPOSITORY, stored, "home");
      registry.repository(IN_USE_REPOSITORY).blobs.clear();
    },
    "cannot be read: its layer answers 404",
  ],
  [
    "a report whose layer rots",
    () => {
      registry.push(IN_USE_REPOSITORY, stored, "home");
      registry.repository(IN_USE_REPOSITORY).blobs.set(layer?.descriptor.digest ?? "", Buffer.from("rots"));
    },
    "cannot be read: its layer does not hash to its name",
  ],
])("under the tag of a cluster stands %s", async (_, put, problem) => {
  put();
  expect(await read()).toEqual({ cluster: "home", report: null, problem });
});
