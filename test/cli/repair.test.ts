import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { type Content, digestOf, image, index } from "../lab/images";
import { type FakeRegistry, json } from "../registry/oci/fake-registry";
import { startFakeRegistry } from "../registry/oci/registry-of-test";
import { SyntheticStore } from "../registry/storage/synthetic-store";
import { runWarden } from "./run-warden";

const child = image("child");
const pushed = index([child, image("other")]);
const [config, firstLayer] = child.blobs as [Content, Content];

let registry: FakeRegistry;
let other: FakeRegistry;
let store: SyntheticStore;
const environment = process.env;
beforeEach(async () => {
  registry = (await startFakeRegistry()).push("app", pushed, "v1", "latest");
  other = (await startFakeRegistry()).push("app", pushed);
  store = new SyntheticStore().push("app", pushed, "v1", "latest");
  process.env = { ...environment, DOCKER_CONFIG: store.root };
});
afterEach(() => {
  process.env = environment;
  store.remove();
});

const plan = async (...args: string[]) => {
  const { code, out } = await runWarden("repair", registry.host, "--json", ...args);
  return { code, ...JSON.parse(out) };
};
const lose = (...lost: Content[]) => {
  const { manifests, blobs } = registry.repository("app");
  for (const of of lost) {
    manifests.delete(digestOf(of));
    blobs.delete(digestOf(of));
  }
};
const writes = () => registry.seen.filter(({ method }) => !["GET", "HEAD"].includes(method));

describe("the plan", () => {
  test("is empty for an intact registry", async () => {
    expect(await plan("--storage", store.root)).toEqual({
      code: 0,
      version: 1,
      registry: registry.url.origin,
      actions: [],
      remaining: [],
      applied: false,
      problems: [],
    });
  });

  test("links what is on the disk, everything before what needs it", async () => {
    lose(child, firstLayer);
    const { code, actions, remaining } = await plan("--storage", store.root, "--from", other.host);
    expect({ code, remaining }).toEqual({ code: 0, remaining: [] });
    expect(actions).toEqual(
      [firstLayer, child].map((of) => ({
        action: "relink",
        repository: "app",
        digest: digestOf(of),
        source: store.root,
        tags: [],
      })),
    );
    expect(writes()).toEqual([]);
  });

  test("copies what is lost from the other registry", async () => {
    lose(child, firstLayer);
    rmSync(store.layout.blobData(digestOf(firstLayer)));
    const { actions } = await plan("--storage", store.root, "--from", other.host);
    expect(actions).toMatchObject([
      { action: "copy", digest: digestOf(firstLayer), source: other.url.origin },
      { action: "relink", digest: digestOf(child) },
    ]);
  });

  test("leaves what cannot be pushed for want of a layer", async () => {
    lose(child, firstLayer);
    rmSync(store.layout.blobData(digestOf(firstLayer)));
    const { code, actions, remaining } = await plan("--storage", store.root);
    expect({ code, actions }).toEqual({ code: 0, actions: [] });
    expect(remaining).toMatchObject([{ digest: digestOf(child), reason: "missing", tags: ["latest", "v1"] }]);
  });

  test("does not trust the other registry", async () => {
    lose(child);
    other.on(`/v2/app/manifests/${digestOf(child)}`, (_, response) => json(response, 200, { schemaVersion: 2 }));
    expect(await plan("--from", other.host)).toMatchObject({ actions: [], remaining: [{ digest: digestOf(child) }] });
  });

  test("does not report as lost what cannot be checked", async () => {
    registry.on(`/v2/app/blobs/${digestOf(config)}`, (_, response) => json(response, 403, {}));
    expect(await plan("--storage", store.root)).toMatchObject({ actions: [], remaining: [{ reason: "unauthorized" }] });
  });

  test("of a registry without a catalog, and of some repositories, is made with --repository", async () => {
    lose(child);
    registry.push("aside", image("aside"), "v1");
    registry.repository("aside").tags.set("lost", digestOf(pushed));
    registry.on("/v2/_catalog", (_, response) => json(response, 404, {}));
    expect(await plan("--from", other.host)).toMatchObject({ code: 2, error: { code: "no-catalog" } });
    const { actions, remaining } = await plan("--from", other.host, "--repository", "app");
    expect(actions).toMatchObject([{ action: "copy", repository: "app", digest: digestOf(child) }]);
    expect(remaining).toEqual([]);
    expect(registry.asked(/_catalog/)).toHaveLength(1);
  });

  test("discards with every tag that points there, and --exit-code tells", async () => {
    lose(child);
    expect(await plan("--discard", `${registry.host}/app:v1`, "--exit-code")).toMatchObject({
      code: 1,
      actions: [{ action: "discard", digest: digestOf(pushed), source: null, tags: ["latest", "v1"] }],
      remaining: [],
    });
  });

  test("takes the names that the tables print", async () => {
    lose(child);
    const short = digestOf(pushed).slice(0, "sha256:".length + 12);
    for (const name of [
      "app:v1",
      "app:latest (+1)",
      `app@${short}`,
      `app:v1@${short}`,
      `${registry.host}/app@${short}`,
    ]) {
      expect([name, await plan("--discard", name)]).toMatchObject([
        name,
        { code: 0, actions: [{ action: "discard", digest: digestOf(pushed), tags: ["latest", "v1"] }] },
      ]);
    }
    expect(await plan("--discard", "app@sha256:00000000")).toMatchObject({ code: 2, error: { code: "not-found" } });
    // Two names for the same image.
    expect((await plan("--discard", "app:v1", "--discard", "app:latest")).actions).toHaveLength(1);
  });

  test("as a table", async () => {
    lose(firstLayer);
    const { out } = await runWarden("repair", registry.host, "--storage", store.root);
    expect(out).toMatch(/^plan {6}1 action$/m);
    expect(out).toMatch(new RegExp(`^relink {2}app +sha256:[0-9a-f]{12} +from ${store.root}$`, "m"));
    expect(out).toMatch(/^next {6}the same with --apply$/m);
  });
});

test("a link that is lost on the disk is put back, although the registry still remembers the blob", async () => {
  rmSync(store.repository("app").layerLink(digestOf(firstLayer)));
  expect(await plan("--storage", store.root)).toMatchObject({
    code: 0,
    actions: [{ action: "relink", repository: "app", digest: digestOf(firstLayer), source: store.root }],
    remaining: [],
  });
  rmSync(store.layout.blobData(digestOf(firstLayer)));
  expect(await plan("--storage", store.root)).toMatchObject({
    actions: [],
    remaining: [
      {
        object: "layer",
        reason: "missing",
        status: null,
        digest: digestOf(firstLayer),
        tags: ["latest", "v1"],
        detail: "its link is lost on the disk, and the registry remembers it",
      },
    ],
  });
});

test("a tag that leads where it was never pushed leads again to what was pushed last", async () => {
  registry.on("/v2/app/manifests/v1", (_, response) => json(response, 404, {}));
  for (const link of [`sha256:${"f".repeat(64)}`, digestOf(firstLayer)]) {
    writeFileSync(store.repository("app").tagLink("v1"), link);
    expect(await plan("--storage", store.root)).toMatchObject({
      actions: [{ action: "relink", digest: digestOf(pushed), tags: ["v1"] }],
      remaining: [],
    });
  }
});

test("--hash finds a layer that was altered and kept its size", async () => {
  registry.repository("app").blobs.set(digestOf(firstLayer), Buffer.alloc(firstLayer.bytes.length, "x"));
  expect(await plan("--storage", store.root)).toMatchObject({ actions: [], remaining: [] });
  expect(await plan("--storage", store.root, "--hash")).toMatchObject({
    actions: [{ action: "relink", digest: digestOf(firstLayer) }],
  });
});

test("a manifest that a registry takes and does not store, because it remembers it, is uploaded", async () => {
  lose(child);
  registry.on(`/v2/app/manifests/${digestOf(child)}`, (request, response) =>
    request.method === "PUT" ? json(response, 201, {}) : registry.serve(request, response),
  );
  registry.on(/^\/v2\/app\/blobs\/uploads\//, ({ method, url = "" }, response) => {
    if (method !== "PUT") return json(response, 202, {}, { location: "/v2/app/blobs/uploads/1" });
    expect(new URL(url, registry.url).searchParams.get("digest")).toBe(digestOf(child));
    registry.push("app", child);
    return json(response, 201, {});
  });
  expect(await plan("--from", other.host, "--apply")).toMatchObject({ code: 0, remaining: [], problems: [] });
});

test("a step that a disk refuses is told, and the others are done", async () => {
  lose(firstLayer, config);
  const data = store.layout.blobData(digestOf(firstLayer));
  rmSync(data);
  mkdirSync(data);
  const { code, problems } = await plan("--storage", store.root, "--from", other.host, "--apply");
  expect(code).toBe(1);
  expect(problems).toMatchObject([
    { digest: digestOf(config), message: "the upload answered 404 (NAME_UNKNOWN)" },
    { digest: digestOf(firstLayer), message: expect.stringMatching(/^rename .* failed \(EISDIR\)$/) },
  ]);
  expect(readdirSync(dirname(data))).toEqual(["data"]);
});

describe("fails with one line", () => {
  test.each([
    ["when an image to discard is whole", () => ["--discard", `${registry.host}/app:v1`], "whole"],
    ["when an image to discard is not there", () => ["--discard", `${registry.host}/app:v9`], "not-found"],
    [
      "when a digest to discard is not there",
      () => ["--discard", `${registry.host}/app@sha256:${"a".repeat(64)}`, "--storage", store.root],
      "not-found",
    ],
    ["when an image to discard is elsewhere", () => ["--discard", "example.org/app:v1"], "bad-input"],
    ["when the other registry is down", () => ["--from", "127.0.0.1:9"], "unreachable"],
    ["when the storage is none", () => ["--storage", "/nothing"], "not-found"],
  ])("%s", async (_, args, code) => {
    expect(await plan(...args())).toMatchObject({ code: 2, error: { code } });
  });

  test("when the other registry's credentials are incomplete", async () => {
    process.env.FROM_USER = "reader";
    expect(await plan("--from", other.host)).toMatchObject({ code: 2, error: { code: "bad-credentials" } });
  });

  test("on a registry that takes no pushes", async () => {
    lose(firstLayer);
    registry.on(/uploads/, (request, response) => {
      request.resume();
      json(response, 405, {});
    });
    expect(await plan("--storage", store.root, "--apply")).toMatchObject({ code: 2, error: { code: "read-only" } });
  });
});

test("what the registry refuses is told, and remains: exit code 1", async () => {
  lose(firstLayer);
  registry.on(/uploads/, (request, response) => {
    request.resume();
    json(response, 507, { errors: [{ code: "DENIED" }] });
  });
  expect(await plan("--storage", store.root, "--apply")).toMatchObject({
    code: 1,
    applied: true,
    remaining: [{ digest: digestOf(firstLayer) }],
    problems: [{ digest: digestOf(firstLayer), message: "the upload answered 507 (DENIED)" }],
  });
});

test("wrong bytes from the other registry are not pushed", async () => {
  lose(firstLayer);
  other.repository("app").blobs.set(digestOf(firstLayer), Buffer.alloc(firstLayer.bytes.length, "x"));
  expect(await plan("--from", other.host, "--apply")).toMatchObject({
    code: 1,
    remaining: [{ digest: digestOf(firstLayer) }],
    problems: [
      { digest: digestOf(firstLayer), message: expect.stringMatching(/sent other bytes than those of sha256:/) },
    ],
  });
  expect(writes()).toEqual([]);
});

test("after a repair, the caches that still answer as before are named", async () => {
  lose(firstLayer);
  const { out } = await runWarden("repair", registry.host, "--storage", store.root, "--apply");
  expect(out).toMatch(
    /^next +a cache in front of the registry \(nginx proxy_cache\) still answers as before: purge it$/m,
  );
  expect(out).toContain("restart the registry, which remembers lost blobs as present");
});

test("each registry gets its own credentials", async () => {
  Object.assign(process.env, { REG_USER: "ops", REG_PASS: "one", FROM_USER: "reader", FROM_PASS: "two" });
  lose(firstLayer);
  for (const each of [registry, other]) {
    each.on("/v2/", (request, response) => {
      const headers = { "www-authenticate": 'Basic realm="test"' };
      if (request.headers.authorization === undefined) json(response, 401, {}, headers);
      else json(response, 200, {});
    });
  }
  expect(await plan("--from", other.host)).toMatchObject({ actions: [{ action: "copy" }] });
  const sent = (to: FakeRegistry) => new Set(to.seen.flatMap(({ headers }) => headers.authorization ?? []));
  const basic = (pair: string) => `Basic ${Buffer.from(pair).toString("base64")}`;
  expect(sent(registry)).toEqual(new Set([basic("ops:one")]));
  expect(sent(other)).toEqual(new Set([basic("reader:two")]));
});
