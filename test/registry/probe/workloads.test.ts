import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { IN_USE_REPOSITORY } from "../../../registry/in-use/report";
import { servedReport } from "../../../registry/in-use/served-reports";
import { RegistryClient } from "../../../registry/oci/client";
import { askCluster, ClusterSilent } from "../../../registry/probe/cluster";
import { type ProbeSettings, probeSettings } from "../../../registry/probe/environment";
import { probeWorkloads } from "../../../registry/probe/workloads";
import { digestOf, image, type SyntheticManifest } from "../../lab/images";
import { type FakeRegistry, json } from "../oci/fake-registry";
import { startFakeRegistry } from "../oci/registry-of-test";

jest.mock("node:timers/promises", () => ({ setTimeout: () => Promise.resolve() }));

const folder = mkdtempSync(join(tmpdir(), "service-account-"));
writeFileSync(join(folder, "token"), "a-token\n");
writeFileSync(join(folder, "ca.crt"), "");
afterAll(() => rmSync(folder, { recursive: true }));

let registry: FakeRegistry;
/** A fake API server; over HTTP, because the lab tests the certificate. */
let api: FakeRegistry;
let pods: object[];
let cronJobs: object[];
let logged: string[];
beforeEach(async () => {
  registry = await startFakeRegistry();
  registry.takesPushes = true;
  api = await startFakeRegistry();
  [pods, cronJobs, logged] = [[], [], []];
  api.on(/^\/api\/v1\/pods\?/, (_, response) => json(response, 200, { kind: "PodList", items: pods }));
  api.on(/^\/apis\/batch\/v1\/cronjobs\?/, (_, response) =>
    json(response, 200, { kind: "CronJobList", items: cronJobs }),
  );
});
afterEach(async () => {
  await api.stop();
});

const pod = (name: string, tag: string, running?: SyntheticManifest) => ({
  metadata: { namespace: "default", name },
  spec: { containers: [{ name: "app", image: `${registry.host}/${tag}` }] },
  status: {
    containerStatuses: [{ name: "app", imageID: running && `${registry.host}/app@${digestOf(running)}` }],
  },
});

const settings = (changes: NodeJS.ProcessEnv = {}): ProbeSettings => {
  const read = probeSettings({
    REGISTRY: registry.url.origin,
    PUSHGATEWAY: "http://127.0.0.1:9",
    SERVICE_ACCOUNT: folder,
    KUBERNETES_SERVICE_HOST: "127.0.0.1",
    IN_USE_TAG: "home",
    PUSH_USER: "pusher",
    PUSH_PASS: "hunter2",
    ...changes,
  });
  return { ...read, workloads: read.workloads && { ...read.workloads, api: api.url } };
};
const run = (changes: NodeJS.ProcessEnv = {}) =>
  probeWorkloads({ settings: settings(changes), ca: undefined, signal: undefined }, (line) => logged.push(line));
const stored = async () => {
  const client = new RegistryClient({ url: registry.url });
  const { report } = await servedReport(client, "home", Date.now());
  await client.close();
  return report;
};
const [old, fresh] = [image("old"), image("fresh")];

test("what runs is verified and reported: by its digest, and by what the next start would pull", async () => {
  registry.push("app", old, "v1").push("app", fresh, "v1");
  pods = [pod("web", "app:v1", old), pod("gone", "app:v0", old)];
  cronJobs = [
    {
      metadata: { namespace: "default", name: "backup" },
      spec: { jobTemplate: { spec: { template: { spec: { containers: [{ image: `${registry.host}/app:v1` }] } } } } },
    },
  ];
  expect(await run()).toMatchObject({ images: { intact: 2, broken: 0, missing: 1, unknown: 0 }, known: true });
  expect(await stored()).toMatchObject({ cluster: "home", digests: [digestOf(old), digestOf(fresh)].sort() });
  expect(logged.join("\n")).toMatch(/^missing +app:v0 +sha256:[0-9a-f]{12} +default\/gone$/m);
  expect(logged.join("\n")).not.toMatch(/^intact/m);
  expect(api.seen.map(({ headers }) => headers.authorization)).toEqual(["Bearer a-token", "Bearer a-token"]);
});

test("a report that says the same is not pushed again before it is half an hour old", async () => {
  registry.push("app", old, "v1");
  pods = [pod("web", "app:v1", old)];
  const now = jest.spyOn(Date, "now");
  const pushesAt = async (minute: number) => {
    now.mockReturnValue(Date.UTC(2026, 10, 28) + minute * 60_000);
    const before = registry.repository(IN_USE_REPOSITORY).manifests.size;
    expect(await run()).toMatchObject({ known: true });
    return registry.repository(IN_USE_REPOSITORY).manifests.size - before;
  };
  try {
    expect([await pushesAt(0), await pushesAt(15), await pushesAt(31)]).toEqual([1, 0, 1]);
    pods = [];
    expect(await pushesAt(32)).toBe(1);
  } finally {
    now.mockRestore();
  }
});

test.each([
  ["an account that may not push", (each: FakeRegistry) => each.on(/uploads/, (_, res) => json(res, 403, {})), /403/],
  ["a registry in its maintenance", (each: FakeRegistry) => each.on(/uploads/, (_, res) => json(res, 405, {})), /405/],
])("%s: what runs is verified, and the report is told to be missing", async (_, bend, status) => {
  registry.push("app", old, "v1");
  pods = [pod("web", "app:v1", old)];
  bend(registry);
  expect(await run()).toMatchObject({ images: { intact: 1 }, known: false });
  expect(logged.at(-1)).toMatch(/^workloads: the report was not taken: /);
  expect(logged.at(-1)).toMatch(status);
  expect(logged.join()).not.toMatch(/hunter2|a-token/);
});

test("without an account to push with nothing is pushed, and nothing is missing", async () => {
  registry.push("app", old, "v1");
  pods = [pod("web", "app:v1", old)];
  expect(await run({ PUSH_USER: "", PUSH_PASS: "" })).toMatchObject({ known: true });
  expect(registry.seen.filter(({ method }) => method !== "GET" && method !== "HEAD")).toEqual([]);
});

describe("what is not known of all is not reported", () => {
  test.each<[what: string, bend: () => void]>([
    ["a pod that cannot be read", () => pods.push({ kind: "Pod" })],
    ["an image that the registry does not tell of", () => registry.on(/app\/blobs/, (_, res) => json(res, 503, {}))],
    ["a registry that is down", () => registry.on(/./, (_, res) => res.destroy())],
  ])("%s", async (_, bend) => {
    registry.push("app", old, "v1");
    pods = [pod("web", "app:v1", old)];
    bend();
    expect(await run()).toMatchObject({ known: false });
    expect(registry.seen.filter(({ method }) => method === "PUT")).toEqual([]);
  });

  test.each([
    [403, /refuses the list of pods \(403\): the ClusterRole of the probe is missing, or not bound; what runs/],
    [500, /answers the list of pods with 500/],
  ])("an API server that answers %d: no number of images", async (status, why) => {
    api.on(/pods/, (_, response) => json(response, status, {}));
    expect(await run()).toMatchObject({ images: null, known: false });
    expect(logged).toEqual([expect.stringMatching(why)]);
  });
});

describe("the cluster", () => {
  const ask = () => askCluster({ api: api.url, serviceAccount: folder }, undefined);

  test("is read page by page, and from the beginning where the place is forgotten", async () => {
    let forgotten = false;
    api.on(/pods.*continue=/, (request, response) => {
      const at = new URL(request.url ?? "", api.url).searchParams.get("continue") ?? "";
      if (at === "page 2" && !forgotten) {
        forgotten = true;
        return json(response, 410, {});
      }
      const next = at === "page 1" ? { continue: "page 2" } : {};
      json(response, 200, { kind: "PodList", metadata: next, items: [pod(at.replace(" ", "-"), "app")] });
    });
    api.on(/pods\?[^&]*&limit=500$/, (_, response) =>
      json(response, 200, { kind: "PodList", metadata: { continue: "page 1" }, items: [pod("page-0", "app")] }),
    );
    const { containers } = await ask();
    expect(containers.map(({ workload }) => workload)).toEqual(["default/page-0", "default/page-1", "default/page-2"]);
  });

  test("that goes on forever is given up", async () => {
    api.on(/cronjobs/, (_, response) =>
      json(response, 200, { kind: "CronJobList", metadata: { continue: "x" }, items: [] }),
    );
    await expect(ask()).rejects.toThrow(new ClusterSilent("the list of cronjobs has no end"));
  });

  test.each([
    ["garbage", (response: import("node:http").ServerResponse) => response.end("garbage")],
    ["another document", (response: import("node:http").ServerResponse) => json(response, 200, { kind: "Status" })],
  ])("that answers with %s is told as such", async (_, answer) => {
    api.on(/pods/, (_request, response) => void answer(response));
    await expect(ask()).rejects.toThrow(new ClusterSilent("the API server did not answer with a list of pods"));
  });

  test("whose token is not there is told as such", async () => {
    const asked = askCluster({ api: api.url, serviceAccount: "/nowhere" }, undefined);
    await expect(asked).rejects.toThrow(new ClusterSilent("/nowhere/token cannot be read (ENOENT)"));
  });
});

test("only the first shard looks, and without a service account nobody does", async () => {
  expect(settings({ SHARDS: "2", JOB_COMPLETION_INDEX: "1" }).workloads).toBeNull();
  expect(settings({ SHARDS: "2", JOB_COMPLETION_INDEX: "0" }).workloads).not.toBeNull();
  expect(await run({ SERVICE_ACCOUNT: "" })).toBeNull();
});

test("the names of the registry are its own unless they are told, and the API server may have an IPv6 address", () => {
  expect(settings().workloads?.names).toEqual([registry.host]);
  const read = probeSettings({
    REGISTRY: "https://registry.example.org",
    PUSHGATEWAY: "http://p",
    SERVICE_ACCOUNT: folder,
    KUBERNETES_SERVICE_HOST: "fd00::1",
    KUBERNETES_SERVICE_PORT: "6443",
    REGISTRY_NAMES: "Registry.example.org:443,10.0.20.10:5050",
  });
  expect(read.workloads).toEqual({
    serviceAccount: folder,
    api: new URL("https://[fd00::1]:6443"),
    names: ["registry.example.org", "10.0.20.10:5050"],
    report: null,
  });
});

test.each([
  [{ IN_USE_TAG: "no tag" }, 'IN_USE_TAG is "no tag", which is no tag'],
  [{ PUSH_USER: "" }, "PUSH_USER is not set and the other one is"],
  [{ REGISTRY_NAMES: "https://a" }, 'REGISTRY_NAMES has "https://a", which is no host'],
  [{ KUBERNETES_SERVICE_HOST: "" }, "KUBERNETES_SERVICE_HOST is not set"],
  [{ KUBERNETES_SERVICE_HOST: "a b" }, 'KUBERNETES_SERVICE_HOST is "a b", which is no host'],
])("%j is refused", (changes, message) => {
  expect(() => settings(changes)).toThrow(message);
});
