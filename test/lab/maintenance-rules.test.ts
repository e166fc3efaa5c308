import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import type { AlertingRule, RuleGroup } from "../../monitoring/alert";
import { syntaxError } from "../../monitoring/promql";
import { rulesFor } from "../../monitoring/rules";
import { rulesFile } from "../../monitoring/rules-file";
import { maintenanceUnitTests } from "../monitoring/maintenance-unit-tests";
import { mutants } from "../monitoring/mutants";
import type { UnitTest } from "../monitoring/unit-tests";
import { referenceSite } from "../sites";
import { describeWith } from "./components";

// Each case starts promtool up to fifty times.
jest.setTimeout(120_000);

const site = referenceSite;
const group = rulesFor(site).find(({ name }) => name === "registry-maintenance");
if (group === undefined) throw new Error("the reference site has no maintenance");

describeWith(["promtool"], "the rules about the maintenance", ({ promtool: { command } }) => {
  const folder = mkdtempSync(join(tmpdir(), "rules-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  const promtool = (...parameters: string[]): { passed: boolean; output: string } => {
    const [program, ...prefix] = command;
    const { status, stdout, stderr } = spawnSync(program, [...prefix, ...parameters], { encoding: "utf8" });
    // Any other failure, a crash or a missing program, is none of the tests'.
    if (status !== 0 && status !== 1) throw new Error(`promtool ended with ${status}: ${stderr}`);
    return { passed: status === 0, output: stdout + stderr };
  };
  const testRules = (group: RuleGroup, tests: readonly UnitTest[]) => {
    const rules = join(folder, "rules.yaml");
    writeFileSync(rules, rulesFile([group]));
    const file = join(folder, "tests.yaml");
    writeFileSync(file, stringify({ rule_files: [rules], evaluation_interval: "1m", tests }));
    return promtool("test", "rules", file);
  };

  test("are taken by promtool", () => {
    const rules = join(folder, "checked.yaml");
    writeFileSync(rules, rulesFile([group]));
    expect(promtool("check", "rules", "--lint=all", "--lint-fatal", rules)).toMatchObject({ passed: true });
  });

  test.each(site.registry.services)("of $name fire, resolve, and stand what is short", (about) => {
    const tests = group.rules.flatMap((rule) => maintenanceUnitTests(site, about, rule));
    expect(testRules(group, tests)).toMatchObject({ passed: true });
  });

  test.each(group.rules)("$alert: no slip in its condition goes unseen", (rule: AlertingRule) => {
    const tests = site.registry.services.flatMap((service) => maintenanceUnitTests(site, service, rule));
    const unseen = mutants(rule).flatMap(({ change, rule: mutant }) => {
      expect(syntaxError(mutant.expr)).toBeUndefined();
      return testRules({ name: group.name, rules: [mutant] }, tests).passed ? [`${change}: ${mutant.expr}`] : [];
    });
    expect(unseen).toEqual([]);
  });
});
