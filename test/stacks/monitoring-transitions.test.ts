import * as fc from "fast-check";
import { type Json, site, synthesise } from "../monitoring/synthesise";

/** The sites that may follow one another: each change affects what Terraform creates. */
const anyBends = fc.record({
  delivery: fc.constantFrom("prometheus-rule", "rules-file", "by-hand"),
  rulesAdopt: fc.boolean(),
  create: fc.boolean(),
  shards: fc.constantFrom(1, 3, 4),
  adopt: fc.boolean(),
  credentials: fc.constantFrom("variables", "existing-secret"),
  dashboard: fc.constantFrom("none", "made", "adopted"),
});

type Bends = typeof anyBends extends fc.Arbitrary<infer T> ? T : never;

/** Synthesising takes most of the time, so these are a few sites, in all pairs. */
const bends = fc.constantFrom(...fc.sample(anyBends, 10));

const synthesised = ({ delivery, rulesAdopt, create, shards, adopt, credentials, dashboard }: Bends): Json =>
  synthesise(
    site("small", ({ monitoring }) => {
      monitoring.rules = delivery === "by-hand" ? { delivery } : { delivery, adopt: rulesAdopt };
      monitoring.namespace.create = create;
      monitoring.probes[0].shards = shards;
      monitoring.probes[0].adopt = adopt ? ["cron-job"] : [];
      monitoring.probes[0].credentials = {
        from: credentials,
        secret: "registry-probe",
        ...(credentials === "variables" ? { revision: 1 } : {}),
      };
      if (dashboard !== "none") monitoring.dashboard = { labels: {}, adopt: dashboard === "adopted" };
    }),
  );

const made = new Map<string, string>();

const stackOf = (bent: Bends): Json => {
  const key = JSON.stringify(bent);
  const text = made.get(key) ?? JSON.stringify(synthesised(bent));
  made.set(key, text);
  return JSON.parse(text);
};

const resources = (stack: Json): Map<string, Json> =>
  new Map(
    Object.entries<Json>(stack.resource).flatMap(([type, instances]) =>
      Object.entries<Json>(instances).map(([name, body]) => [`${type}.${name}`, body] as const),
    ),
  );

const cronJobOf = (stack: Json): Json => Object.values<Json>(stack.resource.kubernetes_cron_job_v1)[0];
const jobOf = (stack: Json): Json => cronJobOf(stack).spec.job_template.spec;

/**
 * What Terraform does with what has left the configuration, as measured with the providers kubernetes 2.38.0 and helm 3.1.1: a
 * resource is destroyed, unless a removed block forgets it; without its provider it is dropped and left behind.
 */
const fateOf = (address: string, next: Json): "kept" | "destroyed" | "forgotten" | "left behind" => {
  if (resources(next).has(address)) return "kept";
  if (next.removed?.some(({ from, lifecycle }: Json) => from === address && lifecycle.destroy === false))
    return "forgotten";
  const [type = ""] = address.split(".");
  const [provider = ""] = type.split("_");
  return type === "terraform_data" || next.provider[provider] !== undefined ? "destroyed" : "left behind";
};

/** Fields that the provider changes only by deleting the CronJob. */
const FORCING = ["completions", "completion_mode", "backoff_limit_per_index"];

/** What the provider reads from a CronJob that kubectl created without any of these fields. */
const IMPORTED: Json = { completions: 0, completion_mode: "", backoff_limit_per_index: 0 };

/** Whether Terraform replaces the CronJob, given its old or imported state. */
const replaces = (state: Json, before: Json | undefined, next: Json): boolean => {
  const { ignore_changes = [], replace_triggered_by = [] } = cronJobOf(next).lifecycle;
  const ignored = ignore_changes.map((path: string) => path.split(".").at(-1));
  const forced = FORCING.some((field) => !ignored.includes(field) && (state[field] ?? 0) !== (jobOf(next)[field] ?? 0));
  // Creating a trigger does not trigger anything.
  const triggered = replace_triggered_by.some((address: string) => {
    const [old, now] = [
      before === undefined ? undefined : resources(before).get(address),
      resources(next).get(address),
    ];
    return old !== undefined && old.input !== now.input;
  });
  return forced || triggered;
};

/** Evaluates the postcondition for the planned CronJob. */
const accepts = (next: Json, job: Json): boolean => {
  const [{ condition }] = cronJobOf(next).lifecycle.postcondition;
  const expression: string = condition.slice(2, -1).replaceAll("self.spec[0].job_template[0].spec[0]", "job");
  const coalesce = (...values: unknown[]) =>
    values.find((value) => value !== null && value !== undefined && value !== "");
  return new Function("job", "coalesce", "max", `return ${expression}`)(job, coalesce, Math.max);
};

const EACH = { numRuns: 60 };

describe("whatever site follows whatever site", () => {
  const pair = fc.tuple(bends.map(stackOf), bends.map(stackOf));

  test("nothing is left behind, and no namespace is destroyed", () =>
    fc.assert(
      fc.property(pair, ([before, next]) => {
        for (const address of resources(before).keys())
          expect([address, fateOf(address, next)]).not.toContain("left behind");
        expect(next.resource).not.toHaveProperty("kubernetes_namespace_v1");
        // From the previous version.
        expect(fateOf("kubernetes_namespace_v1.namespace", next)).toBe("forgotten");
      }),
      EACH,
    ));

  test("a Secret that the next CronJob reads is not destroyed", () =>
    fc.assert(
      fc.property(pair, ([before, next]) => {
        const secrets = [...resources(before).keys()].filter((address) => address.startsWith("kubernetes_secret_v1."));
        for (const address of secrets) expect(["kept", "forgotten"]).toContain(fateOf(address, next));
      }),
      EACH,
    ));

  test("the CronJob is replaced for other shards, and for nothing else, and then it is as configured", () =>
    fc.assert(
      fc.property(pair, ([before, next]) => {
        const other = jobOf(before).completions !== jobOf(next).completions;
        expect(replaces(jobOf(before), before, next)).toBe(other);
        expect(accepts(next, jobOf(next))).toBe(true);
      }),
      EACH,
    ));

  test("an ordinary CronJob is taken over in place by one shard, and refused by several", () =>
    fc.assert(
      fc.property(bends, (bent) => {
        const next = stackOf({ ...bent, adopt: true, delivery: "by-hand", dashboard: "none" });
        expect(next.import.map(({ to }: Json) => to)).toContain(
          `kubernetes_cron_job_v1.${Object.keys(next.resource.kubernetes_cron_job_v1)[0]}`,
        );
        expect(replaces(IMPORTED, undefined, next)).toBe(false);
        expect(accepts(next, IMPORTED)).toBe(bent.shards === 1);
      }),
      EACH,
    ));

  test("no Secret is imported, and nothing at all where nothing is adopted", () =>
    fc.assert(
      fc.property(bends, (bent) => {
        const imports: Json[] = stackOf(bent).import ?? [];
        for (const { to } of imports) expect(to).not.toMatch(/^kubernetes_secret/);
        const adopted = Number(bent.adopt) + Number(bent.dashboard === "adopted");
        expect(imports).toHaveLength(adopted + Number(bent.delivery === "rules-file" && bent.rulesAdopt));
      }),
      EACH,
    ));

  test("a plan asks no cluster, unless something is adopted", () =>
    fc.assert(
      fc.property(bends, (bent) => {
        const stack = stackOf({ ...bent, adopt: false, rulesAdopt: false, shards: 1, dashboard: "made" });
        expect(stack).not.toHaveProperty("import");
        expect(stack).not.toHaveProperty("data");
        // With it, the Helm provider looks up the release in every plan.
        expect(JSON.stringify(stack)).not.toContain("upgrade_install");
      }),
      EACH,
    ));
});

describe("the oracle of these tests", () => {
  const base: Bends = {
    delivery: "prometheus-rule",
    rulesAdopt: false,
    create: true,
    shards: 1,
    adopt: false,
    credentials: "variables",
    dashboard: "none",
  };

  test("tells a release without its provider, a Secret without a removed block, and shards without a trigger", () => {
    const before = stackOf(base);
    const next = stackOf({ ...base, delivery: "rules-file", credentials: "existing-secret", shards: 3 });
    const release = Object.keys(before.resource.helm_release).find((name) => name.startsWith("alerts"));
    const [secret] = Object.keys(before.resource.kubernetes_secret_v1);
    expect(fateOf(`helm_release.${release}`, next)).toBe("destroyed");
    expect(fateOf(`helm_release.${release}`, { ...next, provider: {} })).toBe("left behind");
    expect(fateOf(`kubernetes_secret_v1.${secret}`, next)).toBe("forgotten");
    expect(fateOf(`kubernetes_secret_v1.${secret}`, { ...next, removed: [] })).toBe("destroyed");
    cronJobOf(next).lifecycle = { ...cronJobOf(next).lifecycle, replace_triggered_by: [] };
    expect(replaces(jobOf(before), before, next)).toBe(false);
    expect(accepts(next, jobOf(before))).toBe(false);
    cronJobOf(next).lifecycle = {};
    expect(replaces(IMPORTED, undefined, next)).toBe(true);
  });
});
