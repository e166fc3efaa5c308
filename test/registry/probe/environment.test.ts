import { defaultBlobCheck, probeSettings } from "../../../registry/probe/environment";
import { patience, walkDeadline } from "../../../registry/probe/probe";

const LEAST = { REGISTRY: "10.0.20.10:5050", PUSHGATEWAY: "http://pushgateway.monitoring:9091" };

test("two variables are enough", () => {
  expect(probeSettings(LEAST)).toEqual({
    registry: new URL("https://10.0.20.10:5050"),
    instance: "10.0.20.10:5050",
    role: "private",
    credentials: null,
    caFile: null,
    pushgateway: new URL("http://pushgateway.monitoring:9091"),
    job: "registry-integrity-probe",
    cluster: null,
    concurrency: 8,
    rate: null,
    blobs: "last-byte",
    turns: null,
    workloads: null,
    platforms: [],
    timeout: 30,
    deadline: null,
    repositories: [],
    shard: { index: 0, count: 1 },
  });
});

test("every variable has its place", () => {
  const settings = probeSettings({
    REGISTRY: "https://registry.example.org",
    REGISTRY_INSTANCE: "registry.example.org:5050",
    REGISTRY_ROLE: "proxy",
    REG_USER: "prober",
    REG_PASS: "secret",
    REGISTRY_CA_FILE: "/etc/ca.pem",
    PUSHGATEWAY: "https://push.example.org/gateway",
    PUSHGATEWAY_JOB: "probe",
    CONCURRENCY: "4",
    RATE: "2.5",
    BLOBS: "head",
    LAST_BYTE_TURNS: "96",
    PLATFORMS: "linux/amd64,linux/arm64/v8",
    TIMEOUT_SECONDS: "5",
    DEADLINE_SECONDS: "600",
    REPOSITORIES: "a/b, c,,",
    SHARDS: "3",
    JOB_COMPLETION_INDEX: "2",
  });
  expect(settings).toMatchObject({
    instance: "registry.example.org:5050",
    role: "proxy",
    credentials: { username: "prober", password: "secret" },
    caFile: "/etc/ca.pem",
    job: "probe",
    concurrency: 4,
    rate: 2.5,
    blobs: "head",
    turns: 96,
    platforms: ["linux/amd64", "linux/arm64/v8"],
    timeout: 5,
    deadline: 600,
    repositories: ["a/b", "c"],
    shard: { index: 2, count: 3 },
  });
});

test("an empty variable counts as not set", () => {
  expect(probeSettings({ ...LEAST, BLOBS: "", CONCURRENCY: "", REG_USER: "", REG_PASS: "" })).toMatchObject({
    blobs: "last-byte",
    concurrency: 8,
    credentials: null,
  });
});

test("the blobs of a pull-through cache are left alone", () => {
  expect(defaultBlobCheck("proxy")).toBe("none");
  expect(probeSettings({ ...LEAST, REGISTRY_ROLE: "proxy" }).blobs).toBe("none");
});

test.each([
  [{ REGISTRY: "" }, "REGISTRY is not set"],
  [{ REGISTRY: "alpine" }, 'REGISTRY: "alpine" is not a registry'],
  [{ REGISTRY: "localhost:5000/app" }, "an image where a registry is needed"],
  [{ PUSHGATEWAY: "" }, "PUSHGATEWAY is not set"],
  [{ PUSHGATEWAY: "pushgateway:9091" }, "is not an http or https url"],
  [{ REGISTRY_ROLE: "cache" }, 'REGISTRY_ROLE is "cache", allowed are private, proxy'],
  [{ BLOBS: "all" }, "allowed are none, head, last-byte, hash"],
  [{ CONCURRENCY: "0" }, "CONCURRENCY"],
  [{ CONCURRENCY: "1.5" }, "CONCURRENCY"],
  [{ TIMEOUT_SECONDS: "soon" }, "TIMEOUT_SECONDS"],
  [{ DEADLINE_SECONDS: "-1" }, "DEADLINE_SECONDS"],
  [{ REG_USER: "prober" }, "REG_PASS is not set"],
  [{ REG_PASS: "hunter2" }, "REG_USER is not set"],
  [{ RATE: "0" }, "RATE"],
  [{ LAST_BYTE_TURNS: "4" }, "LAST_BYTE_TURNS goes with BLOBS=head, not last-byte"],
  [{ PLATFORMS: "linux" }, 'PLATFORMS has "linux", which is no platform'],
  [{ REPOSITORIES: "a,B" }, 'REPOSITORIES has "B"'],
  [{ SHARDS: "2", JOB_COMPLETION_INDEX: "2" }, "JOB_COMPLETION_INDEX is 2 of 2 SHARDS"],
])("fails with %j", (changes, message) => {
  const attempt = () => probeSettings({ ...LEAST, ...changes });
  expect(attempt).toThrow(message);
  expect(attempt).toThrow(
    expect.objectContaining({ code: "bad-input", message: expect.not.stringContaining("hunter2") }),
  );
});

test("reports every error at once", () => {
  const attempt = () => probeSettings({ BLOBS: "x", SHARDS: "0" });
  for (const name of ["REGISTRY", "PUSHGATEWAY", "BLOBS", "SHARDS"]) expect(attempt).toThrow(name);
});

test("a part of the deadline is kept for the report", () => {
  expect(walkDeadline(10)).toBe(8);
  expect(walkDeadline(840)).toBe(810);
});

test("asks for a catalog that cannot be read for minutes, where the walk keeps its own", () => {
  expect([null, 10, 60, 300, 400, 600, 720, 3540].map(patience)).toEqual([0, 1, 6, 30, 100, 300, 300, 300]);
});
