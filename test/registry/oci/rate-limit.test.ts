import { Gate } from "../../../registry/oci/gate";
import { image } from "../../lab/images";
import { type FakeRegistry, json, verify } from "./fake-registry";
import { startFakeRegistry } from "./registry-of-test";

let registry: FakeRegistry;
beforeEach(async () => {
  registry = await startFakeRegistry();
  for (let at = 0; at < 8; at++) registry.push("app", image(`${at}`), `v${at}`);
});

/** Serves some requests, refuses the next ones, and then serves again. @returns how many were refused */
const limit = (served: number, refusals: number, refuse: { status: number; headers?: Record<string, string> }) => {
  const refused = { count: 0 };
  let requests = 0;
  registry.on(/./, (request, response) => {
    if (++requests <= served || refused.count === refusals) return void registry.serve(request, response);
    refused.count++;
    json(response, refuse.status, {}, refuse.headers);
  });
  return refused;
};

test.each([
  ["429 with Retry-After", { status: 429, headers: { "retry-after": "1" } }],
  ["429 without", { status: 429 }],
  ["503, as nginx answers", { status: 503 }],
])("a limit that answers %s slows the walk down, and is no failure", async (_name, refuse) => {
  const slowDown = jest.spyOn(Gate.prototype, "slowDown");
  const refused = limit(16, 6, refuse);
  const report = await verify(registry.url);
  expect(report).toMatchObject({ complete: true, failures: [], counts: { tags: 8 } });
  expect(refused.count).toBe(6);
  expect(slowDown).toHaveBeenCalledTimes(6);
  slowDown.mockRestore();
});

test("what Retry-After asks of one, all keep to", async () => {
  const hold = jest.spyOn(Gate.prototype, "hold");
  // Not the first: the later they are refused, the sooner the walk recovers its rate.
  let requests = 0;
  registry.on(/\/manifests\//, (request, response) => {
    if ([6, 7].includes(++requests)) json(response, 429, {}, { "retry-after": "0" });
    else registry.serve(request, response);
  });
  expect(await verify(registry.url)).toMatchObject({ complete: true, failures: [] });
  expect(hold).toHaveBeenCalledTimes(2);
  hold.mockRestore();
});

test("an hour of patience that is asked for ends the walk, with the option that helps", async () => {
  registry.on(/\/manifests\//, (_request, response) => json(response, 429, {}, { "retry-after": "3600" }));
  const report = await verify(registry.url);
  expect(report).toMatchObject({
    complete: false,
    failures: [],
    stopped: {
      code: "rate-limited",
      message: expect.stringMatching(/3600 s/),
      hint: expect.stringContaining("--rate"),
    },
  });
  expect(registry.asked(/\/manifests\//).length).toBeLessThanOrEqual(8);
});

test("one object that answers 503 for ever slows the walk down twice, and no more", async () => {
  const slowDown = jest.spyOn(Gate.prototype, "slowDown").mockImplementation(() => {});
  registry.on("/v2/app/manifests/v0", (_request, response) => json(response, 503, {}, { "retry-after": "0" }));
  const report = await verify(registry.url);
  expect(report).toMatchObject({
    complete: false,
    stopped: null,
    failures: [{ object: "tag", tags: ["v0"], status: 503 }],
  });
  expect(slowDown).toHaveBeenCalledTimes(2);
  slowDown.mockRestore();
});
