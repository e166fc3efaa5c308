import { createPrivateKey, createSign, randomUUID, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createTcpServer } from "node:net";
import { join } from "node:path";
import { stringify } from "yaml";
import type { ClientOptions } from "../../registry/oci/client";
import type { Report, WalkOptions } from "../../registry/oci/walk";
import { StorageLayout } from "../../registry/storage/layout";
import { serveOnLoopback } from "../loopback";
import { verify as walkUrl } from "../registry/oci/fake-registry";
import { createCertificateAuthority } from "./certificates";
import { describeWith } from "./components";
import {
  artifact,
  attestation,
  digestOf,
  fallbackTagOf,
  image,
  index,
  layer,
  multiPlatformImage,
  push,
  type SyntheticManifest,
} from "./images";
import { accepts, freePort, type RunningProcess, startProcess, temporaryFolder } from "./process";
import { type LabRegistry, labRegistryConfiguration, startRegistry } from "./registry";

// The machine may have only two cores, shared with other tests.
jest.setTimeout(60_000);

const verify = (
  url: string,
  options: Partial<WalkOptions> = {},
  client: Partial<ClientOptions> = {},
): Promise<Report> => walkUrl(new URL(url), options, { timeout: 30, ...client });

/** Everything that can be reached from a manifest, as a walk counts it. */
const contentsOf = (manifest: SyntheticManifest, seen = new Set<string>()): Set<string> => {
  seen.add(digestOf(manifest));
  for (const blob of manifest.blobs) seen.add(digestOf(blob));
  for (const child of manifest.manifests) contentsOf(child, seen);
  return seen;
};

describeWith(["registry"], "the incident: garbage-collect -m on 2.8.3", () => {
  let registry: LabRegistry;
  afterEach(() => registry?.stop());

  test("every child that is gone is reported, with its tag and path, and nothing else", async () => {
    registry = await startRegistry();
    const signed = image("signed");
    const nestedLeaf = image("nested leaf");
    const attested = image("attested");
    const images = {
      "oci-index": multiPlatformImage("oci", { platforms: ["amd64", "arm64", "riscv64"] }),
      "docker-list": multiPlatformImage("docker", { format: "docker" }),
      nested: index([index([nestedLeaf]), image("beside")]),
      attested: index([attested, attestation(attested)]),
      plain: image("plain"),
      artifact: artifact("sbom"),
    };
    for (const [name, made] of Object.entries(images)) await push(registry, `ci/${name}`, made, "latest");
    await push(registry, "ci/plain", signed, "signed");
    await push(registry, "ci/plain", artifact("signature", { subject: signed }), fallbackTagOf(signed));
    expect(await verify(registry.url, { blobs: "hash" })).toMatchObject({ complete: true, failures: [] });

    await registry.shutDown();
    await registry.collectGarbage({ deleteUntagged: true });
    await registry.restart();

    const { failures, complete } = await verify(registry.url);
    expect(complete).toBe(true);
    const expected = (["oci-index", "docker-list", "nested", "attested"] as const).flatMap((name) =>
      images[name].manifests.map((child) => ({
        repository: `ci/${name}`,
        tags: ["latest"],
        digest: digestOf(child),
        object: "manifest",
        reason: "missing",
        status: 404,
        path: [digestOf(images[name]), digestOf(child)],
      })),
    );
    expect(failures).toHaveLength(expected.length);
    expect(failures).toEqual(expect.arrayContaining(expected.map((each) => expect.objectContaining(each))));
    const platforms = failures
      .filter(({ repository }) => repository === "ci/oci-index")
      .map(({ platform }) => platform);
    expect(platforms.sort()).toEqual(["linux/amd64", "linux/arm64", "linux/riscv64"]);
  });
});

/** A token for distribution's token authentication, signed with the key of a certificate that it trusts. */
const tokenFor = (scope: string | null, issuer: { certificate: string; key: string }): string => {
  const [type, name, actions] = /^([^:]+):(.+):([^:]+)$/.exec(scope ?? "")?.slice(1) ?? [];
  const now = Math.floor(Date.now() / 1000);
  const encode = (part: unknown): string => Buffer.from(JSON.stringify(part)).toString("base64url");
  const certificate = new X509Certificate(readFileSync(issuer.certificate));
  const header = { typ: "JWT", alg: "ES256", x5c: [certificate.raw.toString("base64")] };
  const access = type === undefined ? [] : [{ type, name, actions: actions?.split(",") }];
  const times = { iat: now, nbf: now - 10, exp: now + 60 };
  const signed = `${encode(header)}.${encode({ iss: "lab", sub: "prober", aud: "lab", jti: randomUUID(), ...times, access })}`;
  const key = createPrivateKey(readFileSync(issuer.key));
  return `${signed}.${createSign("sha256").update(signed).sign({ key, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
};

describeWith(["registry"], "access to a real registry", ({ registry: { command } }) => {
  let registry: LabRegistry;
  afterEach(() => registry?.stop());
  const credentials = { kind: "password", username: "prober", password: "a long password" } as const;

  test.each([5, 10])("htpasswd of bcrypt cost %i: no more requests than distinct objects and pages", async (cost) => {
    registry = await startRegistry({ htpasswd: { ...credentials, cost } });
    const made = multiPlatformImage("app", { layers: [layer("base")] });
    await push({ url: registry.url, credentials }, "app", made, "v1", "latest");

    const report = await verify(registry.url, { credentialsGiven: true }, { credentials });
    expect(report).toMatchObject({ complete: true, failures: [] });
    // The request for a tag returns its manifest; the catalog and the tags have one page each, and two requests are
    // about protocol support.
    const [tags, pages, questions] = [2, 2, 2];
    expect(report.counts.requests).toBe(tags + contentsOf(made).size - 1 + pages + questions);

    await expect(verify(registry.url)).rejects.toMatchObject({ code: "unauthorized" });
    const wrong = { ...credentials, password: "wrong" };
    await expect(verify(registry.url, {}, { credentials: wrong })).rejects.toMatchObject({ code: "unauthorized" });
  });

  test("TLS with a private authority", async () => {
    const authority = createCertificateAuthority();
    const other = createCertificateAuthority();
    try {
      const { certificate, key } = authority.issue(["localhost"], { days: 7 });
      registry = await startRegistry({ tls: { certificate, key } });
      const url = registry.url.replace("127.0.0.1", "localhost");
      const ca = readFileSync(authority.certificate, "utf8");
      const report = await verify(url, {}, { ca });
      expect(report.failures).toMatchObject([{ object: "catalog", reason: "coverage" }]);
      // Without the CA, with a different one, and by a name that is not in the certificate.
      await expect(verify(url)).rejects.toMatchObject({
        code: "unreachable",
        hint: expect.stringContaining("--ca-file"),
      });
      const stranger = readFileSync(other.certificate, "utf8");
      await expect(verify(url, {}, { ca: stranger })).rejects.toMatchObject({ code: "unreachable" });
      await expect(verify(registry.url, {}, { ca })).rejects.toMatchObject({ code: "unreachable" });
      expect((await verify(registry.url, {}, { insecureSkipTlsVerify: true })).complete).toBe(true);
      // With the wrong scheme.
      await expect(verify(url.replace("https:", "http:"))).rejects.toMatchObject({
        hint: expect.stringContaining("https"),
      });
    } finally {
      authority.remove();
      other.remove();
    }
  });

  test("an image that is named, with its signature under a fallback tag", async () => {
    registry = await startRegistry();
    const made = multiPlatformImage("app");
    const signature = artifact("signature", { subject: made });
    await push(registry, "ci/app", made, "v1");
    await push(registry, "ci/app", index([signature]), fallbackTagOf(made));
    const options = { catalog: false, repositories: ["ci/app"], selection: { kind: "named", tags: ["v1"] } } as const;
    expect(await verify(registry.url, options)).toMatchObject({ complete: true, failures: [], counts: { tags: 2 } });
    const lost = digestOf(signature.blobs[1] as SyntheticManifest);
    rmSync(new StorageLayout(registry.root).blobData(lost));
    await registry.restart();
    expect((await verify(registry.url, options)).failures).toMatchObject([
      { object: "layer", digest: lost, tags: [fallbackTagOf(made)], reason: "missing" },
    ]);
  });

  test("a page size of 3", async () => {
    registry = await startRegistry({ maxEntries: 3 });
    for (let n = 0; n < 8; n++) await push(registry, `p/r${n}`, image(`${n}`), "v1");
    expect(await verify(registry.url)).toMatchObject({
      complete: true,
      failures: [],
      counts: { repositories: 8, tags: 8 },
    });
  });

  test("a token service, for each repository", async () => {
    const folder = temporaryFolder("token");
    const authority = createCertificateAuthority();
    const issuer = authority.issue(["token.example"]);
    const asked: string[] = [];
    const service = await serveOnLoopback((request, response) => {
      const url = new URL(request.url ?? "", "http://token");
      asked.push(url.searchParams.get("scope") ?? "");
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ token: tokenFor(url.searchParams.get("scope"), issuer), expires_in: 60 }));
    });
    let running: RunningProcess | undefined;
    try {
      const port = await freePort();
      const root = join(folder, "storage");
      mkdirSync(root);
      const realm = `${service.url}/token`;
      const configuration = {
        ...labRegistryConfiguration({}, { root, htpasswd: "" }, port),
        auth: { token: { realm, service: "lab", issuer: "lab", rootcertbundle: authority.certificate } },
      };
      writeFileSync(join(folder, "config.yml"), stringify(configuration));
      registry = await startRegistry({ root });
      await push(registry, "a/app", multiPlatformImage("a"), "v1");
      await push(registry, "b", image("b"), "v1");
      running = await startProcess([...command, "serve", join(folder, "config.yml")], { ready: () => accepts(port) });

      const report = await verify(`http://127.0.0.1:${port}`, {}, { credentials });
      expect(report).toMatchObject({ complete: true, failures: [], counts: { repositories: 2 } });
      expect(asked.sort()).toEqual(["", "registry:catalog:*", "repository:a/app:pull", "repository:b:pull"]);
    } finally {
      await running?.stop();
      await service.stop();
      authority.remove();
      rmSync(folder, { recursive: true });
    }
  });
});

describeWith(["registry", "nginx"], "a registry behind nginx", ({ nginx }) => {
  let registry: LabRegistry;
  let proxy: RunningProcess | undefined;
  let folder: string;

  beforeEach(async () => {
    folder = temporaryFolder("reverse-proxy");
    registry = await startRegistry();
  });
  afterEach(async () => {
    await proxy?.stop();
    await registry.stop();
    rmSync(folder, { recursive: true });
  });

  /** Starts nginx in front of the registry. @param directives for its only location */
  const startReverseProxy = async (...directives: string[]): Promise<string> => {
    const port = await freePort();
    const lines = [
      "daemon off; master_process off; error_log stderr warn; pid nginx.pid;",
      "events {}",
      "http {",
      "  access_log off; client_body_temp_path t; proxy_temp_path t; fastcgi_temp_path t; uwsgi_temp_path t; scgi_temp_path t;",
      `  upstream registry { server ${registry.host}; keepalive 8; }`,
      `  server { listen 127.0.0.1:${port}; client_max_body_size 0;`,
      `    location / { proxy_pass http://registry; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host; ${directives.join(" ")} } }`,
      "}",
    ];
    writeFileSync(join(folder, "nginx.conf"), lines.join("\n"));
    proxy = await startProcess([...nginx.command, "-p", folder, "-c", join(folder, "nginx.conf")], {
      ready: () => accepts(port),
    });
    return `http://127.0.0.1:${port}`;
  };

  test("is walked through it, and blobs that its cache only remembers are found", async () => {
    const url = await startReverseProxy("proxy_buffering off;");
    const made = image("app");
    await push({ url }, "app", made, "v1");
    await push({ url }, "healthy", multiPlatformImage("healthy"), "v1");
    expect(await verify(url)).toMatchObject({ complete: true, failures: [] });
    const lost = digestOf(made.blobs[1] as SyntheticManifest);
    rmSync(new StorageLayout(registry.root).blobData(lost));
    const report = await verify(url);
    expect(report).toMatchObject({
      complete: true,
      failures: [{ repository: "app", digest: lost, reason: "truncated", status: 206 }],
    });
  });

  test("that drops the Accept header is told so, for OCI and for Docker images", async () => {
    const url = await startReverseProxy('proxy_set_header Accept "*/*";');
    await push(registry, "oci", multiPlatformImage("oci"), "v1");
    await push(registry, "docker", image("docker", { format: "docker" }), "v1");
    for (const repository of ["oci", "docker"]) {
      const attempt = verify(url, { catalog: false, repositories: [repository] });
      await expect(attempt).rejects.toMatchObject({ code: "accept-dropped" });
    }
  });

  test("that cannot reach it is no walk", async () => {
    const url = await startReverseProxy();
    await registry.shutDown();
    // Keep the port, or a registry of another test might get it.
    const holder = createTcpServer((socket) => socket.destroy()).listen(
      Number(new URL(registry.url).port),
      "127.0.0.1",
    );
    await once(holder, "listening");
    try {
      await expect(verify(url)).rejects.toMatchObject({ code: "unreachable", message: expect.stringContaining("502") });
    } finally {
      holder.close();
    }
  });
});

describe.each(["registry", "registry-v3"] as const)("%s", (component) => {
  describeWith(["registry", component], "as a pull-through cache", () => {
    let upstream: LabRegistry;
    let cache: LabRegistry;
    beforeEach(async () => {
      upstream = await startRegistry();
      cache = await startRegistry({ component, proxy: { url: upstream.url } });
    });
    afterEach(async () => {
      await cache?.stop();
      await upstream?.stop();
    });
    const walkCache = () => verify(cache.url, { role: "proxy", blobs: "none", catalog: false, repositories: ["app"] });

    test("may lack what its upstream has lost, and is not filled with blobs", async () => {
      const made = multiPlatformImage("app");
      await push(upstream, "app", made, "v1");
      await fetch(`${upstream.url}/v2/app/manifests/${digestOf(made.manifests[0] as SyntheticManifest)}`, {
        method: "DELETE",
      });
      const report = await walkCache();
      expect(report).toMatchObject({
        complete: true,
        failures: [],
        counts: { tags: 1, indexes: 1, manifests: 1, blobs: 0 },
      });
    });

    test("whose upstream is down is incomplete, and nothing is accused", async () => {
      const made = multiPlatformImage("app");
      await push(upstream, "app", made, "v1");
      const accept = "application/vnd.oci.image.index.v1+json";
      await fetch(`${cache.url}/v2/app/manifests/v1`, { headers: { accept } });
      await upstream.shutDown();
      expect(await walkCache()).toMatchObject({ complete: false, failures: [] });
    });
  });
});
