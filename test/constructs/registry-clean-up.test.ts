import { literal } from "../../constructs/literal";
import { parseSite } from "../../site/load";
import type { ClusterSite } from "../../site/schema";
import { allObjectsOf } from "../monitoring/objects";
import { type Json, PROGRAM, synthesise } from "../monitoring/synthesise";
import { SHIPPED } from "../sites";

const bent = (bend: (registry: Json, monitoring: Json) => void = () => {}): Json => {
  const site = structuredClone(SHIPPED.forgejo) as Json;
  bend(site.monitoring.externalRegistries[0], site.monitoring);
  return synthesise(parseSite(site) as ClusterSite);
};

const NAME = "forge-clean-up";
const cronJob = (stack: Json): Json =>
  (Object.values(stack.resource.kubernetes_cron_job_v1) as Json[]).find(({ metadata }) => metadata.name === NAME);
const pod = (stack: Json): Json => cronJob(stack).spec.job_template.spec.template.spec;
const container = (stack: Json): Json => pod(stack).container[0];
const variables = (stack: Json): Record<string, string> =>
  Object.fromEntries(container(stack).env.map(({ name, value }: Json) => [name, value]));

const stack = bent();

it("writes the CronJob", () => {
  expect(cronJob(stack)).toMatchSnapshot();
});

it("is suspended, unless the site says otherwise", () => {
  expect(cronJob(stack).spec.suspend).toBe(true);
  const running = bent(({ cleanUp }) => {
    cleanUp.suspend = false;
  });
  expect(cronJob(running).spec.suspend).toBe(false);
});

it.each([
  [["sun"], "03:05", "5 3 * * 0"],
  [["fri", "mon"], "00:00", "0 0 * * 1,5"],
  [["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "23:59", "59 23 * * *"],
])("runs on %j at %s by UTC, one run at a time and without a retry", (days, at, schedule) => {
  const { spec } = cronJob(
    bent(({ cleanUp }) => {
      cleanUp.schedule = { days, at };
    }),
  );
  expect(spec).toMatchObject({ schedule, timezone: "Etc/UTC", concurrency_policy: "Forbid" });
  expect(spec.job_template.spec.backoff_limit).toBe(0);
});

it("passes everything in variables, as the program reads them", () => {
  const { retention } = (SHIPPED.forgejo as Json).monitoring.externalRegistries[0].cleanUp;
  const { POLICY, ...others } = variables(stack);
  expect(JSON.parse(POLICY ?? "")).toEqual(retention);
  expect(others).toEqual({
    REGISTRY: "https://git.example.org",
    REGISTRY_INSTANCE: "git.example.org",
    JOURNALS: "/var/lib/registry-warden",
    PUSHGATEWAY: "http://pushgateway.monitoring:9091",
    REG_USER: undefined,
    REG_PASS: undefined,
  });
  const account = container(stack).env.filter(({ value_from }: Json) => value_from !== undefined);
  expect(account.map(({ name, value_from }: Json) => [name, value_from.secret_key_ref])).toEqual([
    ["REG_USER", { name: "forge-clean-up", key: "REG_USER" }],
    ["REG_PASS", { name: "forge-clean-up", key: "REG_PASS" }],
  ]);
});

it("reaches the registry as the probe does", () => {
  const asked = bent((_, monitoring) => {
    monitoring.cluster = "cluster";
    Object.assign(monitoring.probes[0], {
      rate: 5,
      repositories: ["team/app"],
      certificateAuthority: { configMap: "our-ca", key: "ca.crt" },
    });
  });
  expect(variables(asked)).toMatchObject({
    CLUSTER: "cluster",
    RATE: "5",
    REPOSITORIES: "team/app",
    REGISTRY_CA_FILE: "/etc/registry-warden/ca.crt",
  });
  expect(pod(asked).volume).toContainEqual({ name: "certificate-authority", config_map: { name: "our-ca" } });
});

describe("its pod", () => {
  it("writes to the volume of its journals alone, as a user without any right", () => {
    expect(pod(stack)).toMatchObject({
      restart_policy: "Never",
      automount_service_account_token: false,
      security_context: { run_as_non_root: true, run_as_user: "1000", fs_group: "1000" },
    });
    expect(pod(stack)).not.toHaveProperty("service_account_name");
    expect(container(stack).security_context).toEqual({
      run_as_non_root: true,
      allow_privilege_escalation: false,
      read_only_root_filesystem: true,
      capabilities: { drop: ["ALL"] },
    });
    const writable = container(stack).volume_mount.filter(({ read_only }: Json) => read_only !== true);
    expect(writable).toEqual([{ name: "journal", mount_path: variables(stack).JOURNALS }]);
    expect(pod(stack).volume).toContainEqual({
      name: "journal",
      persistent_volume_claim: { claim_name: "forge-clean-up-journal" },
    });
  });

  it("runs the program of the ConfigMap, which is not that of the probe", () => {
    const maps: Json[] = Object.values(stack.resource.kubernetes_config_map_v1);
    const map = maps.find(({ data }) => "clean-up.mjs" in data);
    expect(map).toMatchObject({ immutable: true, lifecycle: { create_before_destroy: true } });
    expect(pod(stack).volume[0]).toEqual({ name: "program", config_map: { name: map.metadata.name } });
    expect(container(stack).command).toEqual(["node", "/opt/registry-warden/clean-up.mjs"]);
    expect(Object.values(stack.locals)).toContain(literal(PROGRAM));
  });
});

it("creates a Secret from variables that no state holds, if the site asks for it", () => {
  const withVariables = bent(({ cleanUp }) => {
    cleanUp.credentials = { from: "variables", secret: "forge-clean-up", revision: 2 };
  });
  const secrets: Json[] = Object.values(withVariables.resource.kubernetes_secret_v1);
  expect(secrets).toMatchObject([
    {
      metadata: { name: "forge-clean-up" },
      data_wo: { REG_USER: "${var.forge_clean_up_username}", REG_PASS: "${var.forge_clean_up_password}" },
      data_wo_revision: 2,
    },
  ]);
  expect(withVariables.variable.forge_clean_up_password).toMatchObject({ ephemeral: true, sensitive: true });
  expect(stack.resource).not.toHaveProperty("kubernetes_secret_v1");
});

it("ships no program if nothing is cleaned up", () => {
  const without = bent((registry) => {
    delete registry.cleanUp;
  });
  const maps: Json[] = Object.values(without.resource.kubernetes_config_map_v1);
  expect(maps.filter(({ data }) => "clean-up.mjs" in data)).toEqual([]);
});

it("is an object of Kubernetes as the API has it", () => {
  const object: Json = allObjectsOf(stack).find(({ metadata }) => metadata.name === NAME);
  expect(object).toMatchObject({ kind: "CronJob", spec: { timeZone: "Etc/UTC", suspend: true } });
  const { spec } = object.spec.jobTemplate.spec.template;
  expect(spec.securityContext.fsGroup).toBe(1000);
  expect(spec.volumes).toContainEqual({
    name: "journal",
    persistentVolumeClaim: { claimName: "forge-clean-up-journal" },
  });
});
