import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sha256 } from "../../registry/oci/digest";
import { type Content, digestOf, image, multiPlatformImage } from "../lab/images";
import { type FakeRegistry, json } from "../registry/oci/fake-registry";
import { startFakeRegistry } from "../registry/oci/registry-of-test";
import { runWarden } from "./run-warden";

jest.mock("node:timers/promises", () => ({ setTimeout: () => Promise.resolve() }));

const registryImage = multiPlatformImage("app");
let registry: FakeRegistry;
let folder: string;
const environment = process.env;

beforeEach(async () => {
  registry = await startFakeRegistry();
  registry.push("app", registryImage, "v1", "latest").push("other", image("other"), "v1");
  folder = mkdtempSync(join(tmpdir(), "warden-cli-"));
  process.env = { ...environment, DOCKER_CONFIG: folder, REG_USER: "", REG_PASS: "" };
});
afterEach(() => {
  process.env = environment;
  rmSync(folder, { recursive: true });
});

const lose = (): void => void registry.repository("app").tags.set("lost", sha256("nothing"));

describe("what is walked, and how it is reported", () => {
  test("--platform: only these children of an index have to exist", async () => {
    const [, other] = registryImage.manifests;
    registry.repository("app").manifests.delete(other?.descriptor.digest ?? "");
    expect(await runWarden("verify", registry.host, "--platform", "linux/amd64")).toMatchObject({ code: 0 });
    expect(
      await runWarden("verify", registry.host, "--platform", "linux/amd64", "--platform", "linux/arm64"),
    ).toMatchObject({
      code: 1,
    });
    expect((await runWarden("verify", registry.host, "--platform", "amd64")).code).toBe(64);
  });

  test("-v: a line for each request, on standard error, without a secret", async () => {
    const storage = await startFakeRegistry();
    try {
      storage.on(/^\/v2\/app\/blobs/, (request, response) => {
        request.url = request.url?.replace(/\?.*/, "");
        registry.serve(request, response);
      });
      registry.on(/^\/v2\/app\/blobs/, (request, response) => {
        response.writeHead(307, { location: `${storage.url.origin}${request.url}?X-Amz-Signature=s3cret&n=1` }).end();
      });
      const { code, out, err } = await runWarden("verify", `${registry.host}/app:v1`, "-v", "--json");
      expect(code).toBe(0);
      const { counts } = JSON.parse(out);
      const lines = err.trimEnd().split("\n");
      expect(lines).toHaveLength(counts.requests);
      expect(lines[0]).toMatch(/^GET http:\/\/127\.0\.0\.1:\d+\/v2\/ 200 \d+ B \d+ ms$/);
      expect(err).toMatch(/X-Amz-Signature=\.\.\.&n=1 206 1 B/);
      expect(err).not.toContain("s3cret");
    } finally {
      await storage.stop();
    }
  });

  test("an error names what was asked for", async () => {
    const { err } = await runWarden("verify", "http://127.0.0.1:1");
    expect(err).toMatch(/^error: 127\.0\.0\.1:1 cannot be reached: .*\(GET http:\/\/127\.0\.0\.1:1\/v2\/\); /);
  });
});

describe("exit codes", () => {
  test("0: all is well", async () => {
    const { code, out, err } = await runWarden("verify", registry.host);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toContain("nothing broken");
  });

  test("1: something is broken, even if the walk is incomplete", async () => {
    lose();
    registry.on(/other/, (_request, response) => json(response, 503, {}));
    const { code, out, err } = await runWarden("verify", registry.host);
    expect({ code, err }).toEqual({ code: 1, err: "" });
    expect(out).toContain("app:lost");
    expect(out).toContain("incomplete");
  });

  test("1: a tag of a named image is missing", async () => {
    expect((await runWarden("verify", `${registry.host}/app:v9`)).code).toBe(1);
  });

  test("1: no repository has the tag", async () => {
    const { code, out } = await runWarden("verify", registry.host, "--tag", "v9", "--json");
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      failures: [{ object: "catalog", reason: "coverage", detail: expect.stringContaining("v9") }],
    });
  });

  test("1: one repository may not be read", async () => {
    registry.on(/other/, (_request, response) => json(response, 403, {}));
    expect((await runWarden("verify", registry.host)).code).toBe(1);
  });

  test("2: the walk is incomplete and nothing is broken, with one line", async () => {
    const networkError = { errors: [{ code: "UNKNOWN", detail: { Op: "Get", Err: {} } }] };
    const child = digestOf(multiPlatformImage("app").manifests[0] as Content);
    registry.on(new RegExp(child), (_request, response) => json(response, 500, networkError));
    const { code, out, err } = await runWarden("verify", registry.host, "--role", "proxy", "--json");
    expect(code).toBe(2);
    expect(JSON.parse(out)).toMatchObject({ complete: false, failures: [] });
    expect(err).toMatch(/^error: [^\n]+\n$/);
  });

  test.each([
    ["unreachable", ["127.0.0.1:1"], "unreachable"],
    ["bad input", ["alpine"], "bad-input"],
    [
      "a password file that is not there",
      ["127.0.0.1:1", "--username", "u", "--password-file", "/nowhere"],
      "bad-input",
    ],
    ["a user without a password", ["127.0.0.1:1", "--username", "u"], "bad-credentials"],
    ["certificates that are not there", ["127.0.0.1:1", "--ca-file", "/nowhere"], "bad-input"],
  ])("2: %s, as one line and as JSON", async (_name, args, code) => {
    const plain = await runWarden("verify", ...args);
    expect(plain).toMatchObject({ code: 2, out: "", err: expect.stringMatching(/^error: [^\n]+; [^\n]+\n$/) });
    const asJson = await runWarden("verify", ...args, "--json");
    expect(asJson.code).toBe(2);
    expect(JSON.parse(asJson.out)).toEqual({
      version: 1,
      error: { code, message: expect.any(String), hint: expect.any(String) },
    });
  });

  test("2: unauthorised as a whole", async () => {
    registry.on(/./, (_request, response) => json(response, 401, {}, { "www-authenticate": "Basic realm=x" }));
    const { code, out } = await runWarden("verify", registry.host, "--json");
    expect(code).toBe(2);
    expect(JSON.parse(out)).toMatchObject({ error: { code: "unauthorized" } });
  });

  test.each([
    ["an image", "/app:v1"],
    ["an image by digest", `/app@${sha256("nothing")}`],
  ])("2: %s of a registry that lets nothing be seen", async (_name, image) => {
    registry.on(/manifests/, (_request, response) =>
      json(response, 401, {}, { "www-authenticate": 'Bearer realm="/token"' }),
    );
    registry.on(/^\/token/, (_request, response) => json(response, 200, { token: "nobody" }));
    const { code, out, err } = await runWarden("verify", `${registry.host}${image}`, "--json");
    expect(code).toBe(2);
    expect(JSON.parse(out)).toMatchObject({ error: { code: "unauthorized" } });
    expect(err).toMatch(/needs credentials/);
  });

  test("2: an image of a server that is no registry", async () => {
    registry.on(/./, (_request, response) => json(response, 404, {}));
    const { code, err } = await runWarden("verify", `${registry.host}/app:v1`);
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining("is no registry") });
  });

  test.each([
    ["no command", []],
    ["no target", ["verify"]],
    ["two targets", ["verify", "a:1", "b:1"]],
    ["an unknown command", ["verfy"]],
    ["an unknown option", ["verify", "a:1", "--nope"]],
    ["an unknown check", ["verify", "a:1", "--blobs", "some"]],
    ["an unknown role", ["verify", "a:1", "--role", "cache"]],
    ["a concurrency of none", ["verify", "a:1", "--concurrency", "0"]],
    ["a number that is none", ["verify", "a:1", "--newest", "ten"]],
    ["a rate of nothing", ["verify", "a:1", "--rate", "0"]],
    ["a repository that is none", ["verify", "a:1", "--repository", "A"]],
    ["a tag that is none", ["verify", "a:1", "--tag", "-"]],
    ["a tag and the newest", ["verify", "a:1", "--tag", "x", "--newest", "1"]],
    ["a repository of an image", ["verify", "a:1/app", "--repository", "app"]],
    ["a tag of an image with a tag", ["verify", "a:1/app:v1", "--tag", "v2"]],
    ["what is wrong twice over", ["verify", "alpine", "--tag", "x", "--newest", "1"]],
  ])("64: %s", async (_name, args) => {
    const { code, out, err } = await runWarden(...args);
    expect({ code, out }).toEqual({ code: 64, out: "" });
    expect(err).not.toMatch(/\n\s+at /);
    const asJson = await runWarden(...args, "--json");
    expect(asJson.code).toBe(64);
    expect(JSON.parse(asJson.out)).toEqual({
      version: 1,
      error: { code: "usage", message: expect.stringMatching(/^[^\n]+$/), hint: expect.stringContaining("--help") },
    });
  });

  test("0: help and version", async () => {
    expect(await runWarden("verify", "--help")).toMatchObject({
      code: 0,
      err: "",
      out: expect.stringContaining("--blobs"),
    });
    expect(await runWarden("--version")).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+( \([0-9a-f]+(-dirty)?\))?\n$/),
    });
  });
});

test("the JSON document has the fields of the contract, and nothing else is printed", async () => {
  const child = digestOf(multiPlatformImage("app").manifests[1] as Content);
  registry.repository("app").manifests.delete(child);
  const { code, out, err } = await runWarden("verify", registry.host, "--json");
  expect({ code, err }).toEqual({ code: 1, err: "" });
  const report = JSON.parse(out);
  expect(report).toMatchObject({
    registry: registry.url.origin,
    complete: true,
    counts: {
      repositories: 2,
      tags: 3,
      manifests: 3,
      indexes: 1,
      blobs: 6,
      requests: expect.any(Number),
      bytes: expect.any(Number),
    },
    durationSeconds: expect.any(Number),
    failures: [
      {
        repository: "app",
        tags: ["latest", "v1"],
        digest: child,
        object: "manifest",
        reason: "missing",
        status: 404,
        platform: "linux/arm64",
        path: [digestOf(multiPlatformImage("app")), child],
      },
    ],
  });
});

describe("what is walked", () => {
  const counts = async (...args: string[]) => JSON.parse((await runWarden("verify", ...args, "--json")).out).counts;

  test.each([
    ["a registry", [], { repositories: 2, tags: 3 }],
    ["a repository", ["--repository", "app"], { repositories: 1, tags: 2 }],
    ["two repositories", ["--repository", "app", "--repository", "other"], { repositories: 2, tags: 3 }],
    ["a tag where it is", ["--tag", "latest"], { repositories: 2, tags: 1 }],
    ["a tag of a repository", ["--repository", "app", "--tag", "v1"], { repositories: 1, tags: 1 }],
    ["the newest", ["--newest", "1"], { repositories: 2, tags: 2 }],
  ])("%s", async (_name, args, expected) => {
    expect(await counts(registry.host, ...args)).toMatchObject(expected);
    expect(await counts(registry.url.origin, ...args)).toMatchObject(expected);
  });

  test.each([
    ["by its tag", ":v1", { tags: 1, indexes: 1, manifests: 2 }],
    ["without one: latest", "", { tags: 1, indexes: 1, manifests: 2 }],
    ["by its digest", `@${digestOf(multiPlatformImage("app"))}`, { tags: 0, indexes: 1, manifests: 2 }],
  ])("an image %s", async (_name, reference, expected) => {
    expect(await counts(`${registry.host}/app${reference}`)).toMatchObject({ repositories: 1, ...expected });
  });
});

test.each([
  ["private", [], /^bytes=/, 6],
  ["private, none", ["--blobs", "none"], /./, 0],
  ["proxy", ["--role", "proxy"], /./, 0],
  ["proxy, head", ["--role", "proxy", "--blobs", "head"], /^undefined$/, 6],
])("blobs of %s", async (_name, args, range, asked) => {
  await runWarden("verify", registry.host, "--repository", "app", ...args);
  const seen = registry.asked(/blobs/);
  expect(seen).toHaveLength(asked);
  for (const { headers } of seen) expect(String(headers.range)).toMatch(range);
});

describe("credentials", () => {
  const basic = (pair: string) => `Basic ${Buffer.from(pair).toString("base64")}`;
  beforeEach(() => {
    registry.on(/./, (request, response) => {
      if (request.headers.authorization === basic("prober:hunter2")) registry.serve(request, response);
      else json(response, 401, {}, { "www-authenticate": "Basic realm=x" });
    });
  });
  const account = (username = "prober"): string[] => {
    const file = join(folder, "password");
    writeFileSync(file, "hunter2\n");
    return ["--username", username, "--password-file", file];
  };

  test("from a file", async () => {
    expect((await runWarden("verify", registry.host, ...account())).code).toBe(0);
  });

  test("from the environment, and an option goes before it", async () => {
    process.env.REG_USER = "prober";
    process.env.REG_PASS = "hunter2";
    expect((await runWarden("verify", registry.host)).code).toBe(0);
    expect((await runWarden("verify", registry.host, "--username", "other")).code).toBe(2);
  });

  test("from Docker's configuration, where none are given", async () => {
    const auths = { [registry.host]: { auth: Buffer.from("prober:hunter2").toString("base64") } };
    writeFileSync(join(folder, "config.json"), JSON.stringify({ auths }));
    expect((await runWarden("verify", registry.host)).code).toBe(0);
  });

  test("are in no output", async () => {
    lose();
    const html = join(folder, "report.html");
    const junit = join(folder, "report.xml");
    const files = ["--html", html, "--junit", junit];
    const right = await runWarden("verify", registry.host, ...account(), "--json", ...files);
    const wrong = await runWarden("verify", registry.host, ...account("x"), "--debug");
    const everything = [
      right.out,
      right.err,
      wrong.out,
      wrong.err,
      readFileSync(html, "utf8"),
      readFileSync(junit, "utf8"),
    ].join();
    expect([right.code, wrong.code]).toEqual([1, 2]);
    expect(everything).not.toMatch(/hunter2|cHJvYmVyOmh1bnRlcjI/);
  });
});

test("the report as a page and as JUnit XML", async () => {
  lose();
  const [html, junit] = [join(folder, "report.html"), join(folder, "report.xml")];
  await runWarden("verify", registry.host, "--html", html, "--junit", junit);
  expect(readFileSync(html, "utf8")).toContain("app:lost");
  expect(readFileSync(junit, "utf8")).toContain('<failure type="missing"');
});

test("the report as Prometheus text", async () => {
  lose();
  const prometheus = join(folder, "registry.prom");
  const instance = `{instance="${registry.host}"}`;
  await runWarden("verify", registry.host, "--prometheus", prometheus);
  const text = readFileSync(prometheus, "utf8");
  expect(text).toContain(`\nregistry_manifest_integrity_failures${instance} 1\n`);
  expect(text).toContain(
    `\nregistry_manifest_integrity_failures_by_reason{instance="${registry.host}",reason="missing"} 1\n`,
  );
  expect(text).toContain(`\nregistry_manifest_integrity_catalog_accessible${instance} 1\n`);
  expect(text).toContain(`\nregistry_manifest_integrity_tags_checked${instance} 4\n`);
  // The check of a single image says nothing about the catalog, because it never requests it.
  await runWarden("verify", `${registry.host}/app:v1`, "--prometheus", prometheus);
  expect(readFileSync(prometheus, "utf8")).not.toContain("catalog_accessible");
});

test.each([
  ["in a folder that is not there", "nowhere/report.html", /^error: .*cannot be written \(ENOENT\)/],
  ["that is a folder", ".", /^error: .*cannot be written \(EISDIR\)/],
])("a page %s is told before the walk begins", async (_name, path, message) => {
  const { code, err } = await runWarden("verify", registry.host, "--html", join(folder, path));
  expect(code).toBe(2);
  expect(err).toMatch(message);
  expect(registry.seen).toEqual([]);
});

test("a run without a report leaves no empty page behind", async () => {
  const junit = join(folder, "report.xml");
  expect((await runWarden("verify", "127.0.0.1:1", "--junit", junit)).code).toBe(2);
  expect(existsSync(junit)).toBe(false);
});

test("a stack trace is printed for --debug only", async () => {
  expect((await runWarden("verify", "127.0.0.1:1")).err).not.toMatch(/\n\s+at /);
  expect((await runWarden("verify", "127.0.0.1:1", "--debug")).err).toMatch(/\n\s+at /);
});
