import { resolve } from "node:path";
import { parse } from "yaml";
import { INHIBIT_RULES } from "../../monitoring/inhibition";
import { type Json, site, synthesise } from "../monitoring/synthesise";

const reference = synthesise(site("reference"));
const small = synthesise(site("small"));

const withoutVersions = ({ terraform: { required_providers, ...terraform }, ...stack }: Json): Json => ({
  ...stack,
  terraform: { ...terraform, required_providers: Object.keys(required_providers) },
});

it.each([
  ["reference", reference],
  ["small", small],
])("writes the stack of the %s site", (_, stack) => {
  expect(withoutVersions(stack)).toMatchSnapshot();
});

it("pins the providers", () => {
  expect(reference.terraform.required_providers).toEqual({
    helm: { source: "helm", version: "3.1.1" },
    kubernetes: { source: "kubernetes", version: "2.38.0" },
  });
});

it("creates the namespace only where the site asks for it, and before everything in it", () => {
  expect(JSON.stringify(reference)).not.toContain("create_namespace");
  const [[name, release] = [], ...more] = Object.entries<Json>(small.resource.helm_release);
  expect(more).toEqual([]);
  expect(release).toMatchObject({ create_namespace: true, namespace: "monitoring" });
  const { helm_release, terraform_data, ...inCluster } = small.resource;
  const resources: Json[] = Object.values(inCluster).flatMap((each) => Object.values(each as Json));
  expect(resources.length).toBeGreaterThan(3);
  for (const { depends_on } of resources) expect(depends_on).toContain(`helm_release.${name}`);
});

it("has one CronJob a registry, and nothing that two of them share but the program", () => {
  const several = synthesise(
    site("reference", ({ monitoring }) => {
      monitoring.probes.push({ name: "cache", service: "ghcr", periodMinutes: 5, deadlineSeconds: 120 });
    }),
  );
  const jobs: Json[] = Object.values(several.resource.kubernetes_cron_job_v1);
  expect(jobs.map(({ metadata }) => metadata.name).sort()).toEqual(["cache", "registry-integrity-probe"]);
  const variable = (job: Json, name: string) =>
    job.spec.job_template.spec.template.spec.container[0].env.find((each: Json) => each.name === name)?.value;
  for (const name of ["REGISTRY", "REGISTRY_INSTANCE", "PUSHGATEWAY_JOB"])
    expect(new Set(jobs.map((job) => variable(job, name))).size).toBe(2);
});

it("probes a registry that it does not run by its own address, with or without an account", () => {
  const stack = synthesise(
    site("reference", ({ monitoring }) => {
      monitoring.externalRegistries = [{ name: "forge", url: "https://git.example.org", role: "private" }];
      monitoring.probes.push({ name: "forge-probe", service: "forge", periodMinutes: 30, deadlineSeconds: 600 });
    }),
  );
  const jobs: Json[] = Object.values(stack.resource.kubernetes_cron_job_v1);
  const { spec } = jobs.find(({ metadata }) => metadata.name === "forge-probe").spec.job_template.spec.template;
  const environment = Object.fromEntries(spec.container[0].env.map(({ name, value }: Json) => [name, value]));
  expect(environment).toMatchObject({
    REGISTRY: "https://git.example.org",
    REGISTRY_INSTANCE: "git.example.org",
    REGISTRY_ROLE: "private",
  });
  expect(environment).not.toHaveProperty("REG_USER");
  expect(spec).not.toHaveProperty("host_aliases");
});

it("puts the site's context into both providers", () => {
  const stack = synthesise(site("reference", ({ monitoring }) => (monitoring.kubernetes.context = "home")));
  expect(stack.provider).toEqual({
    helm: [{ kubernetes: { config_context: "home", config_path: "~/.kube/config" } }],
    kubernetes: [{ config_context: "home", config_path: "~/.kube/config" }],
  });
});

it("offers the inhibitions for Alertmanager", () => {
  expect(parse(reference.output.alertmanager.value)).toEqual({ inhibit_rules: INHIBIT_RULES });
});

it("is the same from another directory and holds nothing of this machine", () => {
  const here = process.cwd();
  try {
    process.chdir("/");
    expect(synthesise(site("reference"))).toEqual(reference);
  } finally {
    process.chdir(here);
  }
  const text = JSON.stringify(reference);
  expect(text).not.toContain(resolve(__dirname, "../.."));
  expect(text).not.toMatch(/\d{4}-\d\d-\d\dT/);
});
