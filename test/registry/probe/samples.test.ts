import fc from "fast-check";
import { METRICS } from "../../../monitoring/metrics";
import { catalogFailure, type Failure, failureAt, REASONS } from "../../../registry/oci/failure";
import type { Report } from "../../../registry/oci/walk";
import {
  exposition,
  NOTHING_STORED,
  type ProbeRun,
  type Push,
  probePush,
  withCoverage,
} from "../../../registry/probe/samples";

const lost = (repository: string): Failure =>
  failureAt(repository, { tags: ["v1"], object: "tag", platform: null, path: [] }, null, {
    reason: "missing",
    status: 404,
    detail: "",
  });

const report = (changes: Partial<Report> = {}): Report => ({
  started: "2026-04-19T03:15:00.000Z",
  images: { whole: 2, broken: [] },
  registry: "https://registry.example.org",
  complete: true,
  counts: { repositories: 10, tags: 40, manifests: 7, indexes: 3, blobs: 20, requests: 99, bytes: 1234 },
  durationSeconds: 2,
  failures: [],
  warnings: [],
  blobs: { asked: "last-byte", used: "last-byte", because: null },
  stopped: null,
  catalogRead: true,
  ...changes,
});

const run = (changes: Partial<ProbeRun> = {}): ProbeRun => ({
  role: "private",
  report: report(),
  catalogAccessible: true,
  duration: 2,
  requests: 99,
  bytes: 1234,
  ended: 1_700_000_000,
  certificateExpiry: null,
  workloads: null,
  ...changes,
});

const pushed = ({ samples }: Push, name: string, reason?: string): number | undefined =>
  samples.find((sample) => sample.name === name && sample.labels?.reason === reason)?.value;

const FAILURES = "registry_manifest_integrity_failures";
const SUCCESS = "registry_manifest_integrity_last_success_timestamp_seconds";

describe("a complete walk", () => {
  test("replaces everything: each metric there is", () => {
    const workloads = { images: { intact: 3, broken: 0, missing: 1, unknown: 0 }, known: true };
    const push = probePush(run({ certificateExpiry: 1_800_000_000, workloads }), NOTHING_STORED);
    expect(push.method).toBe("PUT");
    expect(new Set(push.samples.map(({ name }) => name))).toEqual(new Set(Object.keys(METRICS)));
    expect(pushed(push, "registry_manifest_integrity_repos_checked")).toBe(10);
    expect(pushed(push, "registry_manifest_integrity_walk_complete")).toBe(1);
    expect(pushed(push, SUCCESS)).toBe(1_700_000_000);
  });

  test("tells its failures, by each reason there is, and keeps the time of the last success", () => {
    const push = probePush(run({ report: report({ failures: [lost("a"), lost("b")] }) }), {
      ...NOTHING_STORED,
      lastSuccess: 7,
    });
    expect(pushed(push, FAILURES)).toBe(2);
    for (const reason of REASONS) {
      expect(pushed(push, `${FAILURES}_by_reason`, reason)).toBe(reason === "missing" ? 2 : 0);
    }
    expect(pushed(push, SUCCESS)).toBe(7);
  });

  test("without any success before tells none", () => {
    const failing = run({ report: report({ failures: [lost("a")] }) });
    expect(pushed(probePush(failing, NOTHING_STORED), SUCCESS)).toBeUndefined();
    expect(pushed(probePush(failing, null), SUCCESS)).toBeUndefined();
  });
});

describe("an incomplete walk", () => {
  const incomplete = (failures: Failure[]) => run({ report: report({ complete: false, failures }) });

  test("adds how it went, and nothing of its coverage", () => {
    const push = probePush(incomplete([]), { ...NOTHING_STORED, failures: 0 });
    expect(push.method).toBe("POST");
    expect(pushed(push, "registry_manifest_integrity_walk_complete")).toBe(0);
    expect(pushed(push, "registry_manifest_integrity_last_run_timestamp")).toBe(1_700_000_000);
    for (const name of [
      "repos_checked",
      "tags_checked",
      "last_complete_walk_timestamp_seconds",
      "last_success_timestamp_seconds",
    ]) {
      expect(pushed(push, `registry_manifest_integrity_${name}`)).toBeUndefined();
    }
  });

  test("never lowers the number of failures, and raises it", () => {
    fc.assert(
      fc.property(fc.nat(5), fc.option(fc.nat(5)), (found, stored) => {
        const failures = Array.from({ length: found }, (_, at) => lost(`r${at}`));
        const push = probePush(incomplete(failures), { ...NOTHING_STORED, failures: stored });
        const told = pushed(push, FAILURES);
        // A first walk that was incomplete must not report that nothing is broken.
        expect(told ?? stored).toBe(stored === null && found === 0 ? null : Math.max(found, stored ?? 0));
      }),
    );
  });

  test("lowers nothing that it could not read", () => {
    expect(pushed(probePush(incomplete([lost("a")]), null), FAILURES)).toBeUndefined();
  });

  test("that never began says that the catalog cannot be read, and no more", () => {
    const push = probePush(run({ report: null, catalogAccessible: false }), NOTHING_STORED);
    expect(push.method).toBe("POST");
    expect(pushed(push, "registry_manifest_integrity_catalog_accessible")).toBe(0);
    expect(pushed(push, FAILURES)).toBeUndefined();
  });
});

describe("a cache", () => {
  const AVAILABILITY = [
    "catalog_accessible",
    "catalog_inaccessible_seconds",
    "last_run_timestamp",
    "run_duration_seconds",
    "run_requests",
    "run_bytes",
  ];

  test.each([
    ["replaces everything, what an earlier version found in it too", true, "PUT"],
    ["that does not answer adds that", false, "POST"],
  ])("%s", (_name, catalogAccessible, method) => {
    const push = probePush(run({ role: "proxy", catalogAccessible }), { ...NOTHING_STORED, failures: 3 });
    expect(push.method).toBe(method);
    expect(push.samples.map(({ name }) => name)).toEqual(
      AVAILABILITY.map((name) => `registry_manifest_integrity_${name}`),
    );
    expect(pushed(push, "registry_manifest_integrity_catalog_accessible")).toBe(catalogAccessible ? 1 : 0);
  });
});

test("a catalog that cannot be read is no broken object; one that hides something is", () => {
  const unreadable = catalogFailure({ reason: "unauthorized", status: 401, detail: "" });
  const hiding = catalogFailure({ reason: "coverage", status: 200, detail: "" });
  const counted = (failures: Failure[]) => pushed(probePush(run({ report: report({ failures }) }), null), FAILURES);
  expect(counted([unreadable])).toBe(0);
  expect(counted([hiding])).toBe(1);
});

describe("coverage against the last run", () => {
  const stored = { ...NOTHING_STORED, repositories: 10, tags: 40 };
  const walked = (repositories: number, tags: number, changes: Partial<Report> = {}) =>
    report({ counts: { ...report().counts, repositories, tags }, ...changes });

  test.each([
    ["the same", walked(10, 40), stored, 0],
    ["more", walked(11, 60), stored, 0],
    ["fewer tags, as a clean-up leaves them", walked(10, 20), stored, 0],
    ["less than half of the tags", walked(10, 19), stored, 1],
    ["a repository less", walked(9, 40), stored, 1],
    ["less, of an incomplete walk", walked(1, 1, { complete: false }), stored, 0],
    ["less than what nobody knows", walked(1, 1), null, 0],
    ["less than nothing", walked(0, 0), NOTHING_STORED, 0],
  ])("%s", (_name, made, before, expected) => {
    const { failures } = withCoverage(made, before);
    expect(failures.filter(({ reason }) => reason === "coverage")).toHaveLength(expected);
  });

  test("is one failure with what the walk itself has found of the catalog", () => {
    const empty = catalogFailure({ reason: "coverage", status: 200, detail: "the catalog is empty" });
    expect(withCoverage(walked(0, 0, { failures: [empty] }), stored).failures).toEqual([empty]);
  });
});

test("the text format: help and type once, labels quoted", () => {
  expect(
    exposition([
      { name: FAILURES, value: 2 },
      { name: `${FAILURES}_by_reason`, labels: { reason: 'a "b"\\\n' }, value: 1 },
      { name: `${FAILURES}_by_reason`, labels: { reason: "c" }, value: 0.5 },
    ]),
  ).toBe(
    [
      `# HELP ${FAILURES} ${METRICS[FAILURES]}`,
      `# TYPE ${FAILURES} gauge`,
      `${FAILURES} 2`,
      `# HELP ${FAILURES}_by_reason ${METRICS[`${FAILURES}_by_reason`]}`,
      `# TYPE ${FAILURES}_by_reason gauge`,
      `${FAILURES}_by_reason{reason="a \\"b\\"\\\\\\n"} 1`,
      `${FAILURES}_by_reason{reason="c"} 0.5`,
      "",
    ].join("\n"),
  );
});
