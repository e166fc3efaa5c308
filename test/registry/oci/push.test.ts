import { sha256 } from "../../../registry/oci/digest";
import { Gate } from "../../../registry/oci/gate";
import { RegistryWriter, WriteRefused } from "../../../registry/oci/push";
import { type FakeRegistry, json } from "./fake-registry";
import { startFakeRegistry } from "./registry-of-test";

jest.mock("node:timers/promises", () => ({ setTimeout: () => Promise.resolve() }));

const BYTES = Buffer.from("layer");
const DIGEST = sha256(BYTES);
const PIECES = [BYTES.subarray(0, 2), BYTES.subarray(2)];

let registry: FakeRegistry;
let writer: RegistryWriter;
beforeEach(async () => {
  registry = await startFakeRegistry();
  registry.takesPushes = true;
  registry.repository("app");
  writer = new RegistryWriter({ url: registry.url, credentials: null });
});
afterEach(() => writer.close());

const sent = () => registry.seen.map(({ method, path }) => `${method} ${path}`);
/** Answers one method of uploads; the registry takes the others. */
const onUpload = (method: string, status: number, headers: Record<string, string> = {}) =>
  registry.on(/uploads/, (request, response) => {
    if (request.method === method)
      json(response, status, { errors: [{ code: "DENIED" }, { code: "no code" }] }, headers);
    else registry.serve(request, response);
  });

test("a blob arrives piece by piece, in order", async () => {
  await writer.pushBlob("app", DIGEST, PIECES);
  expect(registry.repository("app").blobs.get(DIGEST)).toEqual(BYTES);
  const ranges = registry.seen
    .filter(({ method }) => method === "PATCH")
    .map(({ headers }) => headers["content-range"]);
  expect(ranges).toEqual(["0-1", "2-4"]);
});

test.each([
  ["POST", 200],
  ["POST", 403],
  ["PATCH", 200],
  ["PATCH", 404],
  ["PUT", 202],
  ["PUT", 400],
])("a blob whose %s is answered with %i is not taken for pushed", async (method, status) => {
  onUpload(method, status, { location: "/v2/app/blobs/uploads/one" });
  const pushed = writer.pushBlob("app", DIGEST, PIECES);
  await expect(pushed).rejects.toThrow(WriteRefused);
  await expect(pushed).rejects.toThrow(/answered \d+ \(DENIED\)$/);
});

test.each(["POST", "PATCH"])("an upload whose %s says nowhere to go on is refused", async (method) => {
  onUpload(method, 202);
  await expect(writer.pushBlob("app", DIGEST, PIECES)).rejects.toThrow("the upload answered 202");
});

test("an upload that is sent to another host goes on at the registry: only the path counts", async () => {
  const other = await startFakeRegistry();
  onUpload("POST", 202, { location: `${other.url.origin}/v2/app/blobs/uploads/one?state=x` });
  await writer.pushBlob("app", DIGEST, PIECES);
  expect(sent()[1]).toBe("PATCH /v2/app/blobs/uploads/one?state=x");
  expect(other.seen).toEqual([]);
});

test("a manifest that is answered with anything but 201 is not taken for pushed", async () => {
  registry.on(/manifests/, (_request, response) => json(response, 200, {}));
  await expect(writer.pushManifest("app", "v1", BYTES, "x/y")).rejects.toThrow("the manifest v1 answered 200");
});

test("a blob is held only where the registry has mounted it; an upload that begins instead is ended", async () => {
  registry.on(/mount=/, (_request, response) => json(response, 201, {}));
  expect(await writer.hold("app", DIGEST)).toBe(true);
  registry.on(/mount=/, (_request, response) => json(response, 202, {}, { location: "/v2/app/blobs/uploads/one" }));
  expect(await writer.hold("app", DIGEST)).toBe(false);
  expect(sent().at(-1)).toBe("DELETE /v2/app/blobs/uploads/one");
});

test("a throttled push is repeated; a throttled deletion is not, because what was checked may have changed", async () => {
  const slowDown = jest.spyOn(Gate.prototype, "slowDown");
  let refusals = 2;
  registry.on(/manifests/, (request, response) => {
    if (request.method === "DELETE" || refusals-- > 0) json(response, 429, {}, { "retry-after": "7" });
    else json(response, 201, {});
  });
  await writer.pushManifest("app", "v1", BYTES, "x/y");
  expect(sent()).toHaveLength(3);
  const { status, again, unsupported } = await writer.remove("app", DIGEST);
  expect({ status, unsupported }).toEqual({ status: 429, unsupported: false });
  expect(again).toBeGreaterThanOrEqual(7000);
  expect(sent()).toHaveLength(4);
  expect(slowDown).toHaveBeenCalledTimes(3);
  slowDown.mockRestore();
});

test("a deletion waits for nobody, and those after it wait for it", async () => {
  const gate = new Gate({ concurrency: 1 });
  const [enter, pass] = [jest.spyOn(gate, "enter"), jest.spyOn(gate, "pass")];
  const limited = new RegistryWriter({ url: registry.url, credentials: null, gate });
  await limited.remove("app", DIGEST);
  expect([enter.mock.calls.length, pass.mock.calls.length]).toEqual([0, 1]);
  await limited.serves("app", DIGEST);
  expect([enter.mock.calls.length, pass.mock.calls.length]).toEqual([1, 1]);
  await limited.close();
});

test.each([
  ["405", 405, {}, true],
  ["the code UNSUPPORTED", 400, { errors: [{ code: "UNSUPPORTED" }] }, true],
  ["another code", 400, { errors: [{ code: "DIGEST_INVALID" }] }, false],
  ["404", 404, {}, false],
  ["202", 202, {}, false],
])("a deletion that is answered with %s", async (_what, status, body, unsupported) => {
  registry.on(/manifests/, (_request, response) => json(response, status, body));
  expect(await writer.remove("app", DIGEST)).toEqual({ status, unsupported, again: null });
});

test("a token to delete is asked for only by a deletion", async () => {
  registry.on(/^\/token/, (request, response) => {
    const scope = new URL(request.url ?? "", registry.url).searchParams.get("scope");
    json(response, 200, { token: scope });
  });
  registry.on(/^\/v2\//, (request, response) => {
    const challenge = `Bearer realm="${registry.url}token",service="s"`;
    if (request.headers.authorization === undefined) json(response, 401, {}, { "www-authenticate": challenge });
    else json(response, 201, {});
  });
  await writer.pushManifest("app", "v1", BYTES, "x/y");
  await writer.remove("app", DIGEST);
  const told = registry.seen.map(({ headers }) => headers.authorization).filter((each) => each !== undefined);
  expect(told).toEqual(["Bearer repository:app:pull,push", "Bearer repository:app:pull,push,delete"]);
});
