import { parse } from "yaml";
import type { AlertingRule, RuleGroup } from "../../monitoring/alert";
import { HOST_METRICS, MAINTENANCE_METRICS, METRICS, PUSHGATEWAY_METRICS } from "../../monitoring/metrics";
import { metricsOf } from "../../monitoring/promql";
import { rulesFor } from "../../monitoring/rules";
import { rulesFile } from "../../monitoring/rules-file";
import { serviceInstance } from "../../site/schema";
import { site } from "./synthesise";

const allOf = (groups: readonly RuleGroup[], name: string): AlertingRule[] =>
  groups.flatMap(({ rules }) => rules).filter(({ alert }) => alert === name);

const alertOf = (groups: readonly RuleGroup[], name: string): AlertingRule => {
  const [rule, ...others] = allOf(groups, name);
  if (rule === undefined || others.length > 0) throw new Error(`not one rule ${name}`);
  return rule;
};

const groups = rulesFor(site("reference"));
const rules = groups.flatMap((group) => group.rules);
const PROBE = 'job="registry-integrity-probe",instance="registry.viktorbarzin.me:5050"';

/** The registries that a rule is about, by name. */
const namedIn = ({ expr }: AlertingRule): string[] => [
  ...new Set([...expr.matchAll(/instance="([^"]*)"/g)].map(([, value]) => value ?? "")),
];

it("writes the rules of the reference site", () => {
  expect(rulesFile(groups)).toMatchSnapshot();
});

// test/lab/origin-rules.test.ts checks with promtool that they fire whenever the originals do.
it("keeps the three alerts of the origin, names and severities", () => {
  const severity = (name: string) => alertOf(groups, name).labels.severity;
  expect(severity("RegistryManifestIntegrityFailure")).toBe("critical");
  expect(severity("RegistryIntegrityProbeStale")).toBe("warning");
  expect(severity("RegistryCatalogInaccessible")).toBe("critical");
});

it("scales every threshold with the probe's period", () => {
  const slower = rulesFor(site("small"));
  expect(alertOf(groups, "RegistryManifestIntegrityFailure").expr).toContain("[90m:1m]) > 15 and ");
  expect(alertOf(slower, "RegistryManifestIntegrityFailure").expr).toContain("[180m:2m]) > 15 and ");
  expect(alertOf(slower, "RegistryIntegrityProbeStale").expr).toMatch(/ > 7200$/);
  expect(alertOf(slower, "RegistryIntegrityProbeSlow").expr).toMatch(/ > 900$/);
});

it("puts the cluster on every alert, and says of it how often its registry is looked at", () => {
  const clustered = rulesFor(site("reference", (input) => (input.monitoring.cluster = "home")));
  for (const { labels } of clustered.flatMap((group) => group.rules)) expect(labels).toMatchObject({ cluster: "home" });
  for (const { labels } of rules) expect(labels).not.toHaveProperty("cluster");
  // It is the same scrape, whichever cluster's labels are overwritten.
  const read = clustered
    .flatMap((group) => group.rules)
    .filter(({ alert }) => alert !== "RegistryIntegrityLabelsOverwritten")
    .flatMap(({ expr }) => [...expr.matchAll(/\{([^}]*)\}/g)].map(([, labels]) => labels));
  expect(read.length).toBeGreaterThan(0);
  for (const labels of read) expect(labels).toContain('cluster="home"');
  expect(alertOf(groups, "RegistryManifestIntegrityFailure").labels.every).toBe("15m");
});

it("says of every alert what it means and where its page is", () => {
  for (const rule of rules) {
    expect(rule.alert).toMatch(/^Registry([A-Z][a-z]+)+$/);
    // The summary does not vary: notifications are grouped and titled by it.
    expect(rule.annotations.summary).not.toContain("{{");
    if (rule.alert !== "RegistryReportsAbsent")
      expect(rule.annotations.description).toMatch(/\{\{ \$labels\.(instance|host) \}\}| on registry-vm /);
    expect(rule.annotations.runbook_url).toMatch(new RegExp(`^https://.*[^/]/${rule.alert}\\.md$`));
  }
  expect(new Set(rules.map(({ alert, labels }) => JSON.stringify([alert, labels]))).size).toBe(rules.length);
});

it("does not double the slash of a runbook address that ends in one", () => {
  const [first] = rulesFor(site("reference", (input) => (input.monitoring.runbooks = "https://wiki.example.org/")));
  expect(first?.rules[0]?.annotations.runbook_url).toBe(`https://wiki.example.org/${first?.rules[0]?.alert}.md`);
});

it("reads only metrics that the product or the Pushgateway exports", () => {
  const exported = [METRICS, MAINTENANCE_METRICS, HOST_METRICS, PUSHGATEWAY_METRICS].flatMap((metrics) =>
    Object.keys(metrics),
  );
  const read = groups.flatMap(({ rules }) => rules.flatMap(({ expr }) => metricsOf(expr)));
  expect(read.length).toBeGreaterThan(0);
  expect(read.filter((metric) => metric !== "ALERTS" && !exported.includes(metric))).toEqual([]);
  const inTemplates = rules.flatMap(({ annotations }) => annotations.description.match(/registry_m\w+/g) ?? []);
  expect(inTemplates).toContain("registry_manifest_integrity_failures_by_reason");
  expect(inTemplates.filter((metric) => !exported.includes(metric))).toEqual([]);
});

describe("several registries", () => {
  const several = rulesFor(
    site("reference", (input) => {
      input.monitoring.externalRegistries = [{ name: "forge", url: "https://git.example.org", role: "private" }];
      input.monitoring.probes.push({ name: "cache", service: "ghcr", periodMinutes: 5, deadlineSeconds: 120 });
      input.monitoring.probes.push({ name: "forge-probe", service: "forge", periodMinutes: 15, deadlineSeconds: 600 });
      delete input.registry.maintenance;
    }),
  );

  it("share a rule where they have the same period and the same shards, and have one of their own otherwise", () => {
    expect(allOf(several, "RegistryIntegrityProbeStale").map((rule) => [namedIn(rule), rule.for])).toEqual([
      [["registry.viktorbarzin.me:5050", "git.example.org"], "15m"],
      [["10.0.20.10:5010"], "5m"],
    ]);
  });

  it("are told apart by the probe too: what another probe says of the same registry is not heard", () => {
    const read = several
      .flatMap((group) => group.rules)
      .filter(({ alert }) => !["RegistryIntegrityLabelsOverwritten", "RegistryReportsAbsent"].includes(alert));
    for (const { expr } of read)
      for (const [, labels] of expr.matchAll(/\{([^}]*)\}/g))
        expect(labels).toMatch(
          /job="(registry-integrity-probe",instance="registry|cache",instance="10\.0|forge-probe",instance="git)\.[^"]*"/,
        );
  });

  it("are missed one by one", () => {
    expect(alertOf(several, "RegistryCatalogEmpty").expr).toContain("git.example.org");
    const [absent] = allOf(several, "RegistryIntegrityProbeAbsent");
    expect(absent?.expr).toBe(
      `absent(registry_manifest_integrity_last_run_timestamp{${PROBE},shard=""}) or absent(registry_manifest_integrity_last_run_timestamp{job="forge-probe",instance="git.example.org",shard=""})`,
    );
  });

  it("are asked for availability only where they are caches, which may lack anything", () => {
    const about = several
      .flatMap((group) => group.rules)
      .filter((rule) => namedIn(rule).includes("10.0.20.10:5010"))
      .map(({ alert }) => alert);
    expect(about).toContain("RegistryCatalogInaccessible");
    expect(about).toContain("RegistryIntegrityProbeAbsent");
    expect(about).not.toContain("RegistryManifestIntegrityFailure");
    expect(about).not.toContain("RegistryIntegrityCoverageLost");
  });
});

it("misses a shard that does not report, and the registry where none does", () => {
  const sharded = rulesFor(site("reference", ({ monitoring: { probes } }) => Object.assign(probes[0], { shards: 3 })));
  const lastRun = (shard: string) => `registry_manifest_integrity_last_run_timestamp{${PROBE},shard${shard}}`;
  const sharding = lastRun('=~"0|1|2"');
  expect(alertOf(sharded, "RegistryIntegrityProbeAbsent").expr).toBe(
    `count by (cluster, job, instance) (max by (cluster, job, instance, shard) (${sharding})) < 3 or absent(${sharding})`,
  );
  expect(alertOf(groups, "RegistryIntegrityProbeAbsent").expr).toBe(`absent(${lastRun('=""')})`);
});

it("writes a rules file that reads back as the groups", () => {
  expect(parse(rulesFile(groups))).toEqual({ groups });
});

describe("the maintenance", () => {
  it("has one rule of a kind for all registries, that names each of them", () => {
    const given = site("reference");
    for (const { expr } of groups.find(({ name }) => name === "registry-maintenance")?.rules ?? [])
      for (const service of given.registry.services)
        expect(expr.replaceAll("\\\\", "")).toContain(serviceInstance(given, service));
  });

  it("has none where a site has no maintenance", () => {
    expect(rulesFor(site("small")).map(({ name }) => name)).not.toContain("registry-maintenance");
  });

  it("takes the limit of the disk from the site", () => {
    const roomy = rulesFor(
      site("reference", ({ registry }) => (registry.maintenance.disk = { everyMinutes: 5, minimumFreePercent: 25 })),
    );
    expect(alertOf(roomy, "RegistryDiskSpaceLow")).toMatchObject({
      expr: expect.stringMatching(/ < 0\.25$/),
      for: "10m",
    });
  });
});

describe("the hosts", () => {
  it("are watched where a Pushgateway takes their reports: each managed one is named, no deferred one", () => {
    for (const { expr } of groups.find(({ name }) => name === "registry-hosts")?.rules ?? []) {
      expect(expr).toContain('host=~"pve|registry-vm"');
      expect(expr).not.toContain("truenas");
    }
  });

  it("are not where the only Pushgateway has a name of the cluster", () => {
    const given = site("reference", ({ registry }) => {
      delete registry.maintenance;
    });
    expect(rulesFor(given).map(({ name }) => name)).not.toContain("registry-hosts");
  });
});
