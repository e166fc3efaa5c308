import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { TerraformStack, Testing } from "cdktf";
import { parse } from "yaml";
import { RegistryAlerts } from "../../constructs/registry-alerts";
import { rulesFor } from "../../monitoring/rules";
import { type Json, only, site, synthesise } from "../monitoring/synthesise";

const CHART = resolve(__dirname, "../../monitoring/chart");

const reference = synthesise(site("reference"));
const small = synthesise(site("small"));

describe("as a PrometheusRule", () => {
  const release = only(reference, "helm_release");

  it("is a Helm release that leaves nothing half-installed", () => {
    expect({ ...release, values: undefined }).toMatchSnapshot();
    expect(release).toMatchObject({ atomic: true, namespace: "monitoring" });
    expect(release).not.toHaveProperty("take_ownership");
  });

  it("carries the groups as JSON, and the labels of the operator's ruleSelector", () => {
    expect(JSON.parse(release.values[0])).toEqual({
      labels: { release: "prometheus" },
      groups: rulesFor(site("reference")),
    });
  });

  it("names the chart by its content, relative to the stack", () => {
    expect(release.chart).toMatch(/^\.\/assets\/[\w-]+\/[0-9A-F]{32}$/);
  });

  it("takes over a PrometheusRule or a release that exists", () => {
    const adopting = synthesise(site("reference", ({ monitoring: { rules } }) => (rules.adopt = true)));
    expect(only(adopting, "helm_release")).toMatchObject({ take_ownership: true, upgrade_install: true });
  });

  it("has a chart whose version moves with its template: Terraform sees no other change", () => {
    const template = readFileSync(resolve(CHART, "templates/prometheus-rule.yaml"));
    const { version } = parse(readFileSync(resolve(CHART, "Chart.yaml"), "utf8"));
    expect({ version, template: createHash("sha256").update(template).digest("hex") }).toMatchSnapshot();
  });
});

describe("as a rules file", () => {
  const map: Json = Object.values(small.resource.kubernetes_config_map_v1).find(
    ({ metadata }: Json) => metadata.name === "registry-alerts",
  );

  it("is a ConfigMap with the plain file", () => {
    expect(parse(map.data["registry-alerts.rules.yaml"])).toEqual({ groups: rulesFor(site("small")) });
  });

  it("keeps the Helm provider, which uninstalls a release that was there before", () => {
    expect(small.provider).toHaveProperty("helm");
    expect(small.terraform.required_providers).toHaveProperty("helm");
  });

  it("is imported where it exists", () => {
    const adopting = synthesise(site("small", ({ monitoring: { rules } }) => (rules.adopt = true)));
    expect(adopting.import).toEqual([
      { id: "monitoring/registry-alerts", to: expect.stringMatching(/^kubernetes_config_map_v1\.alerts/) },
    ]);
  });
});

it("fails for a rule that Prometheus would refuse, before anything is written", () => {
  const given = site("reference");
  const [group] = rulesFor(given);
  if (group === undefined) throw new Error("the reference site has no rules");
  const stack = new TerraformStack(Testing.app(), "stack");
  expect(
    () =>
      new RegistryAlerts(stack, "alerts", {
        namespace: "monitoring",
        groups: [{ ...group, rules: group.rules.map((rule) => ({ ...rule, expr: `${rule.expr} >` })) }],
        delivery: { delivery: "rules-file", labels: {}, adopt: false },
      }),
  ).toThrow(/^alert RegistryManifestIntegrityFailure of registry-damage: given .* no PromQL from character \d+ on/);
});
