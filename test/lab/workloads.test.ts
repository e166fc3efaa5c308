import { execFileSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { Agent, fetch } from "undici";
import { IN_USE_REPOSITORY } from "../../registry/in-use/report";
import type { Digest } from "../../registry/oci/digest";
import { StoreContents } from "../../registry/storage/contents";
import { StorageLayout } from "../../registry/storage/layout";
import { planPrune } from "../../registry/storage/prune";
import { StoreReader } from "../../registry/storage/reader";
import { scan } from "../../registry/storage/scan";
import { runWarden } from "../cli/run-warden";
import { type AnyKubernetesObject, onlyOf } from "../monitoring/objects";
import type { Json } from "../monitoring/synthesise";
import { storedReport } from "../registry/in-use/stored-report";
import { describeWith } from "./components";
import { digestOf, image, multiPlatformImage, push, type SyntheticManifest } from "./images";
import { type KubernetesCluster, startKubernetes } from "./kubernetes";
import { type MonitoredRegistry, startMonitoredRegistry } from "./monitored-registry";
import { type LabPod, preparePod } from "./pod";
import { temporaryFolder } from "./process";
import { type LabServer, startPushgateway } from "./prometheus";

jest.setTimeout(120_000);

const NAMESPACE = "monitoring";
const MERGE = "application/merge-patch+json";

/** Running although its tag moved; running although its tag is about to be removed; not running. */
const [moved, aged, fresh, nowhere, tool] = [
  multiPlatformImage("moved"),
  image("aged"),
  image("fresh"),
  image("nowhere"),
  image("tool"),
];

describeWith(
  ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "registry", "pushgateway", "openssl"],
  "what runs in a real cluster, of a real registry",
  ({ kubectl }) => {
    const folder = temporaryFolder("workloads");
    const { PATH, REG_USER, REG_PASS } = process.env;
    let cluster: KubernetesCluster;
    let pushgateway: LabServer;
    let monitored: MonitoredRegistry;
    let token: string;
    let probe: LabPod;
    /** The registry's name in image references. */
    let host: string;
    let policy: string;

    const api = async (method: string, path: string, body?: object, type?: string): Promise<Json> => {
      const answer = await cluster.request(method, path, body, type);
      if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.body.message}`);
      return answer.body;
    };
    const PATHS: Record<string, string> = {
      ServiceAccount: `/api/v1/namespaces/${NAMESPACE}/serviceaccounts`,
      ClusterRole: "/apis/rbac.authorization.k8s.io/v1/clusterroles",
      ClusterRoleBinding: "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    };
    const apply = ({ kind, metadata, ...rest }: AnyKubernetesObject) =>
      api("POST", PATHS[kind] ?? "", { kind, metadata, ...rest });

    /** Creates a pod with the status that a node would report: the image that each container runs. */
    const pod = async (name: string, spec: Json, running: Record<string, string>, phase = "Running") => {
      await api("POST", "/api/v1/namespaces/default/pods", { metadata: { name }, spec });
      const statuses = (containers: Json[] = []) =>
        containers.map(({ name, image }) => ({
          ...{ name, image, ready: true, restartCount: 0 },
          imageID: running[name] ?? "",
        }));
      const status = {
        phase,
        containerStatuses: statuses(spec.containers),
        initContainerStatuses: statuses(spec.initContainers),
      };
      await api("PATCH", `/api/v1/namespaces/default/pods/${name}/status`, { status }, MERGE);
    };
    const pushImage = (repository: string, pushed: SyntheticManifest, ...tags: string[]) =>
      push(monitored.pushTarget, repository, pushed, ...tags);

    /** Runs the probe once. @returns what the Pushgateway then has about workloads */
    const run = async () => {
      const { code, stdout, stderr } = await probe.run();
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      const text = await (await fetch(`${pushgateway.url}/metrics`)).text();
      const value = (name: string) => Number(new RegExp(`^${name}.* (\\S+)$`, "m").exec(text)?.[1] ?? Number.NaN);
      const states = ["intact", "broken", "missing", "unknown"].map((state) => [
        state,
        value(`registry_workload_images\\{[^}]*state="${state}"`),
      ]);
      return { log: stdout, known: value("registry_workload_known"), images: Object.fromEntries(states) };
    };
    const access = () => ["--ca-file", monitored.authority];
    /** Whether the store has every byte of an image. */
    const isComplete = (digest: Digest): boolean =>
      new StoreContents(new StoreReader(new StorageLayout(monitored.registry.root))).isComplete(digest);
    /** Prunes while the registry is read-only, collects its garbage, and lets it serve again. */
    const cleanUp = async (...how: string[]) => {
      const { registry } = monitored;
      await registry.restart({ readOnly: true });
      const pruned = await runWarden(
        "prune",
        registry.root,
        ...how,
        "--apply",
        "--registry",
        registry.url,
        ...access(),
      );
      if (pruned.code === 0) {
        await registry.shutDown();
        await registry.collectGarbage();
      }
      await registry.restart({ readOnly: false });
      return pruned;
    };

    beforeAll(async () => {
      pushgateway = await startPushgateway();
      cluster = await startKubernetes();
      monitored = await startMonitoredRegistry({ pushgateway: pushgateway.url, workloads: true });
      process.env.PATH = `${join(kubectl.command[0], "..")}:${PATH}`;
      process.env.REG_USER = monitored.credentials.username;
      process.env.REG_PASS = monitored.credentials.password;
      host = monitored.registry.host.replace("127.0.0.1", "localhost");
      policy = join(folder, "policy.json");
      const [service] = monitored.site.registry.services;
      writeFileSync(policy, JSON.stringify(service?.role === "private" ? service.retention : {}));

      await api("POST", "/api/v1/namespaces", { metadata: { name: NAMESPACE } });
      for (const object of monitored.objects) if (object.kind in PATHS) await apply(object);
      const { metadata } = onlyOf(monitored.objects, "ServiceAccount");
      const request = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} };
      token = (await api("POST", `${PATHS.ServiceAccount}/${metadata.name}/token`, request)).status.token;
      const kubelet = { api: cluster.url, certificateAuthority: cluster.certificateAuthority, token };
      const { template } = onlyOf(monitored.objects, "CronJob").spec.jobTemplate.spec;
      probe = preparePod(template, monitored.objects, kubelet);

      await pushImage("app", moved, "latest");
      await pushImage("app", aged, "v1");
      await pushImage("app", nowhere, "v2");
      await pushImage("app", fresh, "latest");
      await pushImage("tools", tool, "v1");
      await pod(
        "web",
        { containers: [{ name: "app", image: `${host}/app` }] },
        { app: `${host}/app@${digestOf(moved)}` },
      );
      await pod(
        "worker",
        {
          initContainers: [{ name: "setup", image: `127.0.0.1:${host.split(":")[1]}/app:v1` }],
          containers: [{ name: "proxy", image: "nginx" }],
        },
        { setup: `${host}/app@${digestOf(aged)}`, proxy: `docker.io/library/nginx@${digestOf(tool)}` },
      );
      const ended = { restartPolicy: "Never", containers: [{ name: "once", image: `${host}/app:v2` }] };
      await pod("ended", ended, { once: `${host}/app@${digestOf(nowhere)}` }, "Succeeded");
      const backup = { restartPolicy: "Never", containers: [{ name: "backup", image: `${host}/tools:v1` }] };
      await api("POST", "/apis/batch/v1/namespaces/default/cronjobs", {
        metadata: { name: "backup" },
        spec: { schedule: "0 0 1 1 *", jobTemplate: { spec: { template: { spec: backup } } } },
      });
      const debug = { name: "debug", image: `${host}/tools:v1` };
      await api(
        "PATCH",
        "/api/v1/namespaces/default/pods/web/ephemeralcontainers",
        { spec: { ephemeralContainers: [debug] } },
        "application/strategic-merge-patch+json",
      );
    }, 120_000);
    afterAll(async () => {
      Object.assign(process.env, { PATH, REG_USER: REG_USER ?? "", REG_PASS: REG_PASS ?? "" });
      probe?.remove();
      for (const each of [monitored, cluster, pushgateway]) await each?.stop();
      rmSync(folder, { recursive: true });
    });

    test("the probe may list pods and CronJobs, and nothing else", async () => {
      const ca = readFileSync(cluster.certificateAuthority, "utf8");
      const dispatcher = new Agent({ connect: { ca } });
      const ask = async (path: string, method = "GET") =>
        (
          await fetch(`${cluster.url}${path}`, {
            dispatcher,
            method,
            headers: { authorization: `Bearer ${token}` },
          })
        ).status;
      expect([await ask("/api/v1/pods"), await ask("/apis/batch/v1/cronjobs")]).toEqual([200, 200]);
      for (const path of [
        "/api/v1/secrets",
        "/api/v1/configmaps",
        `/api/v1/namespaces/${NAMESPACE}/secrets/registry-probe`,
        "/api/v1/namespaces/default/pods/web",
        "/api/v1/namespaces/default/pods/web/log",
        "/apis/batch/v1/jobs",
        "/apis/apps/v1/deployments",
      ])
        expect([path, await ask(path)]).toEqual([path, 403]);
      expect(await ask("/api/v1/namespaces/default/pods/web", "DELETE")).toBe(403);
      await dispatcher.close();
    });

    test("it verifies what runs, also where the tag has moved, and reports it; verify and scan accuse nothing", async () => {
      const { log, known, images } = await run();
      expect({ known, images }).toEqual({ known: 1, images: { intact: 3, broken: 0, missing: 0, unknown: 0 } });
      expect(log).toContain("in use    3 images of 5 containers: 3 intact");
      const { out } = await runWarden("verify", monitored.registry.url, "--json", "--blobs", "hash", ...access());
      expect(JSON.parse(out)).toMatchObject({ complete: true, failures: [], warnings: [] });
      expect(await scan(monitored.registry.root, { role: "private", hash: true })).toMatchObject({ findings: [] });
      const { inUse } = await planPrune(
        monitored.registry.root,
        { rules: [{ repositories: "x", keepNewest: 1 }] },
        Date.now(),
      );
      // What is running and what a start would pull, but nothing that has ended or comes from another registry.
      expect(inUse.reports).toMatchObject([{ cluster: "cluster", digests: 4, problem: null }]);
      const secret = monitored.credentials.password;
      expect(JSON.stringify([log, probe.argv, monitored.stack])).not.toContain(secret);
      expect(log).not.toContain(token);
    });

    test("warden workloads says the same, by kubectl or from its JSON", async () => {
      const how = ["--name", host, "--name", monitored.registry.host, ...access()];
      const asked = await runWarden("workloads", monitored.registry.url, "--kubeconfig", cluster.kubeconfig, ...how);
      expect([asked.code, asked.err]).toEqual([0, ""]);
      expect(asked.out).toMatch(/^intact +app:latest +sha256:\w{12} \(the tag has moved\) +default\/web$/m);
      expect(asked.out).toMatch(/^intact +tools:v1 +- +cronjob default\/backup, default\/web$/m);
    });

    test("what is scaled down is none of the probe's, and is read from what kubectl prints", async () => {
      const scaledDown = (image: string) => ({
        replicas: 0,
        selector: { matchLabels: { app: "idle" } },
        template: { metadata: { labels: { app: "idle" } }, spec: { containers: [{ name: "idle", image }] } },
      });
      const apps = "/apis/apps/v1/namespaces/default";
      await api("POST", `${apps}/deployments`, { metadata: { name: "idle" }, spec: scaledDown(`${host}/app:v2`) });
      await api("POST", `${apps}/statefulsets`, {
        metadata: { name: "idle" },
        spec: { ...scaledDown(`${host}/app:never`), serviceName: "idle" },
      });
      const before = await run();
      expect(before.images).toMatchObject({ intact: 3, missing: 0 });
      const listed = execFileSync(
        kubectl.command[0],
        ["--kubeconfig", cluster.kubeconfig, "get", "pods,deployments,statefulsets", "-A", "-o", "json"],
        { encoding: "buffer" },
      );
      const stdin = jest.spyOn(process, "stdin", "get").mockReturnValue(Readable.from([listed]) as never);
      const told = await runWarden("workloads", monitored.registry.url, "-", "--name", host, ...access());
      stdin.mockRestore();
      expect(told.code).toBe(1);
      expect(told.out).toMatch(/^intact +app:v2 +- +deployment default\/idle$/m);
      expect(told.out).toMatch(/^missing +app:never +- +statefulset default\/idle$/m);
      for (const kind of ["deployments", "statefulsets"]) await api("DELETE", `${apps}/${kind}/idle`);
    });

    test("unprotected, a plan names what runs before it goes", async () => {
      const { registry } = monitored;
      const { code, out } = await runWarden("prune", registry.root, "--keep-newest", "1");
      expect(code).toBe(0);
      expect(out).toMatch(/^remove +app:v1 +older than the newest 1$/m);
      for (const each of [moved, aged])
        expect(out).toMatch(new RegExp(`^remove +app@${digestOf(each).slice(0, 19)} .*; it runs in cluster$`, "m"));
      expect(out).not.toMatch(new RegExp(`${digestOf(nowhere).slice(0, 19)} .*runs in`));
    });

    test("a report that is forged refuses the clean-up, and the next run of the probe puts it right", async () => {
      const endless = { cluster: "cluster", time: Date.now(), digests: Array(30_000).fill(digestOf(aged)) };
      for (const [forged, why] of [
        [image("forged"), /is not of the artifact type/],
        [storedReport(endless), /has more than 20000 digests/],
        [storedReport({ ...endless, time: 0, digests: [] }), /hours old, and may be 2/],
      ] as const) {
        await pushImage(IN_USE_REPOSITORY, forged, "cluster");
        const { code, err } = await cleanUp("--policy", policy);
        expect([code, err]).toEqual([2, expect.stringMatching(why)]);
      }
      expect(await run()).toMatchObject({ known: 1, images: { intact: 3 } });
    });

    test("protected, it is kept by the clean-up with its tag, every byte of it, and the rest goes", async () => {
      const { code, out } = await cleanUp("--policy", policy);
      expect(code).toBe(0);
      expect(out).toMatch(/^keep +app:v1 +it runs in cluster$/m);
      expect(out).toMatch(/^remove +app:v2 /m);
      const { images, known } = await run();
      expect({ known, images }).toEqual({ known: 1, images: { intact: 3, broken: 0, missing: 0, unknown: 0 } });
      for (const each of [moved, aged, fresh]) expect(isComplete(digestOf(each))).toBe(true);
    });

    test("a cluster that gives no answer is told, and nothing is reported in its place", async () => {
      const { metadata } = onlyOf(monitored.objects, "ClusterRoleBinding");
      await api("DELETE", `${PATHS.ClusterRoleBinding}/${metadata.name}`);
      const { log, known } = await run();
      expect(known).toBe(0);
      expect(log).toMatch(/^workloads: the API server refuses the list of pods \(403\): the ClusterRole of the probe/m);
      await apply(onlyOf(monitored.objects, "ClusterRoleBinding"));
      expect(await run()).toMatchObject({ known: 1 });
    });

    test("unprotected it is removed, and the probe names what cannot be pulled again, and what needs it", async () => {
      const { code } = await cleanUp("--keep-newest", "1");
      expect(code).toBe(0);
      const { log, known, images } = await run();
      expect({ known, images }).toEqual({ known: 1, images: { intact: 1, broken: 0, missing: 2, unknown: 0 } });
      expect(log).toMatch(/^missing +app:v1 +sha256:\w{12} +default\/worker$/m);
      expect(log).toMatch(/^missing +app:latest +sha256:\w{12} \(the tag has moved\) +default\/web$/m);
      const pods = await api("GET", "/api/v1/pods");
      const stdin = jest
        .spyOn(process, "stdin", "get")
        .mockReturnValue(Readable.from([Buffer.from(JSON.stringify(pods))]) as never);
      const told = await runWarden("workloads", monitored.registry.url, "-", "--name", host, "--json", ...access());
      stdin.mockRestore();
      expect(told.code).toBe(1);
      expect(JSON.parse(told.out).counts).toMatchObject({ missing: 1 });
    });
  },
);
