import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { image } from "../lab/images";
import { FakeRegistry } from "../registry/oci/fake-registry";
import { runWarden } from "./run-warden";

const directory = mkdtempSync(join(tmpdir(), "workloads-"));
const { PATH } = process.env;
let registry: FakeRegistry;
beforeAll(async () => {
  registry = await FakeRegistry.start();
  registry.push("app", image("app"), "v1");
});
afterEach(() => {
  process.env.PATH = PATH;
});
afterAll(async () => {
  await registry.stop();
  rmSync(directory, { recursive: true });
});

const podsOf = (...images: string[]) =>
  JSON.stringify({
    kind: "List",
    items: images.map((each, at) => ({
      kind: "Pod",
      metadata: { namespace: "default", name: `web-${at}\u001b[2J` },
      spec: { containers: [{ name: "app", image: each }] },
      status: {},
    })),
  });

/** Runs the command with this text on standard input. */
const given = async (text: string, ...args: string[]) => {
  const stdin = jest.spyOn(process, "stdin", "get").mockReturnValue(Readable.from([Buffer.from(text)]) as never);
  try {
    return await runWarden("workloads", registry.url.origin, "-", ...args);
  } finally {
    stdin.mockRestore();
  }
};

test("what runs can be pulled again: 0, and nothing that a cluster says moves the cursor", async () => {
  const { code, out, err } = await given(podsOf(`${registry.host}/app:v1`));
  expect([code, err]).toEqual([0, ""]);
  expect(out).toMatch(/^intact +app:v1 +- +default\/web-0\\x1b\[2J$/m);
});

test("what is missing is a finding: 1, named in the table and as JSON", async () => {
  const pods = podsOf(`${registry.host}/app:gone`, `${registry.host}/app:v1`, "nginx");
  const { code, out } = await given(pods, "--json");
  expect(code).toBe(1);
  const report = JSON.parse(out);
  expect(report).toMatchObject({
    version: 1,
    registry: registry.url.origin,
    names: [registry.host],
    complete: true,
    counts: { containers: 3, unreadable: 0, images: 2, intact: 1, broken: 0, missing: 1, unknown: 0 },
  });
  expect(report.images.map(({ tag, state }: { tag: string; state: string }) => [tag, state])).toEqual([
    ["gone", "missing"],
    ["v1", "intact"],
  ]);
});

test("the registry may have another name where the images are pulled", async () => {
  const pods = podsOf("registry.example.org/app:v1", "registry.example.org:443/app:v1");
  expect((await given(pods)).out).toContain(`no container has an image of ${registry.host}`);
  const { code, out } = await given(pods, "--name", "Registry.example.org");
  expect([code, /in use +1 image of 2 containers: 1 intact/.test(out)]).toEqual([0, true]);
});

test.each([
  ["garbage", "garbage", "it is no json"],
  ["another document", '{"kind":"Secret"}', "it is no list of pods"],
])("%s on standard input is refused with what to give instead", async (_, text, why) => {
  const { code, out, err } = await given(text);
  expect([code, out]).toEqual([2, ""]);
  expect(err).toBe(
    `error: what standard input gives cannot be read: ${why}; give what this prints: kubectl get pods,cronjobs --all-namespaces --output json\n`,
  );
});

test("an object that cannot be read leaves it open: 2", async () => {
  const { code, err } = await given(JSON.stringify({ kind: "List", items: [{ kind: "Pod" }] }));
  expect(code).toBe(2);
  expect(err).toMatch(/^error: not everything that runs is known[^\n]*\n$/);
});

test("the cluster is asked by kubectl, for pods and CronJobs of all namespaces", async () => {
  const asked = join(directory, "asked");
  const kubectl = join(directory, "kubectl");
  writeFileSync(
    kubectl,
    `#!/bin/sh\necho "$*" >> '${asked}'\ncat <<'EOF'\n${podsOf(`${registry.host}/app:v1`)}\nEOF\n`,
  );
  chmodSync(kubectl, 0o755);
  process.env.PATH = `${directory}:${PATH}`;
  const { code, out } = await runWarden("workloads", registry.url.origin, "--kubeconfig", "/k", "--context", "home");
  expect([code, out.includes("1 image of 2 containers")]).toEqual([0, true]);
  const calls = readFileSync(asked, "utf8").trim().split("\n").sort();
  expect(calls).toEqual(
    ["cronjobs.batch", "pods"].map(
      (resource) =>
        `get ${resource} --all-namespaces --output=json --kubeconfig=/k --context=home --request-timeout=60s`,
    ),
  );
});

test("without kubectl it says so", async () => {
  process.env.PATH = join(directory, "nowhere");
  expect(await runWarden("workloads", registry.url.origin)).toEqual({
    code: 2,
    out: "",
    err: "error: there is no kubectl on the PATH; install it\n",
  });
});

test.each([
  ["another source", ["pods.json"]],
  ["two sources", ["-", "--kubeconfig", "/k"]],
  ["a name that is none", ["-", "--name", "https://registry"]],
])("%s is wrong usage", async (_, args) => {
  expect((await runWarden("workloads", registry.url.origin, ...args)).code).toBe(64);
});
