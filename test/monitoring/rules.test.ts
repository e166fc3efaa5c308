import { parse } from "yaml";
import { MAINTENANCE_METRICS, METRICS, PUSHGATEWAY_METRICS } from "../../monitoring/metrics";
import { metricsOf } from "../../monitoring/promql";
import { type AlertingRule, type RuleGroup, rulesFor } from "../../monitoring/rules";
import { rulesFile } from "../../monitoring/rules-file";
import type { Probe } from "../../site/monitoring";
import { testedMaintenanceAlerts } from "./maintenance-unit-tests";
import { scenarios } from "./scenarios";
import { site } from "./synthesise";

const groupOf = (groups: RuleGroup[], name: string): RuleGroup => {
  const group = groups.find((each) => each.name === name);
  if (group === undefined) throw new Error(`no group ${name}`);
  return group;
};

const alertOf = ({ rules }: RuleGroup, name: string): AlertingRule => {
  const rule = rules.find(({ alert }) => alert === name);
  if (rule === undefined) throw new Error(`no alert ${name}`);
  return rule;
};

const groups = rulesFor(site("reference"));
const group = groupOf(groups, "registry-integrity-probe");
const instance = 'instance="registry.viktorbarzin.me:5050"';

it("writes the rules of the reference site", () => {
  expect(rulesFile(groups)).toMatchSnapshot();
});

it("keeps the three alerts of the origin, names, conditions and all", () => {
  const terms = ({ expr, for: duration, labels }: AlertingRule) => [expr, duration, labels.severity];
  expect(terms(alertOf(group, "RegistryManifestIntegrityFailure"))).toEqual([
    `registry_manifest_integrity_failures{${instance}} > 0`,
    "30m",
    "critical",
  ]);
  expect(terms(alertOf(group, "RegistryIntegrityProbeStale"))).toEqual([
    `time() - registry_manifest_integrity_last_run_timestamp{${instance}} > 3600`,
    "15m",
    "warning",
  ]);
  expect(terms(alertOf(group, "RegistryCatalogInaccessible"))).toEqual([
    `registry_manifest_integrity_catalog_accessible{${instance}} == 0`,
    "15m",
    "critical",
  ]);
});

it("scales every threshold with the probe's period", () => {
  const [slower] = rulesFor(site("small")) as [RuleGroup];
  expect(alertOf(slower, "RegistryManifestIntegrityFailure").for).toBe("60m");
  expect(alertOf(slower, "RegistryIntegrityProbeStale").expr).toMatch(/ > 7200$/);
  expect(alertOf(slower, "RegistryIntegrityProbeSlow").expr).toMatch(/ > 900$/);
});

it("says of every alert what it means and where its page is", () => {
  for (const rule of group.rules) {
    expect(rule.alert).toMatch(/^Registry([A-Z][a-z]+)+$/);
    // The summary is the same for every firing: it is what notifications are grouped and titled by.
    expect(rule.annotations.summary).not.toContain("{{");
    expect(rule.annotations.description).toMatch(/\{\{ \$labels\.(exported_)?instance \}\}/);
    expect(rule.annotations.runbook_url).toMatch(new RegExp(`^https://.*[^/]/${rule.alert}\\.md$`));
  }
  expect(new Set(group.rules.map(({ alert }) => alert)).size).toBe(group.rules.length);
});

it("does not double the slash of a runbook address that ends in one", () => {
  const [first] = rulesFor(site("reference", (input) => (input.monitoring.runbooks = "https://wiki.example.org/")));
  expect(first?.rules[0]?.annotations.runbook_url).toBe(`https://wiki.example.org/${first?.rules[0]?.alert}.md`);
});

it("reads only metrics that the product or the Pushgateway exports", () => {
  const exported = [METRICS, MAINTENANCE_METRICS, PUSHGATEWAY_METRICS].flatMap((metrics) => Object.keys(metrics));
  const read = groups.flatMap(({ rules }) => rules.flatMap(({ expr }) => metricsOf(expr)));
  expect(read.length).toBeGreaterThan(0);
  expect(read.filter((metric) => !exported.includes(metric))).toEqual([]);
  const inTemplates = group.rules.flatMap(({ annotations }) => annotations.description.match(/registry_\w+/g) ?? []);
  expect(inTemplates).toEqual(["registry_manifest_integrity_failures_by_reason"]);
  expect(exported).toContain(inTemplates[0]);
});

describe("several registries", () => {
  const several = rulesFor(
    site("reference", (input) => {
      input.monitoring.externalRegistries = [{ name: "forge", url: "https://git.example.org", role: "private" }];
      input.monitoring.probes.push({ name: "cache", service: "ghcr", periodMinutes: 5, deadlineSeconds: 120 });
      input.monitoring.probes.push({ name: "forge-probe", service: "forge", periodMinutes: 60, deadlineSeconds: 600 });
      delete input.registry.maintenance;
    }),
  );

  it("have a group each, whose rules name one registry only", () => {
    expect(several.map(({ name }) => name)).toEqual(["registry-integrity-probe", "cache", "forge-probe"]);
    const named = several.map(({ rules }) => [
      ...new Set(rules.flatMap(({ expr }) => [...expr.matchAll(/instance="([^"]*)"/g)].map(([, value]) => value))),
    ]);
    expect(named).toEqual([["registry.viktorbarzin.me:5050"], ["10.0.20.10:5010"], ["git.example.org"]]);
  });

  it("that somebody else runs have every alert, with their own period", () => {
    const forge = groupOf(several, "forge-probe");
    expect(forge.rules.map(({ alert }) => alert)).toEqual(group.rules.map(({ alert }) => alert));
    expect(alertOf(forge, "RegistryManifestIntegrityFailure").for).toBe("120m");
  });

  it("are asked for availability only where they are caches, which may lack anything", () => {
    const alerts = groupOf(several, "cache").rules.map(({ alert }) => alert);
    expect(alerts).toContain("RegistryCatalogInaccessible");
    expect(alerts).toContain("RegistryIntegrityProbeAbsent");
    expect(alerts).not.toContain("RegistryManifestIntegrityFailure");
    expect(alerts).not.toContain("RegistryIntegrityCoverageLost");
  });
});

it("misses a shard that does not report, and the registry where none does", () => {
  const [sharded] = rulesFor(
    site("reference", ({ monitoring: { probes } }) => Object.assign(probes[0], { shards: 3 })),
  );
  const lastRun = `registry_manifest_integrity_last_run_timestamp{${instance}}`;
  expect(alertOf(sharded as RuleGroup, "RegistryIntegrityProbeAbsent").expr).toBe(
    `count by (instance) (${lastRun}) < 3 or absent(${lastRun})`,
  );
  expect(alertOf(group, "RegistryIntegrityProbeAbsent").expr).toBe(`absent(${lastRun})`);
});

it("writes a rules file that reads back as the groups", () => {
  expect(parse(rulesFile(groups))).toEqual({ groups });
});

it("has a unit test for every alert", () => {
  const given = site("reference");
  const [probe] = given.monitoring.probes as [Probe];
  expect(Object.keys(scenarios(given, probe)).sort()).toEqual(group.rules.map(({ alert }) => alert).sort());
});

describe("the maintenance", () => {
  const ofMaintenance = groups.filter(({ name }) => name.startsWith("registry-maintenance/"));

  it("has a group for each registry, whose rules name that one only", () => {
    expect(ofMaintenance.map(({ name }) => name.split("/")[1])).toEqual(
      site("reference").registry.services.map(({ name }) => name),
    );
    for (const { rules } of ofMaintenance) {
      const named = rules.flatMap(({ expr }) => [...expr.matchAll(/instance="([^"]*)"/g)].map(([, value]) => value));
      expect(new Set(named).size).toBe(1);
    }
  });

  it("has none where a site has no maintenance", () => {
    expect(rulesFor(site("small")).map(({ name }) => name)).toEqual(["registry-probe"]);
  });

  it("takes the limit of the disk from the site", () => {
    const roomy = rulesFor(
      site("reference", ({ registry }) => (registry.maintenance.disk = { everyMinutes: 5, minimumFreePercent: 25 })),
    );
    const rule = alertOf(groupOf(roomy, "registry-maintenance/private"), "RegistryDiskSpaceLow");
    expect(rule).toMatchObject({ expr: expect.stringMatching(/ < 0\.25$/), for: "10m" });
  });

  it("has a unit test for every alert", () => {
    for (const { rules } of ofMaintenance)
      expect(rules.map(({ alert }) => alert).sort()).toEqual([...testedMaintenanceAlerts].sort());
  });
});
