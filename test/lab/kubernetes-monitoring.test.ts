import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { type AnyKubernetesObject, allObjectsOf, onlyOf } from "../monitoring/objects";
import { type Json, SITES, site, synthesise } from "../monitoring/synthesise";
import { describeWith } from "./components";
import { type KubernetesCluster, startKubernetes } from "./kubernetes";
import { metricGroups } from "./metric-groups";
import { type MonitoredRegistry, startMonitoredRegistry } from "./monitored-registry";
import { preparePod } from "./pod";
import { waitFor } from "./process";
import { type LabServer, startPushgateway } from "./prometheus";

// A CronJob starts on the minute; to see that one does not start, the test waits for the next minute.
jest.setTimeout(240_000);

const NAMESPACE = "monitoring";
const VARIABLES = { registry_probe_username: "probe", registry_probe_password: "secret" };

const RESOURCES: Record<string, string> = {
  ClusterRole: "clusterroles",
  ClusterRoleBinding: "clusterrolebindings",
  ConfigMap: "configmaps",
  CronJob: "cronjobs",
  CustomResourceDefinition: "customresourcedefinitions",
  Namespace: "namespaces",
  PrometheusRule: "prometheusrules",
  Secret: "secrets",
  ServiceAccount: "serviceaccounts",
};

const collection = ({ apiVersion, kind, metadata: { namespace } }: AnyKubernetesObject): string => {
  const group = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return `${group}${namespace === undefined ? "" : `/namespaces/${namespace}`}/${RESOURCES[kind]}`;
};

describeWith(
  ["etcd", "kube-apiserver", "kube-controller-manager", "prometheusrule-crd", "registry", "pushgateway", "openssl"],
  "the monitoring stack in a real API server",
  ({ "prometheusrule-crd": definition }) => {
    let cluster: KubernetesCluster;

    /** Server-side apply as Terraform's provider would, and stricter: an unknown field is an error. */
    const apply = (object: AnyKubernetesObject, manager = "terraform") =>
      cluster.request(
        "PATCH",
        `${collection(object)}/${object.metadata.name}?fieldManager=${manager}&fieldValidation=Strict&force=true`,
        object,
        "application/apply-patch+yaml",
      );
    const applied = async (object: AnyKubernetesObject, manager?: string): Promise<Json> => {
      const { status, body } = await apply(object, manager);
      if (status !== 200 && status !== 201) throw new Error(`${object.metadata.name}: ${status} ${body.message}`);
      return body;
    };
    const list = async (path: string): Promise<Json[]> => (await cluster.request("GET", path)).body.items;
    const jobsOf = async (cronJob: string): Promise<Json[]> =>
      (await list(`/apis/batch/v1/namespaces/${NAMESPACE}/jobs`)).filter(
        ({ metadata }) => metadata.ownerReferences?.[0]?.name === cronJob,
      );
    const podsOf = (job: Json): Promise<Json[]> =>
      list(`/api/v1/namespaces/${NAMESPACE}/pods?labelSelector=batch.kubernetes.io/job-name=${job.metadata.name}`);
    const podOf = async (job: Json): Promise<Json> => (await podsOf(job))[0];

    beforeAll(async () => {
      cluster = await startKubernetes();
      const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
      const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE, labels } };
      // By another manager: a later apply by the same one would remove what it does not repeat.
      await applied(namespace, "cluster");
      const crd = parse(readFileSync(definition.command[0], "utf8"));
      await applied(crd);
      await waitFor("PrometheusRule served", async () => {
        const { status } = await cluster.request("GET", `/apis/${crd.spec.group}/v1/${crd.spec.names.plural}`);
        return status === 200;
      });
    });
    afterAll(() => cluster?.stop());

    describe.each(Object.keys(SITES) as (keyof typeof SITES)[])("of the %s site", (name) => {
      const objects = allObjectsOf(synthesise(site(name)), VARIABLES);

      test("takes every object, each field known, and the second time changes nothing", async () => {
        for (const object of objects) {
          const first = await applied(object);
          const second = await applied(object);
          expect(second.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
        }
      });

      test("takes over a CronJob that somebody else made", async () => {
        const ours = onlyOf(objects, "CronJob");
        const { jobTemplate } = ours.spec;
        const theirs: AnyKubernetesObject = {
          ...ours,
          metadata: { ...ours.metadata, name: `${ours.metadata.name}-old` },
          spec: { schedule: "0 4 * * *", concurrencyPolicy: "Allow", jobTemplate },
        };
        expect((await apply(theirs, "kubectl")).status).toBe(201);
        const { spec } = await applied({ ...ours, metadata: theirs.metadata });
        expect(spec).toMatchObject({ schedule: ours.spec.schedule, concurrencyPolicy: "Forbid" });
      });
    });

    test("refuses a field that it does not know: the check above can fail", async () => {
      const ours = onlyOf(allObjectsOf(synthesise(site("reference"))), "CronJob");
      const { status, body } = await apply({ ...ours, spec: { ...ours.spec, timeZon: "Etc/UTC" } });
      expect(status).toBeGreaterThanOrEqual(400);
      expect(body.message).toContain("timeZon");
    });

    test("refuses a PrometheusRule that Prometheus would refuse: the definition is enforced", async () => {
      const ours = onlyOf(allObjectsOf(synthesise(site("reference"))), "PrometheusRule");
      const [group] = ours.spec.groups;
      const rules = [{ ...group.rules[0], for: "banana" }];
      const { status } = await apply({ ...ours, spec: { groups: [{ ...group, rules }] } });
      expect(status).toBe(422);
    });

    test.each([
      ["runs as root", (spec: Json) => Object.assign(spec.securityContext, { runAsNonRoot: false, runAsUser: 0 })],
      [
        "may gain privileges",
        (spec: Json) => Object.assign(spec.containers[0].securityContext, { allowPrivilegeEscalation: true }),
      ],
      ["keeps capabilities", (spec: Json) => delete spec.containers[0].securityContext.capabilities],
      ["has no seccomp profile", (spec: Json) => delete spec.securityContext.seccompProfile],
    ])("refuses the pod where it %s: admission is enforced", async (_, bend) => {
      const { spec } = onlyOf(allObjectsOf(synthesise(site("reference"))), "CronJob").spec.jobTemplate.spec.template;
      delete spec.containers[0].securityContext.runAsNonRoot;
      bend(spec);
      const { status, body } = await cluster.request("POST", `/api/v1/namespaces/${NAMESPACE}/pods`, {
        metadata: { name: "bent" },
        spec,
      });
      expect(status).toBe(403);
      expect(body.message).toContain('violates PodSecurity "restricted:latest"');
    });

    test("makes a pod for each shard, and each reports its part", async () => {
      const pushgateway = await startPushgateway();
      const monitored = await startMonitoredRegistry({ pushgateway: pushgateway.url, shards: 2 });
      try {
        for (const object of monitored.objects) await applied(object);
        const { metadata, spec } = onlyOf(monitored.objects, "CronJob").spec.jobTemplate;
        const job = { metadata: { ...metadata, name: "sharded" }, spec };
        await cluster.request("POST", `/apis/batch/v1/namespaces/${NAMESPACE}/jobs`, job);
        await waitFor("two pods", async () => (await podsOf(job)).length === 2);
        for (const pod of await podsOf(job)) {
          const process = preparePod(pod, monitored.objects);
          expect(await process.run()).toMatchObject({ code: 0, stderr: "" });
          process.remove();
        }
        const groups = await metricGroups(pushgateway);
        expect(groups.map(({ labels }) => labels.shard).sort()).toEqual(["0", "1"]);
      } finally {
        await monitored.stop();
        await pushgateway.stop();
      }
    });

    test("a shard that fails ends no other, and the Job says which it was", async () => {
      const sharded = site("reference", ({ monitoring: { probes } }) => Object.assign(probes[0], { shards: 3 }));
      const { metadata, spec } = onlyOf(allObjectsOf(synthesise(sharded)), "CronJob").spec.jobTemplate;
      const job = { metadata: { ...metadata, name: "fails-in-part" }, spec };
      const jobs = `/apis/batch/v1/namespaces/${NAMESPACE}/jobs`;
      expect((await cluster.request("POST", jobs, job)).status).toBe(201);
      await waitFor("three pods", async () => (await podsOf(job)).length === 3);
      const pods = new Map(
        (await podsOf(job)).map((pod) => [
          pod.metadata.annotations["batch.kubernetes.io/job-completion-index"],
          pod.metadata.name,
        ]),
      );
      // The status that a kubelet would set.
      const end = (index: string, phase: string) =>
        cluster.request(
          "PATCH",
          `/api/v1/namespaces/${NAMESPACE}/pods/${pods.get(index)}/status`,
          { status: { phase } },
          "application/merge-patch+json",
        );
      const status = async (): Promise<Json> => (await cluster.request("GET", `${jobs}/fails-in-part`)).body.status;
      await end("0", "Failed");
      await waitFor("its failure", async () => (await status()).failedIndexes === "0");
      expect((await status()).conditions ?? []).toEqual([]);
      expect((await podsOf(job)).filter((pod) => pod.metadata.deletionTimestamp !== undefined)).toEqual([]);
      for (const index of ["1", "2"]) await end(index, "Succeeded");
      await waitFor("the end", async () => (await status()).conditions?.some(({ type }: Json) => type === "Failed"));
      expect(await status()).toMatchObject({ failedIndexes: "0", completedIndexes: "1,2", succeeded: 2, failed: 1 });
    });

    describe("scheduled every minute", () => {
      let pushgateway: LabServer;
      let monitored: MonitoredRegistry;
      let cronJob: AnyKubernetesObject;
      const renamed = (name: string, bend: Json = {}): AnyKubernetesObject => ({
        ...cronJob,
        metadata: { ...cronJob.metadata, name },
        spec: { ...cronJob.spec, ...bend },
      });
      const eventsOf = async (name: string): Promise<string[]> =>
        (await list(`/api/v1/namespaces/${NAMESPACE}/events?fieldSelector=involvedObject.name=${name}`)).map(
          ({ reason }) => reason,
        );

      beforeAll(async () => {
        pushgateway = await startPushgateway();
        monitored = await startMonitoredRegistry({ pushgateway: pushgateway.url, period: 60 });
        for (const object of monitored.objects) await applied(object);
        cronJob = onlyOf(monitored.objects, "CronJob");
        await applied(renamed("never-ends"));
        const { template, ...job } = cronJob.spec.jobTemplate.spec;
        await applied(
          renamed("outlives-its-period", {
            jobTemplate: { spec: { ...job, activeDeadlineSeconds: 600, template } },
          }),
        );
      });
      afterAll(async () => {
        await monitored?.stop();
        await pushgateway?.stop();
      });

      test("makes a Job whose pod, run as it says, reports and succeeds", async () => {
        await waitFor("a job", async () => (await jobsOf(cronJob.metadata.name)).length > 0, 75);
        const [job] = await jobsOf(cronJob.metadata.name);
        await waitFor("its pod", async () => (await podOf(job)) !== undefined);
        const pod = await podOf(job);
        const process = preparePod(pod, monitored.objects);
        try {
          expect(await process.run()).toMatchObject({ code: 0, stderr: "" });
        } finally {
          process.remove();
        }
        // The status that a kubelet would set.
        await cluster.request(
          "PATCH",
          `/api/v1/namespaces/${NAMESPACE}/pods/${pod.metadata.name}/status`,
          { status: { phase: "Succeeded" } },
          "application/merge-patch+json",
        );
        await waitFor("the CronJob's success", async () => {
          const { body } = await cluster.request("GET", `${collection(cronJob)}/${cronJob.metadata.name}`);
          return body.status.lastSuccessfulTime !== undefined;
        });
      });

      test("ends a pod that never starts, once, before the next is due", async () => {
        const [job] = await jobsOf("never-ends");
        const failure = async (): Promise<Json> =>
          (await jobsOf("never-ends"))
            .find(({ metadata }) => metadata.uid === job.metadata.uid)
            ?.status.conditions?.find(({ type }: Json) => type === "Failed");
        await waitFor("its end", async () => (await failure()) !== undefined, 60);
        const { reason, lastTransitionTime } = await failure();
        expect(reason).toBe("DeadlineExceeded");
        const lasted = (Date.parse(lastTransitionTime) - Date.parse(job.status.startTime)) / 1000;
        expect(lasted).toBeLessThan(60);
      });

      test("does not start beside a Job that still runs", async () => {
        await waitFor(
          "JobAlreadyActive",
          async () => (await eventsOf("outlives-its-period")).includes("JobAlreadyActive"),
          75,
        );
        expect(await jobsOf("outlives-its-period")).toHaveLength(1);
      });
    });
  },
);
