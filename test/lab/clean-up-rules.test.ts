import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import type { AlertingRule, RuleGroup } from "../../monitoring/alert";
import { syntaxError } from "../../monitoring/promql";
import { rulesFor } from "../../monitoring/rules";
import { rulesFile } from "../../monitoring/rules-file";
import { parseSite } from "../../site/load";
import type { MonitoredSite } from "../../site/schema";
import { cleanUpUnitTests } from "../monitoring/clean-up-unit-tests";
import { mutantsOf } from "../monitoring/mutants";
import type { Json } from "../monitoring/synthesise";
import type { UnitTest } from "../monitoring/unit-test";
import { SHIPPED } from "../sites";
import { describeWith } from "./components";
import { promtool } from "./promtool";

// Each case starts promtool up to fifty times.
jest.setTimeout(300_000);

/** The rules about a daily clean-up. */
const groupOf = (cluster?: string): RuleGroup => {
  const site = structuredClone(SHIPPED.forgejo) as Json;
  const { cleanUp } = site.monitoring.externalRegistries[0];
  cleanUp.suspend = false;
  cleanUp.schedule.days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
  if (cluster !== undefined) {
    site.monitoring.cluster = cluster;
    cleanUp.retention.protectInUse.clusters = [cluster];
  }
  const group = rulesFor(parseSite(site) as MonitoredSite).find(({ name }) => name === "registry-clean-up");
  if (group === undefined) throw new Error("the site has no alert about its clean-up");
  return group;
};

const instance = "git.example.org";
const alone = groupOf();

describeWith(["promtool"], "the rules about clean-ups over HTTP", () => {
  const folder = mkdtempSync(join(tmpdir(), "rules-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  const run = async (rules: RuleGroup, tests: readonly UnitTest[]) => {
    const ruleFile = join(folder, "rules.yaml");
    writeFileSync(ruleFile, rulesFile([rules]));
    const file = join(folder, "tests.yaml");
    writeFileSync(file, stringify({ rule_files: [ruleFile], evaluation_interval: "1m", tests }));
    return promtool("test", "rules", file);
  };
  const testsOf = (rule: AlertingRule): UnitTest[] => cleanUpUnitTests(rule, { instance });

  test("are taken by promtool", async () => {
    const file = join(folder, "check.yaml");
    writeFileSync(file, rulesFile([alone]));
    expect(await promtool("check", "rules", "--lint=all", "--lint-fatal", file)).toMatchObject({ passed: true });
  });

  test.each(alone.rules)("$alert fires, ends, and stands what is short", async (rule) => {
    expect(testsOf(rule)).not.toEqual([]);
    expect(await run(alone, testsOf(rule))).toMatchObject({ passed: true });
  });

  test.each(groupOf("home").rules)("$alert knows the clean-up of its own cluster alone", async (rule) => {
    const tests = cleanUpUnitTests(rule, { instance, cluster: "home" });
    expect(await run(groupOf("home"), tests)).toMatchObject({ passed: true });
  });

  test.each(alone.rules)("$alert: no slip in its condition goes unseen", async (rule) => {
    const unseen: string[] = [];
    for (const { change, rule: mutant } of mutantsOf(rule)) {
      expect(syntaxError(mutant.expr)).toBeUndefined();
      if ((await run({ name: alone.name, rules: [mutant] }, testsOf(rule))).passed)
        unseen.push(`${change}: ${mutant.expr}`);
    }
    expect(unseen).toEqual([]);
  });
});
