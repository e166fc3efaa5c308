import { allObjectsOf, onlyOf } from "../monitoring/objects";
import { type Json, only, PROGRAM, site, synthesise } from "../monitoring/synthesise";

const cronJob = (stack: Json): Json => only(stack, "kubernetes_cron_job_v1");
const job = (stack: Json): Json => cronJob(stack).spec.job_template.spec;
const pod = (stack: Json): Json => job(stack).template.spec;
const container = (stack: Json): Json => pod(stack).container[0];
const variables = (stack: Json): Record<string, string> =>
  Object.fromEntries(container(stack).env.map(({ name, value }: Json) => [name, value]));

const programMap = (stack: Json): Json =>
  (Object.values(stack.resource.kubernetes_config_map_v1) as Json[]).find(({ data }) => "probe.mjs" in data);

const withShards = (shards: number, bend: (input: Json) => void = () => {}): Json =>
  synthesise(
    site("reference", (input) => {
      input.monitoring.probes[0].shards = shards;
      bend(input);
    }),
  );

const withoutDashboard = ({ monitoring }: Json) => {
  delete monitoring.dashboard;
};

const reference = synthesise(site("reference"));
const small = synthesise(site("small"));

it("writes the CronJob of the reference site", () => {
  expect(cronJob(reference)).toMatchSnapshot();
});

it("writes the CronJob of the small site", () => {
  expect(cronJob(small)).toMatchSnapshot();
});

describe("schedule", () => {
  it.each([
    [5, "*/5 * * * *"],
    [15, "*/15 * * * *"],
    [60, "0 * * * *"],
  ])("runs every %d minutes, one at a time", (periodMinutes, schedule) => {
    const stack = synthesise(
      site("reference", ({ monitoring: { probes } }) =>
        Object.assign(probes[0], { periodMinutes, deadlineSeconds: 60 }),
      ),
    );
    expect(cronJob(stack).spec).toMatchObject({ schedule, concurrency_policy: "Forbid" });
  });

  it.each([
    [5, 60],
    [5, 240],
    [15, 840],
    [60, 3540],
  ])("of %d minutes leaves room around a program's deadline of %d s", (periodMinutes, deadlineSeconds) => {
    const stack = synthesise(
      site("reference", ({ monitoring: { probes } }) => Object.assign(probes[0], { periodMinutes, deadlineSeconds })),
    );
    expect(job(stack).active_deadline_seconds).toBeGreaterThanOrEqual(deadlineSeconds + 30);
    expect(job(stack).active_deadline_seconds).toBeLessThan(periodMinutes * 60);
    // The controller checks every ten seconds: with a shorter deadline it could miss every start.
    expect(cronJob(stack).spec.starting_deadline_seconds).toBeGreaterThanOrEqual(10);
    expect(cronJob(stack).spec.starting_deadline_seconds + deadlineSeconds).toBeLessThanOrEqual(periodMinutes * 60);
    expect(variables(stack).DEADLINE_SECONDS).toBe(String(deadlineSeconds));
  });

  it("does not repeat a failed run, and keeps few of them", () => {
    expect(job(reference)).toMatchObject({ backoff_limit: 0, completion_mode: "NonIndexed" });
    expect(pod(reference).restart_policy).toBe("Never");
    expect(cronJob(reference).spec).toMatchObject({ successful_jobs_history_limit: 1, failed_jobs_history_limit: 3 });
  });
});

describe("shards", () => {
  const sharded = withShards(3);

  it("are pods of one Job that know their index, and share the concurrency", () => {
    expect(job(sharded)).toMatchObject({ completion_mode: "Indexed", completions: 3, parallelism: 3 });
    expect(variables(sharded)).toMatchObject({ SHARDS: "3", CONCURRENCY: "2" });
  });

  it("fail one by one: none ends the others, none is repeated", () => {
    // The provider sends 0 for a field that is left out, and then the first failed index would end the Job.
    expect(job(sharded)).toMatchObject({ backoff_limit_per_index: 0, backoff_limit: 3, max_failed_indexes: 3 });
  });
});

describe("pod", () => {
  it("passes the restricted Pod Security level", () => {
    expect(pod(reference).security_context).toMatchObject({
      run_as_non_root: true,
      seccomp_profile: { type: "RuntimeDefault" },
    });
    expect(Number(pod(reference).security_context.run_as_user)).toBeGreaterThan(0);
    expect(container(reference).security_context).toEqual({
      allow_privilege_escalation: false,
      capabilities: { drop: ["ALL"] },
      read_only_root_filesystem: true,
      run_as_non_root: true,
    });
  });

  it("has no access to its cluster unless it verifies workloads", () => {
    expect(pod(small)).toMatchObject({ automount_service_account_token: false, enable_service_links: false });
    expect(pod(small)).not.toHaveProperty("service_account_name");
    expect(JSON.stringify(small)).not.toMatch(/kubernetes_(service_account|cluster_role)|SERVICE_ACCOUNT|PUSH_USER/);
  });

  it("runs a pinned image with the program from the ConfigMap", () => {
    const { name } = programMap(reference).metadata;
    expect(container(reference).image).toMatch(/^node:\d+\.\d+\.\d+-/);
    expect(pod(reference).volume).toEqual([{ name: "program", config_map: { name } }]);
    const [mount] = container(reference).volume_mount;
    expect(container(reference).command).toEqual(["node", `${mount.mount_path}/probe.mjs`]);
    expect(mount.read_only).toBe(true);
  });

  it("asks the registry by the name of its certificate at the host's address", () => {
    expect(pod(reference).host_aliases).toEqual([{ ip: "10.0.20.10", hostnames: ["registry.viktorbarzin.me"] }]);
    expect(variables(reference)).toMatchObject({
      REGISTRY: "https://registry.viktorbarzin.me:5050",
      REGISTRY_INSTANCE: "registry.viktorbarzin.me:5050",
      REGISTRY_ROLE: "private",
    });
  });

  it("trusts the private authority of the site, and the public ones where there is none", () => {
    const volume = pod(small).volume.find(({ name }: Json) => name === "certificate-authority");
    const mount = container(small).volume_mount.find(({ name }: Json) => name === "certificate-authority");
    expect(volume.config_map.name).toBe("home-ca");
    expect(variables(small).REGISTRY_CA_FILE).toBe(`${mount.mount_path}/ca.crt`);
    expect(variables(reference)).not.toHaveProperty("REGISTRY_CA_FILE");
  });

  it("asks a cache by its address, without TLS and without credentials", () => {
    const stack = synthesise(
      site("reference", ({ monitoring }) => {
        monitoring.probes = [{ name: "cache", service: "ghcr", periodMinutes: 5, deadlineSeconds: 120 }];
      }),
    );
    expect(variables(stack)).toMatchObject({ REGISTRY: "http://10.0.20.10:5010", REGISTRY_ROLE: "proxy" });
    expect(Object.keys(variables(stack))).not.toContain("REG_USER");
    expect(pod(stack)).not.toHaveProperty("host_aliases");
  });
});

describe("program", () => {
  it("is an immutable ConfigMap that is named by its content and replaced before it is removed", () => {
    const map = programMap(reference);
    expect(map.metadata.name).toMatch(/^registry-probe-program-[0-9a-f]{12}$/);
    expect(map).toMatchObject({ immutable: true, lifecycle: { create_before_destroy: true } });
    expect(cronJob(small).depends_on).toContainEqual(expect.stringMatching(/^kubernetes_config_map_v1\.program_/));
  });

  it("reaches the cluster as it is, whatever Terraform would see in it, and no plan prints it", () => {
    const [name] = /(?<=^\$\{sensitive\(local\.)[\w-]+(?=\)\}$)/.exec(programMap(reference).data["probe.mjs"]) ?? [];
    expect(reference.locals[name ?? ""]).toBe(PROGRAM.replaceAll("${", () => "$${").replaceAll("%{", "%%{"));
    expect(onlyOf(allObjectsOf(synthesise(site("reference", withoutDashboard))), "ConfigMap").data).toEqual({
      "probe.mjs": PROGRAM,
    });
  });
});

describe("credentials", () => {
  it("come from the Secret that exists", () => {
    expect(reference.resource).not.toHaveProperty("kubernetes_secret_v1");
    expect(reference).not.toHaveProperty("variable");
    const fromSecret = container(reference).env.filter(({ value_from }: Json) => value_from !== undefined);
    expect(fromSecret.slice(0, 2)).toEqual(
      ["REG_USER", "REG_PASS"].map((key) => ({
        name: key,
        value_from: { secret_key_ref: { name: "registry-probe-credentials", key } },
      })),
    );
  });

  it("from variables stay out of plan and state: ephemeral, sensitive, write-only", () => {
    expect(small.variable).toEqual(
      Object.fromEntries(
        ["username", "password"].map((what) => [
          `registry_probe_${what}`,
          { ephemeral: true, nullable: false, sensitive: true, type: "string" },
        ]),
      ),
    );
    const secret = only(small, "kubernetes_secret_v1");
    expect(secret).not.toHaveProperty("data");
    expect(secret.data_wo).toEqual({
      REG_USER: "${var.registry_probe_username}",
      REG_PASS: "${var.registry_probe_password}",
    });
    expect(secret.data_wo_revision).toBe(1);
  });
});

describe("what runs", () => {
  const protectedSite = (name: "reference" | "small", bend: (input: Json) => void = () => {}) =>
    synthesise(
      site(name, (input) => {
        input.monitoring.probes[0].workloads = true;
        const services: Json[] = input.registry.services;
        const own = services.find(({ role }) => role === "private");
        const rules = [{ repositories: "**", keepNewest: 3 }];
        own.retention = { rules, ...own.retention, protectInUse: { clusters: ["cluster"], maximumAgeHours: 24 } };
        bend(input);
      }),
    );
  const fromSecrets = (stack: Json): Json[] =>
    container(stack).env.filter(({ value_from }: Json) => value_from !== undefined);

  it("is asked with a service account that may list pods and CronJobs, and nothing else", () => {
    expect(only(reference, "kubernetes_cluster_role_v1").rule).toEqual([
      { api_groups: [""], resources: ["pods"], verbs: ["list"] },
      { api_groups: ["batch"], resources: ["cronjobs"], verbs: ["list"] },
    ]);
    const { metadata, role_ref, subject } = only(reference, "kubernetes_cluster_role_binding_v1");
    const role = "monitoring-registry-integrity-probe";
    expect([metadata.name, role_ref.name]).toEqual([role, role]);
    expect(subject).toEqual([{ kind: "ServiceAccount", name: "registry-integrity-probe", namespace: "monitoring" }]);
    expect(only(reference, "kubernetes_service_account_v1")).toMatchObject({ automount_service_account_token: false });
  });

  it("gives the token to the pod alone, and after all of it exists", () => {
    expect(pod(reference)).toMatchObject({
      service_account_name: "registry-integrity-probe",
      automount_service_account_token: true,
    });
    const needed: string[] = cronJob(reference).depends_on;
    for (const type of ["service_account", "cluster_role", "cluster_role_binding"])
      expect(needed).toContainEqual(expect.stringMatching(new RegExp(`^kubernetes_${type}_v1\\.`)));
  });

  it("is known by every name of the registry, and reported under the name of the cluster", () => {
    expect(variables(reference)).toMatchObject({
      REGISTRY_NAMES: "registry.viktorbarzin.me:5050,10.0.20.10:5050",
      IN_USE_TAG: "cluster",
      SERVICE_ACCOUNT: "/var/run/secrets/kubernetes.io/serviceaccount",
    });
    const home = synthesise(site("reference", ({ monitoring }) => (monitoring.cluster = "home")));
    expect(variables(home).IN_USE_TAG).toBe("home");
  });

  it("is pushed with an account of its own, which may be missing unless a clean-up waits for the report", () => {
    const pushing = (optional: boolean) =>
      ["USER", "PASS"].map((key) => ({
        name: `PUSH_${key}`,
        value_from: { secret_key_ref: { name: "registry-probe-credentials-push", key: `REG_${key}`, optional } },
      }));
    expect(fromSecrets(reference).slice(2)).toEqual(pushing(true));
    expect(fromSecrets(protectedSite("reference")).slice(2)).toEqual(pushing(false));
  });

  it("is pushed with an account from variables that are in no plan, where a clean-up waits for it", () => {
    const stack = protectedSite("small");
    const secrets: Json[] = Object.values(stack.resource.kubernetes_secret_v1);
    const push = secrets.find(({ metadata }) => metadata.name === "registry-probe-push");
    expect(push).not.toHaveProperty("data");
    expect(push.data_wo).toEqual({
      REG_USER: "${var.registry_probe_push_username}",
      REG_PASS: "${var.registry_probe_push_password}",
    });
    expect(stack.variable.registry_probe_push_password).toMatchObject({ ephemeral: true, sensitive: true });
  });

  it("of a registry that somebody else runs is known by its own name", () => {
    const stack = synthesise(
      site("reference", ({ monitoring }) => {
        monitoring.externalRegistries = [{ name: "forge", url: "https://git.example.org", role: "private" }];
        Object.assign(monitoring.probes[0], { service: "forge" });
      }),
    );
    expect(variables(stack)).not.toHaveProperty("REGISTRY_NAMES");
    expect(variables(stack)).toHaveProperty("SERVICE_ACCOUNT");
  });
});

describe("adoption", () => {
  it("imports what exists, and nothing that was not named", () => {
    expect(reference).not.toHaveProperty("import");
    const adopting = synthesise(site("small", ({ monitoring: { probes } }) => (probes[0].adopt = ["cron-job"])));
    expect(adopting.import).toEqual([
      { id: "monitoring/registry-probe", to: expect.stringMatching(/^kubernetes_cron_job_v1\./) },
    ]);
  });

  it("changes nothing else: taking it out again is no change", () => {
    const { import: _, ...adopting } = withShards(3, ({ monitoring: { probes } }) => (probes[0].adopt = ["cron-job"]));
    expect(adopting).toEqual(withShards(3));
  });
});

describe("what the program is told of the walk", () => {
  it("asks a registry of the site by HEAD, and for each last byte once a day: it keeps no descriptors in memory", () => {
    const { BLOBS, LAST_BYTE_TURNS } = variables(reference);
    expect({ BLOBS, LAST_BYTE_TURNS }).toEqual({ BLOBS: "head", LAST_BYTE_TURNS: "96" });
  });

  it("asks a registry of somebody else for every last byte, and a cache for none", () => {
    for (const service of ["forge", "ghcr"]) {
      const stack = synthesise(
        site("reference", ({ monitoring }) => {
          monitoring.externalRegistries = [{ name: "forge", url: "https://git.example.org", role: "private" }];
          Object.assign(monitoring.probes[0], { service, workloads: false });
        }),
      );
      expect(variables(stack)).not.toHaveProperty("BLOBS");
      expect(variables(stack)).not.toHaveProperty("LAST_BYTE_TURNS");
    }
  });

  it("names repositories, platforms and the rate, which all shards share", () => {
    const stack = withShards(4, ({ monitoring }) => {
      const names = { repositories: ["team/app", "infra"], platforms: ["linux/amd64"] };
      Object.assign(monitoring.probes[0], { ...names, rate: 10 });
    });
    expect(variables(stack)).toMatchObject({ REPOSITORIES: "team/app,infra", PLATFORMS: "linux/amd64", RATE: "2.5" });
  });
});
