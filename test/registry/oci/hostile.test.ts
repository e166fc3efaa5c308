import { createServer, type Server, type Socket } from "node:net";
import type { Writable } from "node:stream";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { sha256 } from "../../../registry/oci/digest";
import { anyCharacter } from "../../any-character";
import { digestOf, image, index, manifest, multiPlatformImage } from "../../lab/images";
import { listenOnLoopback } from "../../loopback";
import { type FakeRegistry, json, verify } from "./fake-registry";
import { startFakeRegistry } from "./registry-of-test";

jest.mock("node:timers/promises", () => ({ setTimeout: () => Promise.resolve() }));

let registry: FakeRegistry;
const app = image("app");
const neighbour = image("neighbour");
beforeEach(async () => {
  registry = await startFakeRegistry();
  registry.push("app", app, "v1").push("neighbour", neighbour, "v1");
});

/** Seconds without a byte: short enough for a test, long enough on a busy machine. */
const TIMEOUT = 0.5;

const walkAll = () => verify(registry.url, {}, { timeout: TIMEOUT });

/** Sends the same piece until the other side has had enough. */
const sendForever = (to: Writable, piece: string): void => {
  const send = (): void => {
    while (to.write(piece));
    to.once("drain", send);
  };
  send();
};

describe("a hostile manifest ends in a clear finding, and the neighbour is walked", () => {
  const cases: [string, string, (registry: FakeRegistry) => void][] = [
    [
      "no json",
      "digest-mismatch",
      (it) =>
        it.on(
          /app\/manifests/,
          (_request, response) =>
            void response.writeHead(200, { "docker-content-digest": digestOf(app) }).end("<html>"),
        ),
    ],
    [
      "no json and no digest to hold it to",
      "malformed",
      (it) => it.on(/app\/manifests/, (_request, response) => void response.writeHead(200).end("<html>")),
    ],
    [
      "a gigabyte announced",
      "size-mismatch",
      (it) =>
        it.on(/app\/manifests/, (_request, response) => {
          response.writeHead(200, { "content-length": 1e9 });
          sendForever(response, "x".repeat(65536));
        }),
    ],
    [
      "an endless body",
      "size-mismatch",
      (it) =>
        it.on(/app\/manifests/, (_request, response) => {
          response.writeHead(200);
          sendForever(response, "x".repeat(65536));
        }),
    ],
    [
      "a body that stalls",
      "timeout",
      (it) =>
        it.on(/app\/manifests/, (_request, response) => {
          response.writeHead(200, { "content-length": app.bytes.length });
          response.write(app.bytes.subarray(0, 10));
        }),
    ],
    ["no answer at all", "timeout", (it) => it.on(/app\/manifests/, () => {})],
    [
      "a longer body announced than sent",
      "truncated",
      (it) =>
        it.on(/app\/manifests/, (request, response) => {
          response.writeHead(200, { "content-length": app.bytes.length + 10 });
          response.write(app.bytes, () => request.socket.destroy());
        }),
    ],
    ["a reset", "unreachable", (it) => it.on(/app\/manifests/, (request) => void request.socket.resetAndDestroy())],
    [
      "a redirect to itself",
      "malformed",
      (it) =>
        it.on(
          /app\/manifests/,
          (request, response) => void response.writeHead(302, { location: request.url ?? "" }).end(),
        ),
    ],
    [
      "a redirect to another protocol",
      "malformed",
      (it) =>
        it.on(
          /app\/manifests/,
          (_request, response) => void response.writeHead(302, { location: "file:///etc/passwd" }).end(),
        ),
    ],
    [
      "a redirect with a password",
      "malformed",
      (it) =>
        it.on(
          /app\/manifests/,
          (request, response) =>
            void response
              .writeHead(302, { location: `http://u:p@${it.host}/v2/neighbour${request.url?.slice(7)}` })
              .end(),
        ),
    ],
    [
      "a redirect to nowhere",
      "malformed",
      (it) => it.on(/app\/manifests/, (_request, response) => void response.writeHead(302).end()),
    ],
    [
      "a compressed bomb",
      "size-mismatch",
      (it) =>
        it.on(/app\/manifests/, (_request, response) => {
          const bomb = gzipSync(Buffer.alloc(50 * 1024 * 1024));
          response.writeHead(200, { "content-encoding": "gzip", "docker-content-digest": digestOf(app) }).end(bomb);
        }),
    ],
    [
      "another digest announced",
      "digest-mismatch",
      (it) =>
        it.on(
          /app\/manifests/,
          (_request, response) =>
            void response.writeHead(200, { "docker-content-digest": sha256("other") }).end(app.bytes),
        ),
    ],
    [
      "an answer that is no success",
      "malformed",
      (it) => it.on(/app\/manifests/, (_request, response) => void response.writeHead(204).end()),
    ],
    [
      "a refusal with an endless page",
      "missing",
      (it) =>
        it.on(/app\/manifests/, (_request, response) => {
          response.writeHead(404);
          sendForever(response, "x".repeat(65536));
        }),
    ],
  ];

  test.each(cases)("%s: %s", async (_name, reason, prepare) => {
    prepare(registry);
    const { failures, counts } = await walkAll();
    expect(failures).toMatchObject([{ repository: "app", reason, tags: ["v1"] }]);
    expect(failures[0]?.detail).toMatch(/^[ -~]{5,}$/);
    expect(counts.repositories).toBe(2);
    expect(counts.bytes).toBeLessThan(20 * 1024 * 1024);
  });
});

describe("a hostile listing ends in a clear finding", () => {
  const catalog = (body: string, headers: Record<string, string> = {}) =>
    registry.on(/_catalog/, (_request, response) => void response.writeHead(200, headers).end(body));

  test.each([
    ["no json", "<html>"],
    ["a list", "[]"],
    ["no repositories", "{}"],
    ["repositories that are no list", '{"repositories":{"a":1}}'],
  ])("a catalog that is %s", async (_name, body) => {
    catalog(body);
    expect(await walkAll()).toMatchObject({ complete: false, failures: [{ object: "catalog", reason: "malformed" }] });
  });

  test("names that are none are told, and the rest is walked", async () => {
    catalog(JSON.stringify({ repositories: ["../../etc", "a?b", "A", "app", 7, null, "x".repeat(300)] }));
    const report = await walkAll();
    expect(report).toMatchObject({
      complete: false,
      failures: [{ object: "catalog", reason: "malformed" }],
      counts: { repositories: 1 },
    });
    expect(registry.asked(/etc|\?b/)).toEqual([]);
  });

  test.each([
    ["leads back to itself", '</v2/_catalog>; rel="next"', /round in a circle/],
    ["is no address", '<http://[>; rel="next"', /no address/],
    ["is of another protocol", '<ftp://127.0.0.1/v2/_catalog?last=app>; rel="next"', /no address/],
  ])("a link that %s is not followed", async (_name, link, detail) => {
    catalog(JSON.stringify({ repositories: ["app"] }), { link });
    const { failures, complete } = await walkAll();
    expect(complete).toBe(false);
    expect(failures).toMatchObject([{ object: "catalog", reason: "malformed", detail: expect.stringMatching(detail) }]);
  });

  test("links that are always new and bring nothing end", async () => {
    let page = 0;
    registry.on(/_catalog/, (_request, response) => {
      json(response, 200, { repositories: ["app"] }, { link: `</v2/_catalog?last=${page++}>; rel="next"` });
    });
    const { failures } = await walkAll();
    expect(failures).toMatchObject([{ object: "catalog", detail: expect.stringMatching(/without bringing anything/) }]);
    expect(page).toBe(1001);
  });

  test("a link to another host is followed at the registry, without a word to that host", async () => {
    const other = await startFakeRegistry();
    try {
      registry.on("/v2/_catalog", (_request, response) => {
        json(response, 200, { repositories: [] }, { link: `<${other.url.origin}/v2/_catalog?n=9>; rel="next"` });
      });
      expect(await walkAll()).toMatchObject({ complete: true, failures: [], counts: { repositories: 2 } });
      expect(other.seen).toEqual([]);
    } finally {
      await other.stop();
    }
  });

  test("a link whose path looks like a host takes no credentials there", async () => {
    const other = await startFakeRegistry();
    try {
      registry.on(/^(?!.*other)/, (request, response) => {
        if (request.headers.authorization !== undefined) registry.serve(request, response);
        else json(response, 401, {}, { "www-authenticate": "Basic realm=x" });
      });
      registry.on("/v2/_catalog", (_request, response) => {
        const link = `<${registry.url.origin}//${other.host}/v2/_catalog?last=app>; rel="next"`;
        json(response, 200, { repositories: ["app"] }, { link });
      });
      const credentials = { kind: "password", username: "u", password: "p" } as const;
      await verify(registry.url, {}, { credentials });
      expect(registry.asked(/^\/\/127/)).toHaveLength(1);
      expect(other.seen).toEqual([]);
    } finally {
      await other.stop();
    }
  });

  test("a page without end", async () => {
    registry.on(/_catalog/, (_request, response) => {
      response.writeHead(200);
      response.write('{"repositories":["');
      sendForever(response, "x".repeat(65536));
    });
    expect(await walkAll()).toMatchObject({
      complete: false,
      failures: [{ object: "catalog", reason: "size-mismatch" }],
    });
  });

  test("a catalog that fails half-way is walked as far as it came", async () => {
    registry.pageSize = 1;
    registry.on(/_catalog\?last/, (_request, response) => json(response, 500, {}));
    expect(await walkAll()).toMatchObject({
      complete: false,
      failures: [{ object: "catalog", reason: "server-error", status: 500 }],
      counts: { repositories: 1, tags: 1 },
    });
  });

  test("100,000 tags", async () => {
    const tags = Array.from({ length: 100_000 }, (_, n) => `${n}`.padStart(100, "t"));
    registry.on(/app\/tags\/list/, (_request, response) => json(response, 200, { tags }));
    // Only the list is hostile here; two of its tags show that it was read.
    const selection = { kind: "present", tags: [tags[0] as string, tags[99_999] as string] } as const;
    const { failures } = await verify(registry.url, { selection, catalog: false, repositories: ["app"] });
    expect(failures.flatMap((failure) => failure.tags).sort()).toEqual([...selection.tags].sort());
  });
});

test("an index that contains itself is asked for once more, and then refused", async () => {
  const self = sha256("self");
  const body = JSON.stringify({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [{ mediaType: "application/vnd.oci.image.index.v1+json", digest: self, size: 10 }],
  });
  registry.on(/app\/manifests/, (_request, response) => {
    response.writeHead(200, { "content-type": "application/vnd.oci.image.index.v1+json" }).end(body);
  });
  const { failures } = await verify(registry.url);
  expect(failures).toMatchObject([{ object: "manifest", digest: self, reason: "size-mismatch" }]);
  expect(registry.asked(/app\/manifests/)).toHaveLength(2);
});

test("indexes nested two hundred deep are walked to the bottom", async () => {
  let made = index([image("bottom")]);
  for (let depth = 0; depth < 200; depth++) made = index([made]);
  registry.push("deep", made, "v1");
  const bottom = image("bottom");
  registry.repository("deep").blobs.delete(bottom.blobs[0]?.descriptor.digest ?? "");
  const report = await verify(registry.url, { catalog: false, repositories: ["deep"] });
  expect(report.counts).toMatchObject({ indexes: 201, manifests: 1 });
  expect(report.failures[0]?.path).toHaveLength(203);
});

test("an index of 500 missing children reports each of them", async () => {
  const children = Array.from({ length: 500 }, (_, n) => ({ digest: sha256(`${n}`), size: n }));
  const made = manifest({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: children,
  });
  registry.push("wide", made, "v1");
  const { failures } = await verify(registry.url, { catalog: false, repositories: ["wide"] });
  expect(failures).toHaveLength(500);
});

describe("a server that does not speak HTTP", () => {
  let server: Server;
  const open = new Set<Socket>();
  const listen = async (talk: (socket: Socket) => void): Promise<URL> => {
    server = createServer((socket) => {
      open.add(socket);
      socket.on("error", () => {});
      talk(socket);
    });
    return new URL(`http://${await listenOnLoopback(server)}`);
  };
  afterEach(async () => {
    for (const socket of open) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  test.each<[string, string, (socket: Socket) => void]>([
    ["closes at once", "unreachable", (socket) => socket.destroy()],
    ["answers like a mail server", "unreachable", (socket) => socket.end("220 mail.example.org ESMTP\r\n")],
    ["says nothing", "timeout", () => {}],
    [
      "sends headers without end",
      "unreachable",
      (socket) => {
        socket.write("HTTP/1.1 200 OK\r\n");
        sendForever(socket, `x-y: ${"z".repeat(1000)}\r\n`);
      },
    ],
  ])("and %s is %s", async (_name, code, talk) => {
    const url = await listen(talk);
    await expect(verify(url, {}, { timeout: TIMEOUT })).rejects.toMatchObject({ code, hint: expect.any(String) });
  });
});

test("a body that trickles, a byte before each time-out, has an end", async () => {
  registry.on(/_catalog/, (_request, response) => {
    response.writeHead(200);
    response.write("[");
    const trickle = setInterval(() => response.write(" "), 5);
    response.on("close", () => clearInterval(trickle));
  });
  const report = await verify(registry.url, {}, { timeout: 0.02 });
  expect(report.failures).toMatchObject([{ object: "catalog", reason: "timeout", detail: "the body trickles" }]);
});

test("a server that answers 1xx without end has an end", async () => {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      sendForever(socket, "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n");
    });
  });
  const url = new URL(`http://${await listenOnLoopback(server)}`);
  try {
    await expect(verify(url)).rejects.toMatchObject({
      code: "unreachable",
      message: expect.stringMatching(/1xx without end/),
    });
  } finally {
    server.close();
  }
});

test("a server without TLS where https is asked for is told so", async () => {
  const url = new URL(registry.url.href.replace("http:", "https:"));
  await expect(verify(url)).rejects.toMatchObject({
    code: "unreachable",
    message: expect.stringContaining("does not speak tls"),
  });
});

/** Like `fc.webUrl`, but without the large table that anyCharacter avoids. */
const anyUrl = fc
  .tuple(fc.constantFrom("http", "https"), fc.domain(), fc.array(fc.string({ unit: anyCharacter })))
  .map(([scheme, host, path]) => `${scheme}://${[host, ...path.map(encodeURIComponent)].join("/")}`);

test("whatever a server answers, the walk ends with a report or with the reason why there is none", async () => {
  const status = fc.constantFrom(200, 200, 200, 204, 206, 301, 400, 401, 404, 416, 429, 500, 503);
  const body = fc.oneof(
    fc.constant(app.bytes.toString()),
    fc.constant('{"repositories":["app","b"]}'),
    fc.constant('{"tags":["v1","v2"]}'),
    fc.json(),
    fc.string(),
  );
  const headers = fc.record(
    {
      link: fc.oneof(
        fc.constant('</v2/_catalog?last=b>; rel="next"'),
        anyUrl.map((url) => `<${url}>; rel=next`),
      ),
      location: fc.oneof(fc.constant("/v2/"), fc.constant("//")),
      "docker-content-digest": fc.constantFrom(digestOf(app), sha256("x"), "nonsense"),
      "retry-after": fc.constantFrom("0", "soon", "-1"),
      "www-authenticate": fc.constantFrom("Basic realm=x", 'Bearer realm="/token"', "nonsense"),
      "content-range": fc.constantFrom("bytes 0-0/1", "nonsense"),
    },
    { requiredKeys: [] },
  );
  const answer = fc.record({ status, body, headers });
  await fc.assert(
    fc.asyncProperty(fc.array(answer, { minLength: 1, maxLength: 8 }), async (answers) => {
      const fake = await startFakeRegistry();
      try {
        let at = 0;
        fake.on(/./, (request, response) => {
          const { status, body, headers } = answers[at++ % answers.length] as (typeof answers)[number];
          response.writeHead(status, headers);
          response.end(request.method === "HEAD" || status === 204 ? undefined : body);
        });
        const outcome = await verify(
          fake.url,
          {},
          { timeout: TIMEOUT, credentials: { kind: "password", username: "u", password: "p" } },
        ).catch((error: Error) => error);
        if (outcome instanceof Error)
          expect(outcome).toMatchObject({ name: "RegistryError", hint: expect.any(String) });
        else expect(outcome.counts.requests).toBe(fake.seen.length);
      } finally {
        await fake.stop();
      }
    }),
    { numRuns: 40 },
  );
});

test("a healthy index under a hostile reverse proxy is not accused: a cut connection is believed only when it repeats", async () => {
  const made = multiPlatformImage("flaky");
  registry.push("flaky", made, "v1");
  const cut = new Set<string>();
  registry.on(/^\/v2\/flaky\//, (request, response) => {
    const path = request.url ?? "";
    if (cut.has(path)) registry.serve(request, response);
    else {
      cut.add(path);
      request.socket.destroy();
    }
  });
  const report = await verify(registry.url, { catalog: false, repositories: ["flaky"] });
  expect(report).toMatchObject({ complete: true, failures: [], counts: { blobs: 6 } });
});
