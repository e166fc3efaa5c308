import { execFile, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { App } from "cdktf";
import { parse } from "yaml";
import { rulesFor } from "../../monitoring/rules";
import { findTerraform, firstError, planCounts, terraformEnvironment } from "../../review/terraform";
import { MonitoringStack } from "../../stacks/monitoring-stack";
import { objectsOf, onlyOf } from "../monitoring/objects";
import { type Json, PROGRAM, site, synthesise } from "../monitoring/synthesise";
import type { WholeSite } from "../sites";
import { describeWith } from "./components";
import { type KubernetesCluster, startKubernetes } from "./kubernetes";
import { leakingFiles, leaksIn, PLANTED } from "./planted-secret";
import { temporaryFolder, waitFor } from "./process";

jest.setTimeout(180_000);

const terraform = findTerraform();

/** Why Terraform cannot have the providers of the stack on this machine, in one line; undefined where it can. */
const withoutProviders = (): string | undefined => {
  if (terraform === undefined) return "terraform: neither terraform nor tofu is on the PATH";
  const folder = temporaryFolder("providers");
  try {
    const { required_providers } = synthesise(site("reference")).terraform;
    writeFileSync(join(folder, "main.tf.json"), JSON.stringify({ terraform: { required_providers } }));
    const { status, stdout, stderr } = spawnSync(terraform, ["init", "-backend=false", "-input=false", "-no-color"], {
      cwd: folder,
      env: terraformEnvironment(),
      encoding: "utf8",
      timeout: 120_000,
    });
    return status === 0 ? undefined : `terraform providers: ${firstError(`${stdout}\n${stderr}`)}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

const missing = withoutProviders();
const describeWithProviders: typeof describeWith =
  missing === undefined
    ? describeWith
    : (_, title) => describe.skip(title, () => test(`skipped: ${missing}`, () => undefined));

interface Finished {
  readonly code: number;
  readonly output: string;
}

/** A synthesised stack in a folder of its own, with its state beside it. */
class Deployment {
  readonly folder = temporaryFolder("deployment");
  readonly #directory = join(this.folder, "cdktf.out/stacks/monitoring");
  readonly #log: string[] = [];

  /** @param variables environment of Terraform, beside its own */
  constructor(readonly variables: Record<string, string> = {}) {}

  async synthesise(given: WholeSite, program = PROGRAM): Promise<void> {
    const app = new App({ outdir: join(this.folder, "cdktf.out") });
    new MonitoringStack(app, "monitoring", { site: given, program });
    app.synth();
    mkdirSync(join(this.folder, given.state.backend === "local" ? given.state.directory : ""), { recursive: true });
    await this.expectSuccess("init");
  }

  /** Writes the plan, and its JSON form beside it. */
  async plan(): Promise<string> {
    const text = await this.expectSuccess("plan", "-out=plan");
    writeFileSync(join(this.#directory, "plan.json"), await this.expectSuccess("show", "-json", "plan"));
    return text;
  }

  apply(): Promise<Finished> {
    return this.#run("apply", "plan");
  }

  async deploy(): Promise<string> {
    const text = await this.plan();
    await this.expectSuccess("apply", "plan");
    return text;
  }

  async isUnchanged(): Promise<boolean> {
    const { code, output } = await this.#run("plan", "-detailed-exitcode");
    if (code === 1) throw new Error(output);
    return code === 0;
  }

  /** Everything that Terraform has printed. */
  get log(): string {
    return this.#log.join("\n");
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  async expectSuccess(...parameters: string[]): Promise<string> {
    const { code, output } = await this.#run(...parameters);
    if (code !== 0) throw new Error(output);
    return output;
  }

  #run(...[command, ...parameters]: string[]): Promise<Finished> {
    const flags = { show: ["-no-color"], state: [] }[command ?? ""] ?? ["-input=false", "-no-color"];
    return new Promise((resolve) => {
      execFile(
        terraform ?? "",
        [command ?? "", ...flags, ...parameters],
        { cwd: this.#directory, env: { ...terraformEnvironment(), ...this.variables }, maxBuffer: 1e8 },
        (error, stdout, stderr) => {
          this.#log.push(stdout, stderr);
          resolve({
            code: typeof error?.code === "number" ? error.code : error === null ? 0 : 1,
            output: stdout + stderr,
          });
        },
      );
    });
  }
}

describeWithProviders(
  ["etcd", "kube-apiserver", "kube-controller-manager", "prometheusrule-crd", "openssl"],
  "the monitoring stack, planned and applied by Terraform",
  ({ "prometheusrule-crd": definition }) => {
    let cluster: KubernetesCluster;
    const deployments: Deployment[] = [];
    const deployment = (variables?: Record<string, string>): Deployment => {
      const made = new Deployment(variables);
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
      let reference: Deployment;
      beforeAll(async () => {
        reference = deployment();
        await createNamespace("reference");
        await reference.synthesise(inCluster("reference", "reference"));
      });

      test("says in one line that the cluster has no PrometheusRule, and leaves no half of a release", async () => {
        await reference.plan();
        const { code, output } = await reference.apply();
        expect(code).toBe(1);
        // Terraform breaks lines where its box ends.
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
        const objects = objectsOf(synthesise(given));
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
      let small: Deployment;
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

    test("takes over a CronJob and a Secret that exist already", async () => {
      await createNamespace("adopted");
      const bend = ({ monitoring: { namespace, probes } }: Json) => {
        namespace.create = false;
        probes[0].adopt = ["cron-job", "secret"];
      };
      const given = inCluster("small", "adopted", bend);
      const { metadata, spec } = onlyOf(
        objectsOf(synthesise(given), { registry_probe_username: "", registry_probe_password: "" }),
        "CronJob",
      );
      await cluster.request("POST", "/apis/batch/v1/namespaces/adopted/cronjobs", {
        metadata,
        spec: { ...spec, schedule: "0 4 * * *" },
      });
      await cluster.request("POST", "/api/v1/namespaces/adopted/secrets", { metadata: { name: "registry-probe" } });

      const adopting = deployment({ TF_VAR_registry_probe_username: "u", TF_VAR_registry_probe_password: "p" });
      await adopting.synthesise(given);
      expect(planCounts(await adopting.deploy())).toMatchObject({ import: 2, destroy: 0 });
      const cronJob = await get("/apis/batch/v1/namespaces/adopted/cronjobs/registry-probe");
      expect(cronJob.spec.schedule).toBe(spec.schedule);
      expect(await adopting.isUnchanged()).toBe(true);
    });

    test("takes over a PrometheusRule that exists already, and a release whose state was lost", async () => {
      await createNamespace("rules");
      const given = inCluster("reference", "rules", ({ monitoring: { rules } }) => (rules.adopt = true));
      const ours = onlyOf(objectsOf(synthesise(given)), "PrometheusRule");
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
