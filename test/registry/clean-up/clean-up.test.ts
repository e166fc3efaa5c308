import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { cleanUp } from "../../../registry/clean-up/clean-up";
import { IN_USE_REPOSITORY } from "../../../registry/in-use/report";
import type { RetentionPolicy } from "../../../site/retention";
import { createdOn, digestOf, image, type SyntheticManifest } from "../../lab/images";
import { storedReport } from "../in-use/stored-report";
import type { FakeRegistry } from "../oci/fake-registry";
import { startFakeRegistry } from "../oci/registry-of-test";

jest.mock("node:timers/promises", () => ({ setTimeout: () => Promise.resolve() }));

const HOUR = 3_600_000;

const single = (n: number): SyntheticManifest => image(`v${n}`, { annotations: createdOn(n) });

let registry: FakeRegistry;
let gateway: FakeRegistry;
let journals: string;
/** Metrics of each push, by name. */
let pushes: { method: string; path: string; values: Record<string, number> }[];

beforeEach(async () => {
  registry = await startFakeRegistry();
  registry.deletes = { digests: true, tags: false };
  registry.takesPushes = true;
  for (const n of [1, 2, 3]) registry.push("app", single(n), `v${n}`);
  gateway = await startFakeRegistry();
  journals = mkdtempSync(join(tmpdir(), "warden-journals-"));
  pushes = [];
  gateway.on(/^\/metrics\//, async (request, response) => {
    const lines = [...(await text(request)).matchAll(/^registry_clean_up_(\w+) (\S+)$/gm)];
    const values = Object.fromEntries(lines.map(([, name = "", value]) => [name, Number(value)]));
    pushes.push({ method: request.method ?? "", path: request.url ?? "", values });
    response.writeHead(200).end();
  });
});
afterEach(() => {
  rmSync(journals, { recursive: true });
});

const tags = () => [...registry.repository("app").tags.keys()].sort();

const run = async (changes: NodeJS.ProcessEnv = {}, more: Partial<RetentionPolicy> = {}) => {
  const out: string[] = [];
  const err: string[] = [];
  const code = await cleanUp(
    {
      REGISTRY: registry.url.origin,
      REGISTRY_INSTANCE: "lab:5050",
      POLICY: JSON.stringify({ rules: [{ repositories: "**", keepNewest: 1 }], ...more }),
      JOURNALS: journals,
      PUSHGATEWAY: gateway.url.origin,
      ...changes,
    },
    (line) => out.push(line),
    (line) => err.push(line),
  );
  return { code, out, err };
};

test("says what goes before anything does, removes it and tells how that went", async () => {
  let saidBefore = "";
  const said: string[] = [];
  registry.on(/^\/v2\/app\/manifests\/sha256/, (request, response) => {
    if (request.method === "DELETE" && saidBefore === "") saidBefore = said.join("\n");
    registry.serve(request, response);
  });
  const { POLICY } = { POLICY: JSON.stringify({ rules: [{ repositories: "**", keepNewest: 1 }] }) };
  const environment = { REGISTRY: registry.url.origin, POLICY, JOURNALS: journals, PUSHGATEWAY: gateway.url.origin };
  const code = await cleanUp(environment, (line) => said.push(line), fail);
  expect(code).toBe(0);
  expect(tags()).toEqual(["v3"]);
  expect(saidBefore).toMatch(/^remove {4}2 tags, 2 manifests;/m);
  expect(saidBefore).toMatch(/^remove +app:v1 /m);
  expect(said.at(-1)).toMatch(new RegExp(`^journal {3}${journals}/`));
  expect(pushes).toMatchObject([
    { method: "POST", path: `/metrics/job/registry-clean-up/instance/${encodeURIComponent(registry.url.host)}` },
  ]);
  expect(pushes[0]?.values).toMatchObject({
    success: 1,
    removed_tags: 2,
    removed_manifests: 2,
    spared: 0,
    skipped_repositories: 0,
  });
  expect(pushes[0]?.values.last_success_timestamp_seconds).toBe(pushes[0]?.values.last_run_timestamp_seconds);
});

const fail = (line: string): never => {
  throw new Error(line);
};

test("what it removed can be put back by its journal", async () => {
  const before = tags();
  const { out } = await run();
  const [, journal] = /^journal {3}(.*)$/m.exec(out.join("\n")) ?? [];
  const undone = await run({ UNDO: journal });
  expect(undone).toMatchObject({ code: 0, err: [] });
  expect(undone.out.join("\n")).toContain("2 manifests put back");
  expect(tags()).toEqual(before);
  // Nothing was cleaned up, so no clean-up is reported.
  expect(pushes).toHaveLength(1);
});

test("a journal of another registry is not put back", async () => {
  const { out } = await run();
  const [, journal] = /^journal {3}(.*)$/m.exec(out.join("\n")) ?? [];
  const { code, err } = await run({ UNDO: journal, REGISTRY: gateway.url.origin });
  expect({ code, err }).toEqual({ code: 2, err: [expect.stringMatching(/^the journal .* not of /)] });
});

describe("where it is not known what runs", () => {
  const protectInUse = { clusters: ["home"], maximumAgeHours: 24 };
  const reported = (hoursAgo: number, running: SyntheticManifest) =>
    registry.push(
      IN_USE_REPOSITORY,
      storedReport({ cluster: "home", time: Date.now() - hoursAgo * HOUR, digests: [digestOf(running)] }),
      "home",
    );

  test.each([
    ["is missing", () => {}, /^the report of what runs in "home" is missing/],
    ["is too old", () => reported(30, single(1)), /^the report of what runs in "home" is 30 hours old/],
  ])("a report that %s refuses: nothing goes, and that is told", async (_, prepare, says) => {
    prepare();
    const { code, err } = await run({}, { protectInUse });
    expect({ code, err }).toEqual({ code: 2, err: [expect.stringMatching(says)] });
    expect(tags()).toEqual(["v1", "v2", "v3"]);
    expect(registry.seen.filter(({ method }) => method === "DELETE")).toEqual([]);
    expect(readdirSync(join(journals, registry.url.host.replace(":", "_"))).filter((name) => name !== "lock")).toEqual(
      [],
    );
    expect(pushes[0]?.values).toMatchObject({ success: 0 });
    expect(Object.keys(pushes[0]?.values ?? {}).sort()).toEqual([
      "last_run_timestamp_seconds",
      "run_duration_seconds",
      "success",
    ]);
  });

  test("what runs stays by a young report", async () => {
    reported(1, single(1));
    expect((await run({}, { protectInUse })).code).toBe(0);
    expect(tags()).toEqual(["v1", "v3"]);
  });
});

test("a registry that takes no deletions is told, in one line and in the metrics", async () => {
  registry.deletes = { digests: false, tags: false };
  const { code, err } = await run();
  expect({ code, err }).toEqual({ code: 2, err: [expect.stringMatching(/takes no deletions \(405\); allow them/)] });
  expect(pushes[0]?.values).toMatchObject({ success: 0 });
});

test("the reason of a refusal is said although the Pushgateway does not answer", async () => {
  registry.deletes = { digests: false, tags: false };
  gateway.on(/^\/metrics\//, (_, response) => response.writeHead(400).end("no"));
  const { code, err } = await run();
  expect(code).toBe(2);
  expect(err).toEqual([
    expect.stringContaining("takes no deletions"),
    expect.stringMatching(/^the pushgateway .* answered 400: no; check PUSHGATEWAY/),
  ]);
});

test("what could not be removed is a failure that leaves the last success as it was", async () => {
  registry.on(`/v2/app/manifests/${digestOf(single(1))}`, (request, response) => {
    if (request.method === "DELETE") response.writeHead(500).end();
    else registry.serve(request, response);
  });
  const { code, out } = await run();
  expect(code).toBe(1);
  expect(out.join("\n")).toMatch(/^failed +app@sha256:\S+ +its removal answered 500/m);
  expect(pushes[0]?.values).toMatchObject({ success: 0, removed_manifests: 1, spared: 2 });
  expect(pushes[0]?.values).not.toHaveProperty("last_success_timestamp_seconds");
});
