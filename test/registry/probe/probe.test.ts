import { text } from "node:stream/consumers";
import { sha256 } from "../../../registry/oci/digest";
import { probe } from "../../../registry/probe/probe";
import { image, multiPlatformImage } from "../../lab/images";
import { type FakeRegistry, json } from "../oci/fake-registry";
import { startFakeRegistry } from "../oci/registry-of-test";

jest.mock("node:timers/promises", () => ({ setTimeout: () => Promise.resolve() }));

let registry: FakeRegistry;
let gateway: FakeRegistry;
/** What was pushed to the gateway, and what it stores by path. */
let pushes: { method: string; path: string; body: string }[];
let stored: unknown[];

beforeEach(async () => {
  registry = await startFakeRegistry();
  gateway = await startFakeRegistry();
  pushes = [];
  stored = [];
  gateway.on(/^\/metrics\//, async (request, response) => {
    pushes.push({ method: request.method ?? "", path: request.url ?? "", body: await text(request) });
    response.writeHead(202).end();
  });
  gateway.on("/api/v1/metrics", (_request, response) => json(response, 200, { status: "success", data: stored }));
  registry.push("app", image("app"), "v1");
});

const run = async (changes: NodeJS.ProcessEnv = {}) => {
  const out: string[] = [];
  const err: string[] = [];
  const environment = {
    REGISTRY: registry.url.origin,
    PUSHGATEWAY: gateway.url.origin,
    REGISTRY_INSTANCE: "lab:5050",
    ...changes,
  };
  const code = await probe(
    environment,
    (line) => out.push(line),
    (line) => err.push(line),
  );
  return { code, out: out.join("\n"), err };
};

/** The value of a metric in what was pushed. */
const value = (name: string): number | undefined => {
  const [, text] = new RegExp(`^registry_manifest_integrity_${name} (.*)$`, "m").exec(pushes[0]?.body ?? "") ?? [];
  return text === undefined ? undefined : Number(text);
};

const group = (labels: Record<string, string>, values: Record<string, number> = {}) => ({
  labels,
  ...Object.fromEntries(
    Object.entries(values).map(([name, each]) => [
      `registry_manifest_integrity_${name}`,
      { metrics: [{ labels, value: String(each) }] },
    ]),
  ),
});
const LABELS = { job: "registry-integrity-probe", instance: "lab:5050" };

test("a complete walk is put under the registry's own group, and the exit code is 0", async () => {
  const { code, out, err } = await run();
  expect({ code, err }).toEqual({ code: 0, err: [] });
  expect(out).toContain("nothing broken");
  expect(pushes).toMatchObject([{ method: "PUT", path: "/metrics/job/registry-integrity-probe/instance/lab%3A5050" }]);
  expect([value("failures"), value("repos_checked"), value("walk_complete")]).toEqual([0, 1, 1]);
});

test("failures are told in the metrics, not in the exit code", async () => {
  registry.repository("app").tags.set("lost", sha256("nothing"));
  const { code, out } = await run();
  expect(code).toBe(0);
  expect(out).toContain("app:lost");
  expect(value("failures")).toBe(1);
});

test("an incomplete walk is posted, and leaves a higher number of failures alone", async () => {
  registry.push("shut", image("shut"), "v1");
  registry.on(/shut/, (_request, response) => json(response, 403, {}));
  stored = [group(LABELS, { failures: 3 })];
  expect((await run()).code).toBe(0);
  expect(pushes).toMatchObject([{ method: "POST" }]);
  expect([value("failures"), value("walk_complete")]).toEqual([undefined, 0]);
});

test("an incomplete walk raises a lower number of failures", async () => {
  registry.push("shut", image("shut"), "v1");
  registry.on(/shut/, (_request, response) => json(response, 403, {}));
  stored = [group(LABELS, { failures: 0 })];
  await run();
  expect(value("failures")).toBe(1);
});

test("a registry that cannot be reached is a report, too", async () => {
  const { code, out, err } = await run({ REGISTRY: "127.0.0.1:1" });
  expect({ code, err }).toEqual({ code: 0, err: [] });
  expect(out).toContain("cannot be reached");
  expect([value("catalog_accessible"), value("walk_complete")]).toEqual([0, 0]);
});

test("a walk that a repository's list was lost from is a coverage failure", async () => {
  stored = [group(LABELS, { repos_checked: 2 })];
  await run();
  expect(pushes[0]?.body).toContain('failures_by_reason{reason="coverage"} 1');
});

test("where repositories are named, the catalog is not asked for, and nothing is told of it", async () => {
  registry.on("/v2/_catalog", (_request, response) => json(response, 404, {}));
  registry.push("hidden", image("hidden"), "v1");
  await run({ REPOSITORIES: "hidden,app" });
  expect([value("repos_checked"), value("walk_complete"), value("catalog_accessible")]).toEqual([2, 1, undefined]);
  expect(registry.asked(/_catalog/)).toEqual([]);
});

test("platforms that are not asked for may be missing", async () => {
  const made = multiPlatformImage("mirror", { platforms: ["amd64", "arm64"] });
  registry.push("mirror", made, "v1");
  registry.repository("mirror").manifests.delete(made.manifests[1]?.descriptor.digest ?? "");
  await run({ PLATFORMS: "linux/amd64" });
  expect(value("failures")).toBe(0);
  await run();
  expect(pushes[1]?.body).toContain("registry_manifest_integrity_failures 1");
});

test("within the runs of a day every last byte is read once, and HEAD tells the rest", async () => {
  const of = 4;
  const clock = jest.spyOn(Date, "now");
  try {
    for (let at = 0; at < of; at++) {
      clock.mockReturnValue((at + 0.5) * (86_400_000 / of));
      await run({ BLOBS: "head", LAST_BYTE_TURNS: String(of) });
    }
  } finally {
    clock.mockRestore();
  }
  const asked = registry.asked(/\/blobs\//);
  const blobs = image("app").blobs.length;
  expect(asked).toHaveLength(of * blobs);
  expect(asked.filter(({ headers }) => headers.range !== undefined)).toHaveLength(blobs);
});

test("each shard has a group of its own, and the first removes those that are no more", async () => {
  stored = [
    group(LABELS),
    group({ ...LABELS, shard: "1" }),
    group({ ...LABELS, shard: "2" }),
    group({ ...LABELS, instance: "other" }),
  ];
  await run({ SHARDS: "2", JOB_COMPLETION_INDEX: "1" });
  expect(pushes.map(({ method, path }) => `${method} ${path.slice(-8)}`)).toEqual(["PUT /shard/1"]);
  pushes = [];
  await run({ SHARDS: "2", JOB_COMPLETION_INDEX: "0" });
  expect(
    pushes.map(
      ({ method, path }) => `${method} ${path.replace("/metrics/job/registry-integrity-probe/instance/", "")}`,
    ),
  ).toEqual(["PUT lab%3A5050/shard/0", "DELETE lab%3A5050", "DELETE lab%3A5050/shard/2"]);
});

describe("a catalog that cannot be read", () => {
  /** Each attempt takes two requests. */
  const unreadable = (attempts: number) => {
    let left = 2 * attempts;
    registry.on("/v2/_catalog", (request, response) => {
      if (left-- > 0) json(response, 500, {});
      else registry.serve(request, response);
    });
  };

  test("is asked for again: a registry that only restarts is not reported as gone", async () => {
    unreadable(3);
    await run({ DEADLINE_SECONDS: "600" });
    expect([value("catalog_accessible"), value("walk_complete"), value("repos_checked")]).toEqual([1, 1, 1]);
    expect(value("run_requests")).toBe(registry.seen.length);
  });

  test("is reported when it stays so", async () => {
    unreadable(1_000_000);
    await run({ DEADLINE_SECONDS: "51" });
    expect([value("catalog_accessible"), value("walk_complete")]).toEqual([0, 0]);
    expect(registry.asked(/_catalog/).length).toBeGreaterThan(2);
  });

  test("and can be again is told at once, however long the walk takes", async () => {
    stored = [group(LABELS, { catalog_accessible: 0, failures: 2 })];
    let toldBefore: number | undefined;
    registry.on(/app\/blobs/, async (request, response) => {
      while (pushes.length === 0) await new Promise((resolve) => setImmediate(resolve));
      toldBefore ??= pushes.length;
      registry.serve(request, response);
    });
    expect((await run()).code).toBe(0);
    expect(toldBefore).toBe(1);
    expect(pushes.map(({ method }) => method)).toEqual(["POST", "PUT"]);
    expect(pushes[0]?.body.split("\n").filter((line) => line !== "" && !line.startsWith("#"))).toEqual([
      "registry_manifest_integrity_catalog_accessible 1",
      "registry_manifest_integrity_catalog_inaccessible_seconds 0",
    ]);
  });
});

describe("a pull-through cache", () => {
  test("is asked for its catalog and for nothing that it lists", async () => {
    const { code, out, err } = await run({ REGISTRY_ROLE: "proxy", REPOSITORIES: "app", BLOBS: "hash" });
    expect({ code, err }).toEqual({ code: 0, err: [] });
    expect(out).toContain("the catalog can be read");
    expect(registry.seen.map(({ path }) => path)).toEqual(["/v2/", "/v2/_catalog"]);
    expect(pushes).toMatchObject([{ method: "PUT" }]);
    expect([value("catalog_accessible"), value("failures"), value("walk_complete")]).toEqual([1, undefined, undefined]);
  });

  test("may be empty, and have been fuller", async () => {
    stored = [group(LABELS, { repos_checked: 9, tags_checked: 9 })];
    registry.on("/v2/_catalog", (_request, response) => json(response, 200, { repositories: [] }));
    const { out } = await run({ REGISTRY_ROLE: "proxy", REG_USER: "a", REG_PASS: "b" });
    expect(out).toContain("the catalog can be read");
    expect(value("catalog_accessible")).toBe(1);
  });

  test("that does not answer is reported", async () => {
    const { code, out } = await run({ REGISTRY_ROLE: "proxy", REGISTRY: "http://127.0.0.1:1" });
    expect(code).toBe(0);
    expect(out).toContain("cannot be reached");
    expect(pushes).toMatchObject([{ method: "POST" }]);
    expect([value("catalog_accessible"), value("walk_complete")]).toEqual([0, undefined]);
  });
});

test("the pushgateway may have a path of its own", async () => {
  gateway.on(/^\/gateway\//, (request, response) => {
    pushes.push({ method: request.method ?? "", path: request.url ?? "", body: "" });
    response.writeHead(200).end();
  });
  await run({ PUSHGATEWAY: `${gateway.url.origin}/gateway` });
  expect(pushes.at(-1)?.path).toBe("/gateway/metrics/job/registry-integrity-probe/instance/lab%3A5050");
});

describe("what keeps the metrics from being stored is exit code 2 and one line", () => {
  test.each([
    ["nothing listens there", { PUSHGATEWAY: "http://127.0.0.1:1" }, /cannot be reached/],
    ["the environment is wrong", { BLOBS: "x" }, /BLOBS is "x"/],
    ["the certificates are missing", { REGISTRY_CA_FILE: "/nowhere.pem" }, /nowhere\.pem cannot be read/],
    ["the certificates are none", { REGISTRY_CA_FILE: __filename }, /holds no certificate/],
  ])("%s", async (_name, changes, message) => {
    const { code, err } = await run(changes);
    expect(code).toBe(2);
    expect(err).toEqual([expect.stringMatching(message)]);
    expect(err[0]).not.toContain("\n");
  });

  test("it refuses them", async () => {
    gateway.on(
      /^\/metrics\//,
      (_request, response) => void response.writeHead(400).end("pushed metrics are invalid\n"),
    );
    const { code, err } = await run();
    expect(code).toBe(2);
    expect(err).toEqual([expect.stringMatching(/answered 400: pushed metrics are invalid;/)]);
  });
});

test.each([
  ["nothing listens there", { PUSHGATEWAY: "http://127.0.0.1:1" }],
  ["it refuses the metrics", { PUSHGATEWAY_JOB: "refused" }],
])("a pushgateway does not swallow what was found: %s", async (_name, changes) => {
  gateway.on(/refused/, (_request, response) => void response.writeHead(400).end());
  registry.repository("app").tags.set("lost", sha256("nothing"));
  const { code, out } = await run(changes);
  expect(code).toBe(2);
  expect(out).toContain("app:lost");
  expect(out).toContain("1 failure");
});

test("no secret is in the log", async () => {
  registry.on(/./, (request, response) => {
    const expected = `Basic ${Buffer.from("prober:hunter2").toString("base64")}`;
    if (request.headers.authorization === expected) registry.serve(request, response);
    else json(response, 401, {}, { "www-authenticate": "Basic realm=x" });
  });
  registry.repository("app").tags.set("lost", sha256("nothing"));
  const { out, err } = await run({ REG_USER: "prober", REG_PASS: "hunter2" });
  const wrong = await run({ REG_USER: "prober", REG_PASS: "hunter3" });
  const everything = [out, ...err, wrong.out, ...wrong.err, ...pushes.map(({ body }) => body)].join("\n");
  expect(everything).toContain("app:lost");
  expect(everything).toContain("refused the credentials");
  expect(everything).not.toMatch(/hunter|cHJvYmVy/);
});
