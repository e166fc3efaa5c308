import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import type { AlertingRule, RuleGroup } from "../../monitoring/alert";
import { syntaxError } from "../../monitoring/promql";
import { rulesFor } from "../../monitoring/rules";
import { rulesFile } from "../../monitoring/rules-file";
import { managedHosts } from "../../site/schema";
import { hostUnitTests } from "../monitoring/host-unit-tests";
import { mutantsOf } from "../monitoring/mutants";
import type { UnitTest } from "../monitoring/unit-test";
import { referenceSite } from "../sites";
import { describeWith } from "./components";
import { promtool } from "./promtool";

// Each case starts promtool up to fifty times.
jest.setTimeout(300_000);

const group = rulesFor(referenceSite).find(({ name }) => name === "registry-hosts");
if (group === undefined) throw new Error("the reference site watches no host");

describeWith(["promtool"], "the rules about hosts", () => {
  const folder = mkdtempSync(join(tmpdir(), "rules-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  const testRules = async (rules: RuleGroup, tests: readonly UnitTest[]): Promise<boolean> => {
    const ruleFile = join(folder, "rules.yaml");
    writeFileSync(ruleFile, rulesFile([rules]));
    const file = join(folder, "tests.yaml");
    writeFileSync(file, stringify({ rule_files: [ruleFile], evaluation_interval: "1m", tests }));
    return (await promtool("test", "rules", file)).passed;
  };
  const testsOf = (rule: AlertingRule): UnitTest[] =>
    managedHosts(referenceSite).flatMap((host) => hostUnitTests(referenceSite, host, rule));

  test.each(group.rules)("$alert fires, resolves, and stands what is short", async (rule) => {
    expect(await testRules(group, testsOf(rule))).toBe(true);
  });

  test.each(group.rules)("$alert: no slip in its condition goes unseen", async (rule) => {
    const unseen: string[] = [];
    for (const { change, rule: mutant } of mutantsOf(rule)) {
      expect(syntaxError(mutant.expr)).toBeUndefined();
      if (await testRules({ name: group.name, rules: [mutant] }, testsOf(rule)))
        unseen.push(`${change}: ${mutant.expr}`);
    }
    expect(unseen).toEqual([]);
  });
});
