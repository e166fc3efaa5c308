import fc from "fast-check";
import { type Challenge, parseChallenges } from "../../../registry/oci/authorization";
import { RegistryClient } from "../../../registry/oci/client";
import type { Credentials } from "../../../registry/oci/credentials";
import { image } from "../../lab/images";
import { type FakeRegistry, json, verify } from "./fake-registry";
import { startFakeRegistry } from "./registry-of-test";

jest.mock("node:timers/promises", () => ({ setTimeout: () => Promise.resolve() }));

describe("challenges", () => {
  test.each<[string, string | string[] | undefined, Challenge[]]>([
    ["none", undefined, []],
    ["Basic", 'Basic realm="Registry Realm"', [{ scheme: "basic", parameters: { realm: "Registry Realm" } }]],
    [
      "Bearer with everything",
      'Bearer realm="https://auth.example.org/token",service="registry",scope="repository:a/b:pull,push"',
      [
        {
          scheme: "bearer",
          parameters: {
            realm: "https://auth.example.org/token",
            service: "registry",
            scope: "repository:a/b:pull,push",
          },
        },
      ],
    ],
    ["an escaped quote", 'Basic realm="a \\"b\\""', [{ scheme: "basic", parameters: { realm: 'a "b"' } }]],
    ["names in any case, no quotes", "BEARER Realm=x", [{ scheme: "bearer", parameters: { realm: "x" } }]],
    [
      "two in one line",
      'Basic realm="x", Bearer realm="y",service=z',
      [
        { scheme: "basic", parameters: { realm: "x" } },
        { scheme: "bearer", parameters: { realm: "y", service: "z" } },
      ],
    ],
    [
      "two in two lines",
      ["Negotiate", 'Basic realm="x"'],
      [
        { scheme: "negotiate", parameters: {} },
        { scheme: "basic", parameters: { realm: "x" } },
      ],
    ],
  ])("%s", (_name, header, expected) => {
    expect(parseChallenges(header)).toEqual(expected);
  });

  test("any header is read without an error", () => {
    fc.assert(fc.property(fc.string(), (header) => void parseChallenges(`Bearer ${header}`)));
  });
});

const USER: Credentials = { kind: "password", username: "prober", password: "s3cret ü" };
const BASIC = `Basic ${Buffer.from("prober:s3cret ü").toString("base64")}`;

let registry: FakeRegistry;
beforeEach(async () => {
  registry = await startFakeRegistry();
  registry.push("app", image("app"), "v1").push("other", image("other"), "v1");
});

describe("a registry with Basic", () => {
  beforeEach(() => {
    registry.on(/./, (request, response) => {
      if (request.headers.authorization === BASIC) registry.serve(request, response);
      else json(response, 401, {}, { "www-authenticate": 'Basic realm="lab"' });
    });
  });

  test("lets the right credentials in, and they are sent unasked from then on", async () => {
    const report = await verify(registry.url, { credentialsGiven: true }, { credentials: USER });
    expect(report).toMatchObject({ complete: true, failures: [] });
    expect(registry.seen.filter(({ headers }) => headers.authorization === undefined)).toHaveLength(1);
  });

  test("refuses wrong ones: nothing is walked", async () => {
    const wrong: Credentials = { kind: "password", username: "prober", password: "wrong" };
    await expect(verify(registry.url, {}, { credentials: wrong })).rejects.toMatchObject({
      code: "unauthorized",
      message: expect.stringContaining("refused"),
    });
    expect(registry.seen.map(({ path }) => path)).toEqual(["/v2/", "/v2/_catalog"]);
  });

  test("refuses wrong ones where only repositories are named: no walk either", async () => {
    const wrong: Credentials = { kind: "password", username: "prober", password: "wrong" };
    const named = { catalog: false, repositories: ["app", "other"] };
    const refused = verify(registry.url, named, { credentials: wrong, concurrency: 1 });
    await expect(refused).rejects.toMatchObject({ code: "unauthorized", message: expect.stringContaining("refused") });
    // One attempt with a wrong password, not one of each repository, which would lock the account.
    expect(registry.seen.map(({ path }) => path)).toEqual(["/v2/", "/v2/app/tags/list"]);
  });

  test("that lets in but refuses one repository: a failure of that one", async () => {
    registry.on(/^\/v2\/other\//, (_request, response) =>
      json(response, 401, {}, { "www-authenticate": "Basic realm=x" }),
    );
    const report = await verify(registry.url, {}, { credentials: USER });
    expect(report.failures).toMatchObject([{ repository: "other", reason: "unauthorized", status: 401 }]);
  });

  test("refuses a walk without credentials", async () => {
    await expect(verify(registry.url)).rejects.toMatchObject({
      code: "unauthorized",
      message: expect.stringContaining("needs credentials"),
    });
  });
});

describe("a registry with a token service", () => {
  let service: FakeRegistry;
  let issued: string[];
  /** The scope that each token was requested for. */
  const scopesOf = new Map<string, string[]>();
  /** Scopes that the service does not grant. */
  let denied: RegExp;
  let refusal: number;
  let lifetime: number | undefined;

  beforeEach(async () => {
    service = await startFakeRegistry();
    issued = [];
    scopesOf.clear();
    denied = /^$/;
    refusal = 403;
    lifetime = 300;
    service.on(/^\/token/, (request, response) => {
      const url = new URL(request.url ?? "", service.url);
      const scope = url.searchParams.get("scope") ?? "";
      if (request.headers.authorization !== BASIC) json(response, 401, {});
      else if (denied.test(scope)) json(response, refusal, { errors: [{ code: "DENIED" }] });
      else {
        const token = `${scope}#${issued.length}`;
        issued.push(token);
        scopesOf.set(token, url.searchParams.getAll("scope"));
        json(response, 200, { token, ...(lifetime !== undefined && { expires_in: lifetime }) });
      }
    });
    registry.on(/./, (request, response) => {
      const path = request.url ?? "";
      const repository = /^\/v2\/(.+)\/(?:manifests|blobs|tags|referrers)\//.exec(path)?.[1];
      const scope = repository ? `repository:${repository}:pull` : path === "/v2/" ? "" : "registry:catalog:*";
      const token = /^Bearer (.*)$/.exec(request.headers.authorization ?? "")?.[1] ?? "none";
      if (issued.includes(token) && token.startsWith(`${scope}#`)) return void registry.serve(request, response);
      const challenge = `Bearer realm="${service.url}token",service="lab",scope="${scope}"`;
      json(response, 401, {}, { "www-authenticate": challenge });
    });
  });

  test("is asked with a token for each scope, and each is fetched once", async () => {
    const report = await verify(registry.url, { credentialsGiven: true }, { credentials: USER });
    expect(report).toMatchObject({ complete: true, failures: [] });
    const scopes = service.seen.map(({ path }) => new URL(path, service.url).searchParams.get("scope"));
    expect(scopes.sort()).toEqual([null, "registry:catalog:*", "repository:app:pull", "repository:other:pull"]);
    expect(service.seen[0]?.path).toContain("service=lab&account=prober");
  });

  test("gives new tokens when the old ones expire", async () => {
    const client = new RegistryClient({ url: registry.url, credentials: USER });
    // Shorter than any request takes, so that each request needs a new token.
    lifetime = 0.000_001;
    await client.ping();
    for (let each = 0; each < 3; each++) expect((await client.tags("app")).status).toBe(200);
    expect(issued.filter((token) => token.startsWith("repository:app"))).toHaveLength(3);
    await client.close();
  });

  test("gives a new token when the registry no longer takes the old one", async () => {
    const client = new RegistryClient({ url: registry.url, credentials: USER });
    await client.ping();
    expect((await client.tags("app")).status).toBe(200);
    issued.splice(0);
    issued.push("revoked the others");
    const answers = await Promise.all([client.tags("app"), client.tags("app"), client.tags("app")]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    await client.close();
  });

  test("that refuses the credentials ends the work", async () => {
    const wrong: Credentials = { kind: "password", username: "prober", password: "wrong" };
    await expect(verify(registry.url, {}, { credentials: wrong })).rejects.toMatchObject({
      code: "unauthorized",
      message: expect.stringContaining("token service"),
    });
  });

  test.each([401, 403])("that refuses one repository with %i is a failure of that one", async (status) => {
    denied = /repository:other/;
    refusal = status;
    const report = await verify(registry.url, {}, { credentials: USER });
    expect(report).toMatchObject({
      complete: false,
      failures: [{ repository: "other", object: "repository", reason: "unauthorized", status: 401 }],
    });
  });

  test("that answers nonsense is no token", async () => {
    service.on(/^\/token/, (_request, response) => json(response, 200, { token: "two\nlines" }));
    await expect(verify(registry.url, {}, { credentials: USER })).rejects.toMatchObject({ code: "unauthorized" });
  });

  test("is asked for the scope that a challenge names, beside our own", async () => {
    registry.on("/v2/_catalog", (request, response) => {
      const token = /^Bearer (.*)$/.exec(request.headers.authorization ?? "")?.[1] ?? "none";
      if (scopesOf.get(token)?.includes("repository::pull")) return void registry.serve(request, response);
      const challenge = `Bearer realm="${service.url}token",service="lab",scope="repository::pull"`;
      json(response, 401, {}, { "www-authenticate": challenge });
    });
    const report = await verify(registry.url, {}, { credentials: USER });
    expect(report).toMatchObject({ complete: true, failures: [], counts: { repositories: 2 } });
    expect([...scopesOf.values()]).toContainEqual(["registry:catalog:*", "repository::pull"]);
  });

  test("that hands out something else for the scope of a challenge is asked a bounded number of times", async () => {
    registry.on("/v2/_catalog", (_request, response) => {
      const challenge = `Bearer realm="${service.url}token",service="lab",scope="${"x ".repeat(issued.length + 50)}"`;
      json(response, 401, {}, { "www-authenticate": challenge });
    });
    await expect(verify(registry.url, {}, { credentials: USER })).rejects.toMatchObject({ code: "unauthorized" });
    expect(service.seen.length).toBeLessThan(10);
    for (const scopes of scopesOf.values()) expect(scopes.length).toBeLessThan(20);
  });

  test("takes an identity token by POST", async () => {
    service.on(/^\/token/, (request, response) => {
      let body = "";
      request.on("data", (piece) => {
        body += piece;
      });
      request.on("end", () => {
        const form = new URLSearchParams(body);
        if (form.get("refresh_token") !== "refresh" || form.get("grant_type") !== "refresh_token") {
          json(response, 401, {});
          return;
        }
        const token = `${form.get("scope") ?? ""}#identity`;
        issued.push(token);
        json(response, 200, { access_token: token });
      });
    });
    const report = await verify(registry.url, {}, { credentials: { kind: "identity-token", token: "refresh" } });
    expect(report).toMatchObject({ complete: true, failures: [] });
  });
});

describe("a registry that is open to all, or to some", () => {
  test("is told the credentials where it answers 200 with a challenge: it shows more to whom it knows", async () => {
    registry.on("/v2/", (_request, response) => json(response, 200, {}, { "www-authenticate": "Basic realm=zot" }));
    registry.on("/v2/_catalog", (request, response) => {
      const repositories = request.headers.authorization === BASIC ? ["app", "other"] : ["app"];
      json(response, 200, { repositories });
    });
    const known = await verify(registry.url, { credentialsGiven: true }, { credentials: USER });
    expect(known).toMatchObject({ failures: [], counts: { repositories: 2 } });
    expect(await verify(registry.url)).toMatchObject({ failures: [], counts: { repositories: 1 } });
  });

  test("allows an anonymous pull of a named image, although its ping asks for Basic", async () => {
    for (const path of ["/v2/", "/v2/_catalog"]) {
      registry.on(path, (_request, response) => json(response, 401, {}, { "www-authenticate": "Basic realm=olareg" }));
    }
    const named = await verify(registry.url, { catalog: false, repositories: ["app"] });
    expect(named).toMatchObject({ complete: true, failures: [], counts: { tags: 1 } });
    // The catalog is not open to everybody.
    await expect(verify(registry.url)).rejects.toMatchObject({
      code: "unauthorized",
      message: expect.stringContaining("needs credentials"),
    });
  });
});

describe("credentials stay where they belong", () => {
  beforeEach(() => {
    registry.on(/^\/v2\//, (request, response) => {
      if (request.headers.authorization === BASIC) registry.serve(request, response);
      else json(response, 401, {}, { "www-authenticate": "Basic realm=lab" });
    });
  });

  test("a blob that is sent on to another host is fetched there without them", async () => {
    const storage = await startFakeRegistry();
    try {
      storage.on(/^\/storage\//, (request, response) => {
        request.url = request.url?.replace("/storage/", "/v2/app/blobs/").replace(/\?.*$/, "");
        registry.serve(request, response);
      });
      registry.on(/^\/v2\/app\/blobs\//, (request, response) => {
        const digest = request.url?.split("/").pop();
        response.writeHead(307, { location: `${storage.url}storage/${digest}?signature=s` });
        response.end();
      });
      const report = await verify(registry.url, { repositories: ["app"], catalog: false }, { credentials: USER });
      expect(report).toMatchObject({ complete: true, failures: [], counts: { blobs: 3 } });
      expect(storage.seen).toHaveLength(3);
      for (const { headers } of storage.seen) {
        expect(headers.authorization).toBeUndefined();
        expect(headers.range).toMatch(/^bytes=/);
      }
    } finally {
      await storage.stop();
    }
  });

  test.each([
    ["Basic", () => "Basic realm=trap"],
    ["Bearer, which names a token service", (trap: URL) => `Bearer realm="${trap}token",service="trap"`],
  ])("another host's challenge is not answered: %s", async (_scheme, challenge) => {
    const other = await startFakeRegistry();
    try {
      other.on(/./, (_request, response) => {
        json(response, 401, {}, { "www-authenticate": challenge(other.url) });
      });
      registry.on(/^\/v2\/app\/blobs\//, (_request, response) => {
        response.writeHead(302, { location: `${other.url}trap` });
        response.end();
      });
      const report = await verify(registry.url, { repositories: ["app"], catalog: false }, { credentials: USER });
      expect(report.failures).toHaveLength(3);
      expect(other.seen.map(({ path }) => path)).toEqual(Array(3).fill("/trap"));
      expect(other.seen.every(({ headers }) => headers.authorization === undefined)).toBe(true);
    } finally {
      await other.stop();
    }
  });
});
