import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { parse } from "yaml";
import { clusterReport } from "../../cli/cluster-drift";
import { commandsOf } from "../../handbook/document";
import { stateRunbook } from "../../handbook/state-runbook";
import type { HostReport } from "../../hosts/finding";
import { planCounts } from "../../review/terraform";
import { type Json, PROGRAM, site } from "../monitoring/synthesise";
import type { WholeSite } from "../sites";
import { type KubernetesCluster, startKubernetes } from "./kubernetes";
import { waitFor } from "./process";
import { describeWithProviders, LocalDeployment } from "./terraform-deployment";

jest.setTimeout(240_000);

const VARIABLES = { TF_VAR_registry_probe_username: "u", TF_VAR_registry_probe_password: "p" };

/** Findings without those about the program: the tests run a different one than the site ships. */
const findingsBut = ({ findings }: HostReport) => findings.filter(({ what }) => !/program/.test(what));

type Bend = (monitoring: Json) => void;

describeWithProviders(
  ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "prometheusrule-crd", "openssl"],
  "the monitoring stack from one site to the next",
  ({ kubectl, "prometheusrule-crd": definition }) => {
    let cluster: KubernetesCluster;
    const deployments: LocalDeployment[] = [];
    const deployment = (): LocalDeployment => {
      const made = new LocalDeployment({ ...VARIABLES });
      deployments.push(made);
      return made;
    };
    const inCluster = (name: "reference" | "small", namespace: string, bend: Bend = () => {}): WholeSite =>
      site(name, ({ monitoring }) => {
        monitoring.kubernetes = { configPath: cluster.kubeconfig };
        monitoring.namespace.name = namespace;
        bend(monitoring);
      });
    const get = (path: string) => cluster.request("GET", path);
    const found = async (path: string): Promise<Json> => {
      const { status, body } = await get(path);
      expect([path, status]).toEqual([path, 200]);
      return body;
    };
    const isThere = async (path: string): Promise<boolean> => (await get(path)).status === 200;
    const create = async (path: string, object: object): Promise<void> => {
      const { status, body } = await cluster.request("POST", path, object);
      if (status !== 201) throw new Error(`${path}: ${JSON.stringify(body)}`);
    };
    const createNamespace = (name: string) => create("/api/v1/namespaces", { metadata: { name } });
    /** Deploys, and expects the plan after it to be empty. */
    const deploy = async (to: LocalDeployment, given: WholeSite): Promise<string> => {
      await to.synthesise(given);
      const text = await to.deploy();
      expect(await to.isUnchanged()).toBe(true);
      return text;
    };
    const core = (namespace: string) => `/api/v1/namespaces/${namespace}`;
    const cronJobs = (namespace: string) => `/apis/batch/v1/namespaces/${namespace}/cronjobs`;
    const rules = (namespace: string) =>
      `/apis/monitoring.coreos.com/v1/namespaces/${namespace}/prometheusrules/registry-alerts`;
    const probe = (namespace: string) => `${cronJobs(namespace)}/registry-probe`;

    beforeAll(async () => {
      cluster = await startKubernetes();
      const crd = parse(readFileSync(definition.command[0], "utf8"));
      await create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd);
      await waitFor("PrometheusRule served", () => isThere(`/apis/${crd.spec.group}/v1/${crd.spec.names.plural}`));
    });
    afterAll(async () => {
      for (const each of deployments) each.remove();
      await cluster?.stop();
    });

    test("the delivery of the rules and back leaves nothing of the other one behind", async () => {
      await createNamespace("delivery");
      const stack = deployment();
      const operator = inCluster("reference", "delivery");
      const file = inCluster("reference", "delivery", (monitoring) => (monitoring.rules = { delivery: "rules-file" }));
      const map = `${core("delivery")}/configmaps/registry-alerts`;
      const releases = async () =>
        (await found(`${core("delivery")}/secrets?labelSelector=owner%3Dhelm`)).items.map(
          ({ metadata }: Json) => metadata.labels.name,
        );

      await deploy(stack, operator);
      expect([await isThere(rules("delivery")), await isThere(map), await releases()]).toEqual([
        true,
        false,
        ["registry-alerts"],
      ]);
      await deploy(stack, file);
      expect([await isThere(rules("delivery")), await isThere(map), await releases()]).toEqual([false, true, []]);
      await deploy(stack, operator);
      expect([await isThere(rules("delivery")), await isThere(map)]).toEqual([true, false]);
    });

    test("the namespace, once created, outlives every site, and a destroy", async () => {
      const stack = deployment();
      const created = inCluster("small", "lasting");
      const given = inCluster("small", "lasting", ({ namespace }) => (namespace.create = false));
      const theirs = `${core("lasting")}/configmaps/of-somebody-else`;
      await deploy(stack, created);
      await create(`${core("lasting")}/configmaps`, { metadata: { name: "of-somebody-else" } });
      for (const next of [given, created, given, created]) {
        await deploy(stack, next);
        expect(await isThere(theirs)).toBe(true);
      }
      await stack.expectSuccess("destroy", "-auto-approve");
      expect((await found(core("lasting"))).status.phase).toBe("Active");
      expect([await isThere(theirs), await isThere(probe("lasting"))]).toEqual([true, false]);
      await deploy(stack, created);
    });

    test("a namespace of Terraform's own, as it was once deployed, is forgotten and stays", async () => {
      const stack = deployment();
      const given = inCluster("small", "earlier");
      await stack.synthesise(given, PROGRAM, (json) => {
        delete json.removed;
        json.resource.kubernetes_namespace_v1 = { namespace: { metadata: { name: "earlier" } } };
        for (const type of ["config_map", "secret", "cron_job"])
          for (const resource of Object.values<Json>(json.resource[`kubernetes_${type}_v1`]))
            resource.depends_on = [...resource.depends_on, "kubernetes_namespace_v1.namespace"];
        for (const release of Object.values<Json>(json.resource.helm_release))
          release.depends_on = ["kubernetes_namespace_v1.namespace"];
      });
      await stack.deploy();
      expect(await stack.expectSuccess("state", "list")).toContain("kubernetes_namespace_v1.namespace");
      expect(planCounts(await deploy(stack, given))).toMatchObject({ destroy: 0 });
      expect(await stack.expectSuccess("state", "list")).not.toContain("kubernetes_namespace_v1");
      expect((await found(core("earlier"))).status.phase).toBe("Active");
    });

    describe("a CronJob that exists already", () => {
      const ordinary = (namespace: string, job: object = {}) => ({
        metadata: { name: "registry-probe", namespace },
        spec: {
          schedule: "0 4 * * *",
          jobTemplate: {
            spec: {
              ...job,
              template: { spec: { restartPolicy: "Never", containers: [{ name: "old", image: "busybox:1.36" }] } },
            },
          },
        },
      });
      const adopting = (namespace: string, shards = 1): WholeSite =>
        inCluster("small", namespace, ({ namespace, probes }) => {
          namespace.create = false;
          Object.assign(probes[0], { adopt: ["cron-job"], shards });
        });
      const jobOf = async (namespace: string): Promise<Json> => (await found(probe(namespace))).spec.jobTemplate.spec;

      test("is taken over in place; adopt can go, and shards can change with it or without", async () => {
        await createNamespace("adopted");
        await create(cronJobs("adopted"), ordinary("adopted"));
        const { uid } = (await found(probe("adopted"))).metadata;
        const stack = deployment();
        expect(planCounts(await deploy(stack, adopting("adopted")))).toMatchObject({ import: 1, destroy: 0 });
        const after = await found(probe("adopted"));
        expect(after.metadata.uid).toBe(uid);
        expect(after.spec.schedule).not.toBe("0 4 * * *");

        const without = inCluster("small", "adopted", ({ namespace }) => (namespace.create = false));
        await stack.synthesise(without);
        expect(await stack.isUnchanged()).toBe(true);
        await deploy(stack, adopting("adopted", 3));
        expect(await jobOf("adopted")).toMatchObject({ completionMode: "Indexed", completions: 3, parallelism: 3 });
        await deploy(stack, without);
        expect(await jobOf("adopted")).toMatchObject({ completionMode: "NonIndexed", completions: 1, parallelism: 1 });
      });

      test.each([
        ["of another kind of completion", { completionMode: "Indexed", completions: 5, backoffLimitPerIndex: 2 }, 1],
        ["of other shards", {}, 3],
      ])("%s is refused with the command that makes it fit", async (title, job, shards) => {
        const namespace = title.replaceAll(" ", "-");
        await createNamespace(namespace);
        await create(cronJobs(namespace), ordinary(namespace, job));
        const { uid } = (await found(probe(namespace))).metadata;
        const stack = deployment();
        await stack.synthesise(adopting(namespace, shards));
        const { code, output } = await stack.tryPlan();
        expect(code).toBe(1);
        const text = output.replace(/\n[│╷╵\s]*/g, " ");
        const command = /kubectl --namespace \S+ patch cronjob \S+ --type merge --patch '[^']*'/.exec(text)?.[0] ?? "";
        expect(command).toContain(namespace);
        const { status, stderr } = spawnSync("bash", ["-c", command.replace("kubectl", `"$KUBECTL"`)], {
          encoding: "utf8",
          env: { ...process.env, KUBECTL: kubectl.command[0], KUBECONFIG: cluster.kubeconfig },
        });
        expect([status, stderr]).toEqual([0, ""]);
        expect(planCounts(await deploy(stack, adopting(namespace, shards)))).toMatchObject({ import: 1, destroy: 0 });
        expect((await found(probe(namespace))).metadata.uid).toBe(uid);
        expect(await jobOf(namespace)).toMatchObject({
          completions: shards,
          completionMode: shards === 1 ? "NonIndexed" : "Indexed",
        });
      });
    });

    test("shards from 1 to 3 to 4 and back end in the configured object each time", async () => {
      const stack = deployment();
      for (const shards of [1, 3, 4, 1]) {
        await deploy(
          stack,
          inCluster("small", "shards", ({ probes }) => (probes[0].shards = shards)),
        );
        const { spec } = (await found(probe("shards"))).spec.jobTemplate;
        expect(spec).toMatchObject(
          shards === 1
            ? { completionMode: "NonIndexed", completions: 1, parallelism: 1, backoffLimit: 0 }
            : {
                completionMode: "Indexed",
                completions: shards,
                parallelism: shards,
                backoffLimitPerIndex: 0,
                maxFailedIndexes: shards,
              },
        );
        if (shards === 1) expect(spec).not.toHaveProperty("maxFailedIndexes");
      }
    });

    test("credentials from variables, from what exists and back: the Secret stays until somebody deletes it", async () => {
      const stack = deployment();
      const secret = `${core("credentials")}/secrets/registry-probe`;
      const variables = inCluster("small", "credentials");
      const existing = inCluster("small", "credentials", ({ probes }) => {
        probes[0].credentials = { from: "existing-secret", secret: "registry-probe" };
      });
      await deploy(stack, variables);
      const { uid } = (await found(secret)).metadata;
      await deploy(stack, existing);
      expect((await found(secret)).metadata.uid).toBe(uid);

      await stack.synthesise(variables);
      await stack.plan();
      const { code, output } = await stack.apply();
      expect([code, output.replace(/\s+/g, " ")]).toEqual([1, expect.stringContaining("already exists")]);
      await cluster.request("DELETE", secret);
      await deploy(stack, variables);
      expect((await found(secret)).data.REG_USER).toBe(Buffer.from("u").toString("base64"));
    });

    test("the dashboard comes, goes, and is taken over where the state forgot it", async () => {
      await createNamespace("dashboard");
      const stack = deployment();
      const map = `${core("dashboard")}/configmaps/registry-integrity-dashboard`;
      const given = (dashboard: Json) =>
        inCluster("reference", "dashboard", (monitoring) => {
          if (dashboard === undefined) delete monitoring.dashboard;
          else monitoring.dashboard = dashboard;
        });
      const labels = { grafana_dashboard: "1" };
      await deploy(stack, given({ labels }));
      expect(await isThere(map)).toBe(true);
      await deploy(stack, given(undefined));
      expect(await isThere(map)).toBe(false);
      await create(`${core("dashboard")}/configmaps`, {
        metadata: { name: "registry-integrity-dashboard" },
        data: { "old.json": "{}" },
      });
      await deploy(stack, given({ labels, adopt: true }));
      expect(Object.keys((await found(map)).data)).toEqual(["registry-integrity.json"]);
      await stack.synthesise(given({ labels }));
      expect(await stack.isUnchanged()).toBe(true);
    });

    test.each(["reference", "small"] as const)("the runbook of a lost state, of the %s site", async (name) => {
      const namespace = `lost-${name}`;
      if (name === "reference") await createNamespace(namespace);
      const given = (bend?: Bend) => inCluster(name, namespace, bend);
      const stack = deployment();
      await deploy(stack, given());
      const jobs = async () => (await found(cronJobs(namespace))).items.map(({ metadata }: Json) => metadata.uid);
      const before = await jobs();
      expect(before).toHaveLength(1);

      stack.loseState();
      for (const { run } of commandsOf(stateRunbook(given())).filter(({ run }) => /^kubectl /.test(run.text))) {
        const { status, stderr } = spawnSync("bash", ["-c", run.text], {
          encoding: "utf8",
          env: { ...process.env, PATH: `${dirname(kubectl.command[0])}:${process.env.PATH}` },
        });
        expect([run.text, status, stderr]).toEqual([run.text, 0, ""]);
      }
      const adopting = given((monitoring) => {
        for (const probe of monitoring.probes) probe.adopt = ["cron-job"];
        for (const part of [monitoring.rules, monitoring.dashboard]) if (part !== undefined) part.adopt = true;
      });
      expect(planCounts(await deploy(stack, adopting))).toMatchObject({ destroy: 0 });
      expect(await jobs()).toEqual(before);
      // The arguments of the release are in its state, so removing adopt updates it once.
      expect(planCounts(await deploy(stack, given()))).toMatchObject({ add: 0, destroy: 0 });
      expect(await jobs()).toEqual(before);

      // The cluster matches the site, except for what the operator has to create.
      const own = name === "reference" ? "Secret registry-probe-credentials" : "ConfigMap home-ca";
      expect(findingsBut(await clusterReport(given()))).toEqual([
        { what: own, expected: "present", actual: "missing" },
      ]);
    });

    test.each(["reference", "small"] as const)("the %s site plans without any cluster", async (name) => {
      const stack = deployment();
      await stack.synthesise(
        inCluster(name, "nowhere", ({ kubernetes }) => (kubernetes.configPath = "/nonexistent/kubeconfig")),
      );
      expect(planCounts(await stack.plan())).toMatchObject({ change: 0, destroy: 0, import: 0 });
    });

    test("no plan prints the program", async () => {
      const stack = deployment();
      await stack.synthesise(inCluster("small", "printed"), "console.log('the program');\n");
      expect(await stack.plan()).not.toContain("the program");
    });
  },
);
