import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { rulesFor } from "../../monitoring/rules";
import { planCounts } from "../../review/terraform";
import { allObjectsOf, onlyOf } from "../monitoring/objects";
import { type Json, PROGRAM, site, synthesise } from "../monitoring/synthesise";
import type { WholeSite } from "../sites";
import { type KubernetesCluster, startKubernetes } from "./kubernetes";
import { leakingFiles, leaksIn, PLANTED } from "./planted-secret";
import { waitFor } from "./process";
import { describeWithProviders, LocalDeployment } from "./terraform-deployment";

jest.setTimeout(180_000);

describeWithProviders(
  ["etcd", "kube-apiserver", "kube-controller-manager", "prometheusrule-crd", "openssl"],
  "the monitoring stack, planned and applied by Terraform",
  ({ "prometheusrule-crd": definition }) => {
    let cluster: KubernetesCluster;
    const deployments: LocalDeployment[] = [];
    const deployment = (variables?: Record<string, string>): LocalDeployment => {
      const made = new LocalDeployment(variables);
      deployments.push(made);
      return made;
    };
    const inCluster = (
      name: "reference" | "small",
      namespace: string,
      bend: (input: Json) => void = () => {},
    ): WholeSite =>
      site(name, (input) => {
        input.monitoring.kubernetes = { configPath: cluster.kubeconfig };
        input.monitoring.namespace.name = namespace;
        bend(input);
      });
    const get = async (path: string): Promise<Json> => (await cluster.request("GET", path)).body;
    const createNamespace = (name: string) =>
      cluster.request("POST", "/api/v1/namespaces", {
        metadata: { name, labels: { "pod-security.kubernetes.io/enforce": "restricted" } },
      });

    beforeAll(async () => {
      cluster = await startKubernetes();
    });
    afterAll(async () => {
      for (const each of deployments) each.remove();
      await cluster?.stop();
    });

    describe("of the reference site", () => {
      let reference: LocalDeployment;
      beforeAll(async () => {
        reference = deployment();
        await createNamespace("reference");
        await reference.synthesise(inCluster("reference", "reference"));
      });

      test("says in one line that the cluster has no PrometheusRule, and leaves no half of a release", async () => {
        await reference.plan();
        const { code, output } = await reference.apply();
        expect(code).toBe(1);
        // Terraform wraps lines to fit its box.
        expect(output.replace(/\s+/g, " ")).toContain(
          "the cluster has no PrometheusRule: install the CRDs of the Prometheus operator, or set monitoring.rules.delivery to rules-file",
        );
      });

      test("applies once the definition is there; the second plan is empty", async () => {
        const crd = parse(readFileSync(definition.command[0], "utf8"));
        await cluster.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd);
        await waitFor("PrometheusRule served", async () => {
          const { status } = await cluster.request("GET", `/apis/${crd.spec.group}/v1/${crd.spec.names.plural}`);
          return status === 200;
        });
        await reference.deploy();
        expect(await reference.isUnchanged()).toBe(true);
      });

      test("delivers what the site says: rules, labels, CronJob, program", async () => {
        const given = inCluster("reference", "reference");
        const objects = allObjectsOf(synthesise(given));
        const rule = await get("/apis/monitoring.coreos.com/v1/namespaces/reference/prometheusrules/registry-alerts");
        expect(rule.spec.groups).toEqual(rulesFor(given));
        expect(rule.metadata.labels).toMatchObject({ release: "prometheus" });
        const cronJob = await get("/apis/batch/v1/namespaces/reference/cronjobs/registry-integrity-probe");
        expect(cronJob.spec).toMatchObject(onlyOf(objects, "CronJob").spec);
        const { name } = cronJob.spec.jobTemplate.spec.template.spec.volumes[0].configMap;
        expect((await get(`/api/v1/namespaces/reference/configmaps/${name}`)).data["probe.mjs"]).toBe(PROGRAM);
      });

      test("shows a changed rule as that rule alone", async () => {
        await reference.synthesise(
          inCluster("reference", "reference", (input) => (input.monitoring.runbooks = "https://wiki.example.org")),
        );
        expect(planCounts(await reference.plan())).toEqual({ add: 0, change: 1, destroy: 0, import: 0 });
      });

      test("replaces a changed program by a new object, which is there before the old one goes", async () => {
        await reference.synthesise(inCluster("reference", "reference"), `${PROGRAM}// changed\n`);
        const text = await reference.deploy();
        expect(text).toContain("+/- create replacement and then destroy");
        expect(planCounts(text)).toMatchObject({ add: 1, change: 1, destroy: 1 });
        expect(await reference.isUnchanged()).toBe(true);
      });
    });

    describe("of the small site", () => {
      let small: LocalDeployment;
      beforeAll(async () => {
        small = deployment({
          TF_VAR_registry_probe_username: PLANTED.username,
          TF_VAR_registry_probe_password: PLANTED.password,
        });
        await small.synthesise(inCluster("small", "small"));
      });

      test("creates its namespace and the Secret from variables; the second plan is empty", async () => {
        await small.deploy();
        expect(await small.isUnchanged()).toBe(true);
        const { data } = await get("/api/v1/namespaces/small/secrets/registry-probe");
        expect(Buffer.from(data.REG_PASS, "base64").toString()).toBe(PLANTED.password);
        expect(Buffer.from(data.REG_USER, "base64").toString()).toBe(PLANTED.username);
      });

      test("leaves the password in no file and no output: JSON, plan, state, logs", () => {
        expect(leakingFiles(small.folder)).toEqual([]);
        expect(leaksIn(small.log)).toEqual([]);
      });

      test("sends a new password when the revision is raised, and only then", async () => {
        const sent = async (): Promise<string> => {
          const { data } = await get("/api/v1/namespaces/small/secrets/registry-probe");
          return Buffer.from(data.REG_PASS, "base64").toString();
        };
        small.variables.TF_VAR_registry_probe_password = "rotated";
        expect(await small.isUnchanged()).toBe(true);
        await small.synthesise(
          inCluster("small", "small", ({ monitoring: { probes } }) => (probes[0].credentials.revision = 2)),
        );
        expect(planCounts(await small.deploy())).toMatchObject({ add: 0, change: 1, destroy: 0 });
        expect(await sent()).toBe("rotated");
      });
    });

    test("takes over a PrometheusRule that exists already, and a release whose state was lost", async () => {
      await createNamespace("rules");
      const given = inCluster("reference", "rules", ({ monitoring: { rules } }) => (rules.adopt = true));
      const ours = onlyOf(allObjectsOf(synthesise(given)), "PrometheusRule");
      const [group] = ours.spec.groups;
      const path = "/apis/monitoring.coreos.com/v1/namespaces/rules/prometheusrules";
      const { status } = await cluster.request("POST", path, {
        ...ours,
        spec: { groups: [{ ...group, name: "of-somebody-else" }] },
      });
      expect(status).toBe(201);
      const groups = async () => (await get(`${path}/${ours.metadata.name}`)).spec.groups;

      const adopting = deployment();
      await adopting.synthesise(given);
      await adopting.deploy();
      expect(await groups()).toEqual(ours.spec.groups);
      expect(await adopting.isUnchanged()).toBe(true);

      await adopting.expectSuccess(
        "state",
        "rm",
        Object.keys(synthesise(given).resource.helm_release).map((id) => `helm_release.${id}`)[0] ?? "",
      );
      await adopting.deploy();
      expect(await groups()).toEqual(ours.spec.groups);
    });
  },
);
