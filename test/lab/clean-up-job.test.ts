import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { dirname } from "node:path";
import { Testing } from "cdktf";
import { commandsOf } from "../../handbook/document";
import { documentsOf } from "../../handbook/handbook";
import { publishReport } from "../../registry/in-use/publish";
import { RegistryClient } from "../../registry/oci/client";
import type { Digest } from "../../registry/oci/digest";
import { RegistryWriter } from "../../registry/oci/push";
import { parseSite } from "../../site/load";
import type { ClusterSite } from "../../site/schema";
import { MonitoringStack } from "../../stacks/monitoring-stack";
import { type AnyKubernetesObject, allObjectsOf } from "../monitoring/objects";
import type { Json } from "../monitoring/synthesise";
import { verify } from "../registry/oci/fake-registry";
import { SHIPPED } from "../sites";
import { describeWith } from "./components";
import { createdOn, image, index, push, type SyntheticManifest } from "./images";
import { type KubernetesCluster, startKubernetes } from "./kubernetes";
import { metricGroups, metricValue } from "./metric-groups";
import { leaksIn, PLANTED } from "./planted-secret";
import { type PodOutcome, preparePod } from "./pod";
import { temporaryFolder, waitFor } from "./process";
import { type LabServer, startPushgateway } from "./prometheus";
import { type LabRegistry, startRegistry } from "./registry";

const HOUR = 3_600_000;
const NAMESPACE = "monitoring";

const siteOf = (bend: (site: Json) => void): ClusterSite => {
  const site = structuredClone(SHIPPED.forgejo) as Json;
  bend(site);
  return parseSite(site) as ClusterSite;
};

/** The objects as deployed, including the programs. */
const objectsOfSite = (site: ClusterSite, variables: Readonly<Record<string, string>> = {}): AnyKubernetesObject[] =>
  allObjectsOf(JSON.parse(Testing.synth(new MonitoringStack(Testing.app(), "monitoring", { site }), true)), variables);

const cronJobOf = (objects: readonly AnyKubernetesObject[]): AnyKubernetesObject => {
  const found = objects.find(({ kind, metadata }) => kind === "CronJob" && metadata.name === "forge-clean-up");
  if (found === undefined) throw new Error("there is no CronJob of the clean-up");
  return found;
};

const version = (n: number): SyntheticManifest =>
  index(
    ["amd64", "arm64"].map((architecture) =>
      image(`${n} ${architecture}`, { platform: { architecture, os: "linux" } }),
    ),
    { annotations: createdOn(n) },
  );

describeWith(["registry", "pushgateway"], "the clean-up as a pod, of a registry 2.8.3 that asks for an account", () => {
  const claim = temporaryFolder("claim");
  let registry: LabRegistry;
  let pushgateway: LabServer;
  let objects: AnyKubernetesObject[];
  const target = () => ({ url: registry.url, credentials: PLANTED });
  const access = () => ({ url: new URL(registry.url), credentials: { kind: "password", ...PLANTED } as const });

  beforeAll(async () => {
    registry = await startRegistry({ htpasswd: { ...PLANTED, cost: 4 } });
    pushgateway = await startPushgateway();
    const site = siteOf(({ monitoring }) => {
      const [forge] = monitoring.externalRegistries;
      monitoring.pushgateway = pushgateway.url;
      forge.url = registry.url;
      forge.cleanUp.retention.rules = [{ repositories: "team/*", keepNewest: 2, order: "created" }];
      forge.cleanUp.credentials = { from: "variables", secret: "forge-clean-up", revision: 1 };
    });
    objects = objectsOfSite(site, {
      forge_clean_up_username: PLANTED.username,
      forge_clean_up_password: PLANTED.password,
    });
    for (const n of [1, 2, 3, 4, 5]) await push(target(), "team/app", version(n), `v${n}`);
  }, 60_000);
  afterAll(async () => {
    await registry?.stop();
    await pushgateway?.stop();
    rmSync(claim, { recursive: true, force: true });
  });

  const run = async (variables: Readonly<Record<string, string>> = {}): Promise<PodOutcome> => {
    const template = structuredClone(cronJobOf(objects).spec.jobTemplate.spec.template);
    for (const [name, value] of Object.entries(variables)) template.spec.containers[0].env.push({ name, value });
    const pod = preparePod(template, objects, undefined, { "forge-clean-up-journal": claim });
    try {
      const outcome = await pod.run();
      expect(leaksIn(outcome.stdout + outcome.stderr + pod.argv.join(" "))).toEqual([]);
      return outcome;
    } finally {
      pod.remove();
    }
  };

  const tags = async (): Promise<string[]> => {
    const client = new RegistryClient(access());
    try {
      const { body } = await client.tags("team/app");
      return (JSON.parse(body.toString()) as { tags: string[] }).tags.sort();
    } finally {
      await client.close();
    }
  };

  const metrics = async (): Promise<Record<string, number>> => {
    const group = (await metricGroups(pushgateway)).find(({ labels }) => labels.job === "registry-clean-up");
    if (group === undefined) throw new Error("nothing was pushed");
    expect(group.labels).toEqual({ job: "registry-clean-up", instance: registry.host });
    return Object.fromEntries(
      Object.keys(group)
        .filter((name) => name.startsWith("registry_clean_up_"))
        .map((name) => [name.replace("registry_clean_up_", ""), metricValue(group, name)]),
    );
  };

  const report = async (hoursAgo: number, digests: readonly Digest[]): Promise<void> => {
    const [client, writer] = [new RegistryClient(access()), new RegistryWriter(access())];
    await publishReport(client, writer, { cluster: "cluster", time: Date.now() - hoursAgo * HOUR, digests });
    await Promise.all([client.close(), writer.close()]);
  };

  const whole = async (): Promise<void> =>
    expect(
      await verify(access().url, { blobs: "hash", credentialsGiven: true }, { credentials: access().credentials }),
    ).toMatchObject({ complete: true, failures: [] });

  test("waits to be started", () => {
    expect(cronJobOf(objects).spec.suspend).toBe(true);
  });

  test("refuses while there is no report of what runs, or only an old one: nothing is removed", async () => {
    const before = await tags();
    expect(await run()).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^the report of .*"cluster" is missing/),
    });
    await report(25, []);
    expect(await run()).toMatchObject({ code: 2, stderr: expect.stringContaining("is 25 hours old") });
    expect(await tags()).toEqual(before);
    expect(await metrics()).toMatchObject({ success: 0 });
    expect(await metrics()).not.toHaveProperty("last_success_timestamp_seconds");
  }, 60_000);

  let journal = "";
  test("removes what nobody keeps and nothing runs, says so before, and leaves the rest whole", async () => {
    await report(0, [version(1).descriptor.digest]);
    const { code, stdout, stderr } = await run();
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(await tags()).toEqual(["v1", "v4", "v5"]);
    expect(stdout).toMatch(/^remove {4}2 tags, 6 manifests;/m);
    expect(stdout).toMatch(/^keep +team\/app:v1 .*runs/m);
    [, journal = ""] = /^journal {3}(.*)$/m.exec(stdout) ?? [];
    await whole();
    const told = await metrics();
    expect(told).toMatchObject({
      success: 1,
      removed_tags: 2,
      removed_manifests: 6,
      spared: 0,
      skipped_repositories: 0,
    });
    expect(told.last_success_timestamp_seconds).toBe(told.last_run_timestamp_seconds);
  }, 60_000);

  test("a pod that comes after it puts all of it back, from the volume", async () => {
    expect(journal.startsWith(claim)).toBe(true);
    const { code, stdout } = await run({ UNDO: journal });
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining("6 manifests put back") });
    expect(await tags()).toEqual(["v1", "v2", "v3", "v4", "v5"]);
    await whole();
  }, 60_000);
});

describeWith(
  ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl"],
  "the CronJob of a clean-up, in a real API server",
  ({ kubectl }) => {
    let cluster: KubernetesCluster;
    const site = siteOf(({ monitoring }) => {
      monitoring.rules = { delivery: "rules-file", labels: {} };
    });
    const objects = objectsOfSite(site);

    const shell = (script: string, input = "") =>
      spawnSync("bash", ["-c", script], {
        encoding: "utf8",
        input,
        timeout: 60_000,
        env: { ...process.env, PATH: `${dirname(kubectl.command[0])}:${process.env.PATH}` },
      });
    /** A command from the runbook, run against this cluster instead of the operator's. */
    const typed = (part: RegExp): string => {
      const page = documentsOf(site).find(({ path }) => path === "runbooks/clean-up.md");
      const found = (page === undefined ? [] : commandsOf(page)).find(({ run }) => part.test(run.text));
      const script = (found?.run.text ?? "false").replaceAll("~/.kube/config", cluster.kubeconfig);
      const { status, stdout, stderr } = shell(script);
      expect({ script, status, stderr }).toMatchObject({ status: 0 });
      return stdout;
    };
    const jobs = async (): Promise<Json[]> =>
      (await cluster.request("GET", `/apis/batch/v1/namespaces/${NAMESPACE}/jobs`)).body.items;

    beforeAll(async () => {
      cluster = await startKubernetes();
      const metadata = { name: NAMESPACE, labels: { "pod-security.kubernetes.io/enforce": "restricted" } };
      await cluster.request("POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata });
    }, 60_000);
    afterAll(() => cluster?.stop());

    test("is taken as it is, twice, and starts nothing of its own accord", async () => {
      const path = `/apis/batch/v1/namespaces/${NAMESPACE}/cronjobs/forge-clean-up?fieldManager=terraform&fieldValidation=Strict`;
      const apply = () => cluster.request("PATCH", path, cronJobOf(objects), "application/apply-patch+yaml");
      const [first, second] = [await apply(), await apply()];
      expect(first).toMatchObject({ status: 201, body: { spec: { suspend: true, timeZone: "Etc/UTC" } } });
      expect(second.body.metadata.resourceVersion).toBe(first.body.metadata.resourceVersion);
      expect(await jobs()).toEqual([]);
    });

    test("the runbook starts a run although it is suspended, whose pod is admitted, and one that undoes", async () => {
      typed(/ create job --from cronjob\/forge-clean-up forge-clean-up-now$/);
      expect(typed(/UNDO=/)).toBe("job.batch/forge-clean-up-undo created\n");
      const variable = (job: Json, name: string) =>
        job.spec.template.spec.containers[0].env.find((each: Json) => each.name === name)?.value;
      const all = await jobs();
      expect(all.map((job) => [job.metadata.name, variable(job, "UNDO")])).toEqual([
        ["forge-clean-up-now", undefined],
        ["forge-clean-up-undo", "/var/lib/registry-warden/HOST/TIME"],
      ]);
      for (const job of all) {
        expect(variable(job, "POLICY")).toBe(variable(all[0], "POLICY"));
        const pods = `/api/v1/namespaces/${NAMESPACE}/pods?labelSelector=job-name=${job.metadata.name}`;
        await waitFor("the pod", async () => (await cluster.request("GET", pods)).body.items.length === 1);
      }
    }, 60_000);

    test("the runbook stops both", async () => {
      typed(/ patch cronjob forge-clean-up /);
      typed(/ delete jobs --selector /);
      await waitFor("the jobs gone", async () => (await jobs()).length === 0);
    }, 60_000);
  },
);
