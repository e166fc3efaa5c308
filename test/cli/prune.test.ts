import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import timers from "node:timers/promises";
import { Gate } from "../../registry/oci/gate";
import { createdOn, image } from "../lab/images";
import { listenOnLoopback } from "../loopback";
import type { Json } from "../monitoring/synthesise";
import type { FakeRegistry } from "../registry/oci/fake-registry";
import { startFakeRegistry } from "../registry/oci/registry-of-test";
import { SyntheticStore } from "../registry/storage/synthetic-store";
import { SHIPPED } from "../sites";
import { runWarden } from "./run-warden";

let store: SyntheticStore;
let server: Server | undefined;
beforeEach(() => {
  store = new SyntheticStore();
  for (const n of [1, 2, 3]) {
    store.push("app", image(`v${n}`), `v${n}`);
    utimesSync(store.repository("app").tagLink(`v${n}`), n, n);
  }
});
afterEach(async () => {
  store.remove();
  await stop();
});

const tags = () => readdirSync(store.repository("app").tags).sort();

/** Starts a registry with this handler. @returns its URL */
const serve = async (answer: RequestListener): Promise<string> => {
  const started = createServer(answer);
  const host = await listenOnLoopback(started);
  server = started;
  return `http://${host}`;
};
const stop = async () => {
  if (server !== undefined) await new Promise((resolve) => server?.close(resolve));
  server = undefined;
};
const answering = (status: number) =>
  serve((request, response) => {
    request.resume();
    response.writeHead(status).end();
  });

/** A read-only registry with a single repository that has these tags. */
const readOnly = (repository: string, ...names: string[]) =>
  serve((request, response) => {
    request.resume();
    if (request.method !== "GET") return response.writeHead(405).end();
    const tags = `/v2/${repository}/tags/list`;
    const body = {
      "/v2/_catalog": { repositories: [repository] },
      [tags]: { name: repository, tags: names },
      "/v2/": {},
    };
    const found = body[(request.url ?? "").replace(/\?.*/, "")];
    response.writeHead(found === undefined ? 404 : 200).end(JSON.stringify(found));
  });

describe("a plan", () => {
  test("says what goes, what stays and why, and changes nothing", async () => {
    const { code, out } = await runWarden("prune", store.root, "--keep-newest", "1", "--keep", "*1");
    expect(code).toBe(0);
    expect(out).toMatch(/^keep +app:v1 +kept by \*1$/m);
    expect(out).toMatch(/^keep +app:v3 +among the newest 1$/m);
    expect(out).toMatch(/^remove +app:v2 +older than the newest 1$/m);
    expect(out).toMatch(/^remove +1 tag, 1 manifest; the garbage collection frees 4 blobs/m);
    expect(tags()).toEqual(["v1", "v2", "v3"]);
  });

  test("--exit-code tells whether it is empty", async () => {
    const plan = (newest: string) => runWarden("prune", store.root, "--keep-newest", newest, "--exit-code", "--json");
    expect((await plan("2")).code).toBe(1);
    expect((await plan("3")).code).toBe(0);
  });

  test("--json is the report of the contract", async () => {
    const { out } = await runWarden("prune", store.root, "--keep-newest", "2", "--json");
    expect(JSON.parse(out)).toMatchObject({
      root: store.root,
      policy: { rules: [{ repositories: "**", keepNewest: 2 }] },
      keep: { tags: 2, manifests: 2, blobs: 8, bytes: expect.any(Number) },
      remove: {
        tags: [{ repository: "app", tag: "v1", reason: "older than the newest 2" }],
        manifests: [{ repository: "app", digest: expect.stringMatching(/^sha256:/) }],
        blobs: 4,
        bytes: expect.any(Number),
      },
      applied: false,
    });
  });

  test("by a policy file", async () => {
    const file = join(store.root, "policy.json");
    writeFileSync(file, JSON.stringify({ protect: ["v1"], rules: [{ repositories: "app", keepNewest: 1 }] }));
    const { out } = await runWarden("prune", store.root, "--policy", file, "--json");
    expect(JSON.parse(out).remove.tags).toMatchObject([{ tag: "v2" }]);
  });
});

describe("--apply", () => {
  const apply = (...how: string[]) => runWarden("prune", store.root, "--keep-newest", "1", "--apply", ...how);

  test("--offline takes the operator's word", async () => {
    const { code, out } = await apply("--offline", "--json");
    expect({ code, applied: JSON.parse(out).applied }).toEqual({ code: 0, applied: true });
    expect(tags()).toEqual(["v3"]);
  });

  test("says how to continue, and how to go back", async () => {
    const { out } = await apply("--offline");
    expect(out).toMatch(/^next +registry garbage-collect CONFIG \(without -m\)/m);
    expect(out).toMatch(/^undo +until then: cp --archive --no-clobber /m);
  });

  test("on a registry that is down", async () => {
    const url = await answering(200);
    await stop();
    expect(await apply("--registry", url)).toMatchObject({ code: 0, err: "" });
    expect(tags()).toEqual(["v3"]);
  });

  test("on a registry that is read-only", async () => {
    expect(await apply("--registry", await readOnly("app", "v3", "v1", "v2"))).toMatchObject({ code: 0, err: "" });
    expect(tags()).toEqual(["v3"]);
  });

  test.each([
    ["another repository", "other", ["v1"], /serves other, which is not in/],
    ["not all tags", "app", ["v1", "v3"], /does not serve app:v2/],
    ["more tags", "app", ["v1", "v2", "v3", "v4"], /serves app:v4, which is not in/],
  ])("not on another registry that is read-only: it serves %s", async (_, repository, names, message) => {
    const { code, err } = await apply("--registry", await readOnly(repository, ...names));
    expect({ code, err }).toEqual({ code: 2, err: expect.stringMatching(message) });
    expect(tags()).toEqual(["v1", "v2", "v3"]);
  });

  test("not on one that does not list its repositories", async () => {
    expect((await apply("--registry", await answering(405))).code).toBe(2);
    expect(tags()).toEqual(["v1", "v2", "v3"]);
  });

  test("not on a registry that takes uploads; the one it began is ended", async () => {
    const asked: string[] = [];
    const url = await serve((request, response) => {
      request.resume();
      asked.push(`${request.method} ${request.url}`);
      // A registry keeps the hash state even though the upload has ended.
      mkdirSync(join(store.repository("app").upload("one"), "hashstates"), { recursive: true });
      if (request.method === "POST") response.writeHead(202, { location: "/v2/app/blobs/uploads/one?state=x" }).end();
      else response.writeHead(204).end();
    });
    const { code, err } = await apply("--registry", url);
    expect(code).toBe(2);
    expect(err).toMatch(/^error: 127\.0\.0\.1:\d+ runs and takes uploads; stop it.*\n$/);
    expect(readdirSync(store.repository("app").uploads)).toEqual([]);
    expect(asked).toEqual(["POST /v2/app/blobs/uploads/", "DELETE /v2/app/blobs/uploads/one?state=x"]);
    expect(tags()).toEqual(["v1", "v2", "v3"]);
  });

  test.each([200, 401, 403, 404, 500, 502, 503])("not on one that answers %d", async (status) => {
    const { code, out } = await apply("--registry", await answering(status), "--json");
    expect(code).toBe(2);
    expect(JSON.parse(out)).toMatchObject({ error: { code: "registry-unknown" } });
    expect(tags()).toEqual(["v1", "v2", "v3"]);
  });

  test.each([
    ["whose name is unknown", async () => "http://registry.invalid:5000"],
    ["that speaks no TLS", async () => (await answering(405)).replace("http:", "https:")],
    ["that never answers", () => serve((request) => void request.resume())],
    ["that hangs up", () => serve((request) => void request.socket.destroy())],
  ])("not on one %s", async (_, url) => {
    const { code, out } = await apply("--registry", await url(), "--timeout", "0.3", "--json");
    server?.closeAllConnections();
    expect(code).toBe(2);
    expect(JSON.parse(out)).toMatchObject({ error: { code: "registry-unknown" } });
    expect(tags()).toEqual(["v1", "v2", "v3"]);
  });

  test("asks with the credentials that were given", async () => {
    const url = await serve((request, response) => {
      request.resume();
      const known = request.headers.authorization === `Basic ${Buffer.from("ops:secret").toString("base64")}`;
      if (!known) response.writeHead(401, { "www-authenticate": 'Basic realm="test"' }).end();
      else if (request.method !== "GET") response.writeHead(405).end();
      else response.end(JSON.stringify({ repositories: ["app"], tags: ["v1", "v2", "v3"] }));
    });
    const file = join(store.root, "password");
    writeFileSync(file, "secret\n");
    expect(await apply("--registry", url, "--username", "ops", "--password-file", file)).toMatchObject({ code: 0 });
  });
});

describe("fails", () => {
  test.each([
    ["without a policy", []],
    ["with two policies", ["--keep-newest", "1", "--policy", "p.json"]],
    ["when nothing would be kept", ["--keep-newest", "0"]],
    ["with half a tag", ["--keep-newest", "1.5"]],
    ["with --apply alone", ["--keep-newest", "1", "--apply"]],
    ["with two words for the same", ["--keep-newest", "1", "--apply", "--offline", "--registry", "localhost:5000"]],
    ["with patterns beside a policy file", ["--policy", "p.json", "--keep", "v*"]],
  ])("%s: wrong usage", async (_, args) => {
    expect(await runWarden("prune", store.root, ...args)).toMatchObject({ code: 64, out: "" });
  });

  test.each([
    ["a policy file that is not there", null, /cannot be read \(ENOENT\)/],
    ["a policy file that is not JSON", "{", /is not json/],
    ["a policy with a typo", '{"rules":[{"repositories":"**","keepNewst":1}]}', /unknown field "keepNewst"/],
  ])("on %s, with one line", async (_, content, message) => {
    const file = join(store.root, "policy.json");
    if (content !== null) writeFileSync(file, content);
    const { code, err } = await runWarden("prune", store.root, "--policy", file, "--apply", "--offline");
    expect(code).toBe(2);
    expect(err).toMatch(message);
    expect(err.split("\n")).toHaveLength(2);
    expect(tags()).toEqual(["v1", "v2", "v3"]);
  });
});

describe("a registry over HTTP", () => {
  let registry: FakeRegistry;
  let journals: string;
  beforeEach(async () => {
    // Nobody pushes here, so the last check need not wait.
    jest.spyOn(timers, "setTimeout").mockImplementation(async () => undefined as never);
    registry = await startFakeRegistry();
    registry.deletes = { digests: true, tags: false };
    registry.takesPushes = true;
    journals = mkdtempSync(join(tmpdir(), "warden-journals-"));
    for (const n of [1, 2, 3]) {
      const annotations = createdOn(n);
      registry.push("app", image(`v${n}`, { annotations }), `v${n}`);
      registry.push("other", image(`v${n}`, { annotations }), `v${n}`);
    }
  });
  afterEach(() => {
    jest.restoreAllMocks();
    rmSync(journals, { recursive: true });
  });
  const prune = (...args: string[]) => runWarden("prune", registry.host, ...args, "--journal", journals);
  const left = (name: string) => [...registry.repository(name).tags.keys()];

  test("has the same kind of plan as a store, and says what it cannot see", async () => {
    const { code, out } = await prune("--keep-newest", "1", "--keep", "*1", "--exit-code");
    expect(code).toBe(1);
    expect(out).toMatch(/^untagged {2}this registry does not list them/m);
    expect(out).toMatch(/^keep +app:v1 +kept by \*1$/m);
    expect(out).toMatch(/^remove +app:v2 +older than the newest 1$/m);
    expect(out).toMatch(/^next +the same with --apply$/m);
    expect(left("app")).toEqual(["v1", "v2", "v3"]);
  });

  test("is cleaned, or only the named repository, and what was removed can be restored", async () => {
    const { code, out } = await prune("--keep-newest", "1", "--repository", "app", "--apply", "--json");
    const report = JSON.parse(out);
    expect(code).toBe(0);
    expect(report).toMatchObject({
      version: 1,
      registry: registry.url.origin,
      applied: true,
      problems: [],
      remaining: [],
    });
    expect([left("app"), left("other")]).toEqual([["v3"], ["v1", "v2", "v3"]]);
    const undone = await runWarden("prune", "--undo", report.journal);
    expect(undone).toMatchObject({ code: 0, out: expect.stringMatching(/^restored {2}app:v1 +sha256:[0-9a-f]{64}$/m) });
    expect(left("app").sort()).toEqual(["v1", "v2", "v3"]);
    const again = await runWarden("prune", "--undo", report.journal, "--json");
    expect(JSON.parse(again.out)).toMatchObject({ version: 1, restored: [], left: [], problems: [] });
  });

  test("that refuses deletions gives one line", async () => {
    registry.deletes = { digests: false, tags: false };
    const { code, err } = await prune("--keep-newest", "1", "--apply");
    expect(code).toBe(2);
    expect(err).toMatch(/^error: 127\.0\.0\.1:\d+ takes no deletions \(405\); allow them [^\n]+\n$/);
  });

  describe("by its name in a site", () => {
    const siteFile = (bend: (registry: Json, probe: Json) => void = () => {}): string => {
      const site = structuredClone(SHIPPED.forgejo) as Json;
      const [forge] = site.monitoring.externalRegistries;
      forge.url = registry.url.origin;
      forge.cleanUp.retention = { rules: [{ repositories: "**", keepNewest: 2, order: "created" }] };
      bend(forge, site.monitoring.probes[0]);
      const path = join(journals, "site.json");
      writeFileSync(path, JSON.stringify(site));
      return path;
    };
    const byName = (site: string, ...args: string[]) =>
      runWarden("prune", "forge", "--site", site, ...args, "--journal", join(journals, "journal"));

    test("keeps what the site keeps, of the repositories of its probe", async () => {
      const site = siteFile((_, probe) => {
        probe.repositories = ["app"];
      });
      expect(await byName(site, "--apply")).toMatchObject({ code: 0, err: "" });
      expect([left("app"), left("other")]).toEqual([
        ["v2", "v3"],
        ["v1", "v2", "v3"],
      ]);
    });

    test("or what the options say instead", async () => {
      expect((await byName(siteFile(), "--keep-newest", "1", "--repository", "other", "--apply")).code).toBe(0);
      expect([left("app"), left("other")]).toEqual([["v1", "v2", "v3"], ["v3"]]);
    });

    test("needs a policy where the site keeps everything", async () => {
      const site = siteFile((forge, probe) => {
        delete forge.cleanUp;
        probe.workloads = false;
      });
      expect(await byName(site)).toMatchObject({ code: 64, err: expect.stringContaining("--keep-newest or --policy") });
      expect((await byName(site, "--keep-newest", "1")).code).toBe(0);
    });

    test("is not changed by a site that nobody chose", async () => {
      const { code, err } = await runWarden("prune", "private", "--apply");
      expect([code, err]).toEqual([2, expect.stringContaining("no site was chosen")]);
    });
  });

  test("is asked at one rate by all that it takes, and a deletion does not wait once its tags were read", async () => {
    const enter = jest.spyOn(Gate.prototype, "enter");
    const pass = jest.spyOn(Gate.prototype, "pass");
    await prune("--keep-newest", "2", "--repository", "app", "--apply", "--rate", "100000");
    const deletions = registry.seen.filter(({ method }) => method === "DELETE");
    expect(deletions.length).toBeGreaterThan(0);
    expect(pass).toHaveBeenCalledTimes(deletions.length);
    expect(enter.mock.calls.length + pass.mock.calls.length).toBeGreaterThanOrEqual(registry.seen.length);
    expect(new Set([...enter.mock.contexts, ...pass.mock.contexts]).size).toBe(1);
  });

  test("that finds a deletion too soon is asked again, after another look at its tags", async () => {
    const slowDown = jest.spyOn(Gate.prototype, "slowDown");
    let refused = 0;
    registry.on(/\/v2\/app\/manifests\/sha256/, (request, response) => {
      if (request.method === "DELETE" && refused++ < 2) response.writeHead(429).end();
      else registry.serve(request, response);
    });
    const { code } = await prune("--keep-newest", "2", "--repository", "app", "--apply");
    expect([code, left("app"), refused]).toEqual([0, ["v2", "v3"], 3]);
    expect(slowDown).toHaveBeenCalledTimes(2);
    const asked = registry.seen.map(({ method, path }) => (method === "DELETE" ? "DELETE" : path));
    asked.forEach((each, at) => {
      if (each === "DELETE") expect(asked[at - 1]).toBe("/v2/app/tags/list");
    });
  });

  test("exits with 1 if something was not deleted", async () => {
    registry.on(/\/v2\/app\/manifests\/sha256/, (request, response) => {
      if (request.method === "DELETE") response.writeHead(500).end();
      else registry.serve(request, response);
    });
    const { code, out } = await prune("--keep-newest", "2", "--repository", "app", "--apply");
    expect(code).toBe(1);
    expect(out).toMatch(/^failed +app@sha256:[0-9a-f]{12} +its removal answered 500$/m);
  });
});

describe("which of the two is meant", () => {
  const refusal = async (...args: string[]) => (await runWarden("prune", ...args)).err.split("\n")[0];

  test.each([
    [["registry.example.org", "--keep-newest", "1", "--offline"], /--offline is for a storage root/],
    [["https://registry.example.org", "--keep-newest", "1", "--registry", "x:1"], /--registry is for a storage root/],
    [["./data", "--keep-newest", "1", "--repository", "app"], /--repository is for a registry/],
    [["./data", "--keep-newest", "1", "--journal", "j"], /--journal is for a registry/],
    [["data", "--keep-newest", "1"], /unknown registry "data"; .* has private, and a storage root .*: \.\/data;/],
    [["./data", "--keep-newest", "1", "--site", "site.ts"], /--site is for a registry by its name/],
    [["https://registry.example.org", "--site", "site.ts"], /--site is for a registry by its name/],
    [["--keep-newest", "1"], /give a storage root or a registry, or --undo/],
    [["127.0.0.1:5000", "--undo", "j"], /--undo takes the journal alone/],
    [["--undo", "j", "--keep-newest", "1"], /--undo takes the journal alone/],
  ])("%s is refused", async (args, message) => {
    expect(await refusal(...args)).toMatch(message);
  });

  test("a folder whose name looks like a host has to be written as one or the other", async () => {
    const before = process.cwd();
    process.chdir(store.root);
    try {
      mkdirSync("registry.example.org");
      expect(await refusal("registry.example.org", "--keep-newest", "1")).toMatch(
        /may be a registry or the folder of that name: give https:\/\/registry\.example\.org or \.\/registry\.example\.org/,
      );
    } finally {
      process.chdir(before);
    }
  });
});
