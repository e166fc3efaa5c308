import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { BLOB_CHECKS, isTurnOf } from "../../../registry/oci/blob-check";
import { sha256 } from "../../../registry/oci/digest";
import { image, layer } from "../../lab/images";
import { type FakeRegistry, type Handler, json, verify } from "./fake-registry";
import { startFakeRegistry } from "./registry-of-test";

jest.mock("node:timers/promises", () => ({ setTimeout: () => Promise.resolve() }));

let registry: FakeRegistry;
const made = image("app", { layers: [layer("one"), layer("two"), layer("three")] });
beforeEach(async () => {
  registry = await startFakeRegistry();
  registry.push("app", made, "v1");
});

/** The blob that a request asks for. */
const bytesOf = (path = ""): Buffer | undefined => registry.repository("app").blobs.get(path.split("/").pop() ?? "");

/** Serves blobs but ignores Range. */
const ignoresRange: Handler = (request, response) => {
  delete request.headers.range;
  registry.serve(request, response);
};
const refusesRange =
  (status: number): Handler =>
  (request, response) => {
    if (request.headers.range === undefined) registry.serve(request, response);
    else json(response, status, {});
  };
const refusesHead =
  (status: number, otherwise: Handler): Handler =>
  (request, response) => {
    if (request.method === "HEAD") response.writeHead(status).end();
    else otherwise(request, response);
  };
const serves: Handler = (request, response) => registry.serve(request, response);

const LOST = /takes no Range: a blob that it announces and has lost or cut off goes unseen/;

describe.each<[string, Handler, string, string, RegExp | null]>([
  ["ignores Range", ignoresRange, "last-byte", "head", LOST],
  ["refuses Range with 400", refusesRange(400), "last-byte", "head", LOST],
  ["refuses Range with 403", refusesRange(403), "last-byte", "head", LOST],
  ["refuses Range with 501", refusesRange(501), "last-byte", "head", LOST],
  ["refuses HEAD with 405", refusesHead(405, serves), "head", "last-byte", /no HEAD/],
  ["refuses HEAD with 501", refusesHead(501, serves), "head", "last-byte", /no HEAD/],
  ["refuses HEAD with 405", refusesHead(405, serves), "last-byte", "last-byte", null],
  ["refuses HEAD, and ignores Range", refusesHead(405, ignoresRange), "head", "head", /neither Range nor HEAD/],
  ["refuses HEAD, and ignores Range", refusesHead(405, ignoresRange), "last-byte", "head", /neither Range nor HEAD/],
  ["refuses HEAD and Range", refusesHead(405, refusesRange(403)), "last-byte", "head", /neither Range nor HEAD/],
  ["refuses HEAD and Range", refusesHead(405, refusesRange(403)), "head", "head", /neither Range nor HEAD/],
  ["does as it is asked", serves, "last-byte", "last-byte", null],
  ["does as it is asked", serves, "head", "head", null],
])("a registry that %s", (_name, handler, asked, used, because) => {
  const options = { blobs: asked as "head" | "last-byte" };
  const expected = { asked, used, because: because === null ? null : expect.stringMatching(because) };
  beforeEach(() => void registry.on(/\/blobs\//, handler));

  test(`is asked by ${used} where ${asked} was asked for, and says so`, async () => {
    const report = await verify(registry.url, options, { concurrency: 1 });
    expect(report).toMatchObject({ complete: true, failures: [], blobs: expected });
  });

  test(`is recognised once, asked for ${asked}`, async () => {
    for (let at = 0; at < 20; at++) registry.push("app", image(`more ${at}`), `more-${at}`);
    await verify(registry.url, options, { concurrency: 1 });
    const refused = registry.asked(/\/blobs\//).length - (await verify(registry.url, options)).counts.blobs;
    expect(refused).toBeLessThanOrEqual(3);
  });

  test(`has lost a layer, and is too short of another, asked for ${asked}`, async () => {
    const { blobs } = registry.repository("app");
    const [lost, short] = made.blobs.slice(-2).map(({ descriptor }) => descriptor.digest);
    blobs.delete(lost ?? "");
    blobs.set(short ?? "", Buffer.from("x"));
    const { failures } = await verify(registry.url, options);
    expect(failures.map(({ digest }) => digest)).toEqual([lost, short].sort());
    expect(failures.find(({ digest }) => digest === lost)?.reason).toMatch(/missing|unauthorized|malformed/);
    expect(failures.find(({ digest }) => digest === short)?.reason).toMatch(
      /truncated|size-mismatch|unauthorized|malformed/,
    );
  });
});

test("one blob whose Range is refused is broken, where others take it", async () => {
  const [first] = made.blobs;
  registry.on(new RegExp(first?.descriptor.digest ?? ""), refusesRange(403));
  const { failures, blobs } = await verify(registry.url, {}, { concurrency: 1 });
  expect(blobs).toEqual({ asked: "last-byte", used: "last-byte", because: null });
  expect(failures).toMatchObject([{ digest: first?.descriptor.digest, reason: "unauthorized", status: 403 }]);
});

test("a blob that is refused altogether, before any other was asked for, says nothing of ranges", async () => {
  let first: string | undefined;
  registry.on(/\/blobs\//, (request, response) => {
    first ??= request.url;
    if (request.url === first) json(response, 403, {});
    else registry.serve(request, response);
  });
  const { failures, blobs } = await verify(registry.url, {}, { concurrency: 1 });
  expect(failures).toMatchObject([{ reason: "unauthorized", status: 403 }]);
  expect(blobs).toEqual({ asked: "last-byte", used: "last-byte", because: null });
});

test("a last byte that does not come is missed", async () => {
  const digest = made.blobs[1]?.descriptor.digest ?? "";
  registry.on(new RegExp(digest), (request, response) => {
    const [, last] = /-(\d+)$/.exec(request.headers.range ?? "") ?? [];
    response
      .writeHead(206, { "content-length": 0, "content-range": `bytes ${last}-${last}/${Number(last) + 1}` })
      .end();
  });
  const { failures } = await verify(registry.url);
  expect(failures).toMatchObject([{ digest, reason: "truncated", detail: "its last byte does not come" }]);
});

test("a blob of one byte, sent whole, says nothing of ranges", async () => {
  const one = layer("x");
  const tiny = { ...one, bytes: Buffer.from("x"), descriptor: { ...one.descriptor, size: 1, digest: sha256("x") } };
  registry.push("tiny", image("tiny", { layers: [tiny] }), "v1");
  registry.on(new RegExp(sha256("x")), (_request, response) => {
    response.writeHead(200, { "content-length": 1 }).end("x");
  });
  const { failures, blobs } = await verify(
    registry.url,
    { catalog: false, repositories: ["tiny"] },
    { concurrency: 1 },
  );
  expect({ failures, blobs }).toEqual({
    failures: [],
    blobs: { asked: "last-byte", used: "last-byte", because: null },
  });
});

describe("an encoding that nobody asked for", () => {
  const ENCODERS = { gzip: gzipSync, "x-gzip": gzipSync, deflate: deflateSync, br: brotliCompressSync };
  const encoded =
    (encoding: string, encode: (bytes: Buffer) => Buffer): Handler =>
    (request, response) => {
      const name = request.url?.split("/").pop() ?? "";
      const { tags, manifests } = registry.repository("app");
      const stored = manifests.get(tags.get(name) ?? name);
      const bytes = bytesOf(request.url) ?? stored?.bytes ?? Buffer.from('{"tags":["v1"]}');
      const body = encode(bytes);
      response.writeHead(200, {
        "content-encoding": encoding,
        "content-length": body.length,
        "content-type": stored?.mediaType ?? "application/octet-stream",
      });
      response.end(request.method === "HEAD" ? undefined : body);
    };

  test.each(Object.entries(ENCODERS))("%s is decoded, whatever is asked for", async (encoding, encode) => {
    registry.on(/\/app\//, encoded(encoding, encode));
    for (const blobs of BLOB_CHECKS) {
      expect(await verify(registry.url, { blobs })).toMatchObject({ complete: true, failures: [] });
    }
    expect(registry.seen.every(({ headers }) => headers["accept-encoding"] === "identity")).toBe(true);
  });

  test.each(["zstd", "gzip, gzip"])("that nobody can read (%s) is told as what it is", async (encoding) => {
    registry.on(
      /\/blobs\//,
      encoded(encoding, (bytes) => bytes),
    );
    const { failures } = await verify(registry.url, { blobs: "hash" });
    expect(failures[0]).toMatchObject({
      reason: "malformed",
      detail: expect.stringMatching(new RegExp(`encoded as ${encoding}, unasked`)),
    });
  });

  test("whose body is none of it is told as what it is", async () => {
    registry.on(
      /\/blobs\//,
      encoded("gzip", (bytes) => bytes),
    );
    const { failures } = await verify(registry.url, { blobs: "hash" });
    expect(failures[0]).toMatchObject({ reason: "malformed", detail: "its body is no gzip" });
  });

  test("of which a part comes is not read as the last byte", async () => {
    registry.on(/\/blobs\//, (request, response) => {
      if (request.headers.range === undefined) return void registry.serve(request, response);
      response.writeHead(206, { "content-encoding": "gzip", "content-range": "bytes 8-8/9" }).end("x");
    });
    expect(await verify(registry.url)).toMatchObject({ failures: [], blobs: { used: "head" } });
  });
});

describe("in turns", () => {
  test("every blob has its turn, and only one", () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1, max: 288 }), (text, of) => {
        const turns = Array.from({ length: of }, (_, index) => isTurnOf(sha256(text), { index, of }));
        expect(turns.filter(Boolean)).toHaveLength(1);
      }),
    );
  });

  test("HEAD sees what a last byte need not, and within all turns each last byte is read once", async () => {
    const of = 4;
    for (let index = 0; index < of; index++) await verify(registry.url, { blobs: "head", turn: { index, of } });
    const asked = registry.asked(/\/blobs\//);
    const read = asked.filter(({ headers }) => headers.range !== undefined).map(({ path }) => path);
    expect(new Set(read).size).toBe(made.blobs.length);
    expect(read).toHaveLength(made.blobs.length);
    expect(asked).toHaveLength(of * made.blobs.length);
  });
});
