import * as fc from "fast-check";
import type { KubernetesObject } from "../../monitoring/kubernetes-object";
import { objectDifferences } from "../../monitoring/object-differences";
import { allObjectsOf, onlyOf } from "./objects";
import { type Json, site, synthesise } from "./synthesise";

const objects = allObjectsOf(synthesise(site("reference")));
const cronJob: Json = onlyOf(objects, "CronJob");

/** The path of every string, number and boolean in a value. */
const leaves = (value: Json, path: string[] = []): string[][] =>
  typeof value === "object" && value !== null
    ? Object.entries(value).flatMap(([key, inner]) => leaves(inner, [...path, key]))
    : [path];

const changed = (object: Json, path: readonly string[], to: unknown): Json => {
  const copy = structuredClone(object);
  const last = path.at(-1) ?? "";
  path.slice(0, -1).reduce((at: Json, key) => at[key], copy)[last] = to;
  return copy;
};

/** An object as the API server returns it, with defaults filled in. */
const answered = (object: Json): Json => {
  const copy = structuredClone(object);
  copy.metadata = {
    ...copy.metadata,
    uid: "1",
    resourceVersion: "7",
    labels: { ...copy.metadata.labels, team: "theirs" },
  };
  copy.status = { lastScheduleTime: "2026-04-13T00:00:00Z" };
  if (copy.kind !== "CronJob") return copy;
  copy.spec.suspend = false;
  const { spec } = copy.spec.jobTemplate.spec.template;
  copy.spec.jobTemplate.metadata = { creationTimestamp: null, ...copy.spec.jobTemplate.metadata };
  Object.assign(spec, {
    dnsPolicy: "ClusterFirst",
    schedulerName: "default-scheduler",
    terminationGracePeriodSeconds: 30,
  });
  for (const volume of spec.volumes) volume.configMap.defaultMode = 420;
  // Terraform's provider writes this default out.
  for (const mount of spec.containers[0].volumeMounts) mount.mountPropagation = "None";
  for (const container of spec.containers)
    Object.assign(container, { terminationMessagePath: "/dev/termination-log", terminationMessagePolicy: "File" });
  return copy;
};

test.each(objects.map((object) => [object.kind, object.metadata.name, object] as const))(
  "%s %s is as the site has it when the API server has filled in what it does",
  (_, __, object) => {
    expect(objectDifferences(object as KubernetesObject, answered(object))).toEqual([]);
  },
);

const compared = leaves(cronJob).filter(([top]) => !["apiVersion", "kind", "metadata"].includes(top ?? ""));

test("any change of what the site says is one difference, in the words of its field", () => {
  expect(compared.length).toBeGreaterThan(40);
  fc.assert(
    fc.property(fc.constantFrom(...compared), fc.constantFrom("another", 4711, true), (path, to) => {
      const before = path.reduce((at: Json, key) => at[key], cronJob);
      fc.pre(before !== to);
      const found = objectDifferences(cronJob, answered(changed(cronJob, path, to)));
      // Members of a list are matched by name: a changed name is one member gone and a new one.
      if (path.at(-1) === "name") expect(found.length).toBeGreaterThanOrEqual(1);
      else expect(found).toEqual([expect.objectContaining({ expected: String(before), actual: String(to) })]);
    }),
  );
});

test("what is left out of it is a difference, unless it says nothing", () => {
  fc.assert(
    fc.property(fc.constantFrom(...compared), (path) => {
      const before = path.reduce((at: Json, key) => at[key], cronJob);
      const found = objectDifferences(cronJob, answered(changed(cronJob, path, undefined)));
      expect(found.length > 0).toBe(before !== false);
    }),
  );
});

test("what somebody adds is a difference, in a list and in an object", () => {
  const { spec } = structuredClone(cronJob);
  spec.timeZone = "Etc/UTC";
  const pod = spec.jobTemplate.spec.template.spec;
  pod.containers[0].env.push({ name: "DEBUG", value: "1" });
  pod.nodeSelector = { disk: "ssd" };
  expect(objectDifferences(cronJob, { ...cronJob, spec }).map(({ field }) => field)).toEqual([
    "spec.jobTemplate.spec.template.spec.containers[probe].env[DEBUG]",
    "spec.jobTemplate.spec.template.spec.nodeSelector",
    "spec.timeZone",
  ]);
});

test("a label of ours that was changed is a difference, one of somebody else's is not", () => {
  const labels = { ...cronJob.metadata.labels, "app.kubernetes.io/name": "other", team: "x" };
  expect(objectDifferences(cronJob, { ...cronJob, metadata: { ...cronJob.metadata, labels } })).toEqual([
    {
      field: "metadata.labels[app.kubernetes.io/name]",
      expected: "registry-integrity-probe",
      actual: "other",
    },
  ]);
});

test("a long text is told by its digest", () => {
  const map = (text: string): KubernetesObject => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "a" },
    data: { "probe.mjs": text },
  });
  const [difference] = objectDifferences(map("x".repeat(20_000)), map("y".repeat(20_000)));
  expect(difference?.actual).toMatch(/^20 KiB of SHA-256 [0-9a-f]{12}$/);
  expect(difference?.actual).not.toBe(difference?.expected);
});
