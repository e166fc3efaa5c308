import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { preflight } from "../../cli/preflight";
import { type Json, site } from "../monitoring/synthesise";

const directory = mkdtempSync(join(tmpdir(), "preflight-"));
const { PATH } = process.env;
afterEach(() => {
  process.env.PATH = PATH;
});
afterAll(() => rmSync(directory, { recursive: true }));

/** A kubectl with a fixed answer for each resource, and nothing else on the PATH. */
const kubectl = (answers: Record<string, string>): void => {
  const cases = Object.entries(answers).map(([resource, answer]) => `${resource}) ${answer};;`);
  writeFileSync(join(directory, "kubectl"), `#!/bin/sh\ncase $2 in\n${cases.join("\n")}\nesac\n`);
  chmodSync(join(directory, "kubectl"), 0o755);
  process.env.PATH = directory;
};

const reference = (bend: (monitoring: Json) => void = () => {}) =>
  site("reference", ({ monitoring }) => {
    const configPath = join(directory, "kubeconfig");
    writeFileSync(configPath, "{}");
    monitoring.kubernetes = { configPath };
    bend(monitoring);
  });

const NAMESPACE = { namespace: "echo namespace/monitoring" };
const DEFINITION = { customresourcedefinition: "echo definition" };

test("a cluster that has everything passes", async () => {
  kubectl({ ...NAMESPACE, ...DEFINITION });
  await expect(preflight(reference(), ["monitoring"])).resolves.toBeUndefined();
});

test.each([
  ["a namespace", DEFINITION, "the namespace monitoring does not exist"],
  ["the definition of rules", NAMESPACE, "the cluster has no PrometheusRule"],
])("%s that is missing is told before the deploy", async (_, answers, message) => {
  kubectl(answers);
  await expect(preflight(reference(), ["dns", "monitoring"])).rejects.toMatchObject({ message });
  await expect(preflight(reference(), ["*"])).rejects.toMatchObject({ message });
  await expect(preflight(reference(), ["dns", "--auto-approve"])).resolves.toBeUndefined();
});

test("what the site creates itself, or does not need, is not required", async () => {
  kubectl({});
  const own = reference((monitoring) => {
    monitoring.namespace.create = true;
    monitoring.rules = { delivery: "rules-file" };
  });
  await expect(preflight(own, ["monitoring"])).resolves.toBeUndefined();
});

test("a missing kubeconfig and an unreachable server are reported, with what to do", async () => {
  kubectl({ namespace: "echo 'Unable to connect to the server: dial tcp: no such host' >&2; exit 1" });
  await expect(preflight(reference(), ["monitoring"])).rejects.toMatchObject({ code: "unreachable" });
  const gone = reference((monitoring) => {
    monitoring.kubernetes.configPath = "/nonexistent";
    monitoring.namespace.create = true;
    monitoring.rules = { delivery: "rules-file" };
  });
  await expect(preflight(gone, ["monitoring"])).rejects.toMatchObject({
    code: "no-kubeconfig",
    hint: expect.stringContaining("monitoring.kubernetes.configPath"),
  });
});

test("without permission or without kubectl, the check is left to Terraform", async () => {
  kubectl({ namespace: "echo 'Error from server (Forbidden): namespaces is forbidden' >&2; exit 1" });
  await expect(preflight(reference(), ["monitoring"])).resolves.toBeUndefined();
  process.env.PATH = "/nonexistent";
  await expect(preflight(reference(), ["monitoring"])).resolves.toBeUndefined();
});
