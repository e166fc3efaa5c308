import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { parse, stringify } from "yaml";
import type { AlertingRule, RuleGroup } from "../../monitoring/alert";
import { syntaxError } from "../../monitoring/promql";
import { rulesFile } from "../../monitoring/rules-file";
import { mutants } from "../monitoring/mutants";
import { type Json, SITES, site, synthesise } from "../monitoring/synthesise";
import { groupTests, shardTests, type UnitTest, unitTests } from "../monitoring/unit-tests";
import type { WholeSite } from "../sites";
import { describeWith } from "./components";

// Each case starts promtool up to fifty times.
jest.setTimeout(120_000);

const run = promisify(execFile);

/** The groups as the stack ships them, however it does. */
const shippedGroups = (given: WholeSite): RuleGroup[] => {
  const { resource }: Json = synthesise(given);
  const maps: Json[] = Object.values(resource.kubernetes_config_map_v1);
  const file = maps.map(({ data }) => data["registry-alerts.rules.yaml"]).find((text) => text !== undefined);
  return file === undefined
    ? JSON.parse((Object.values(resource.helm_release) as Json[])[0].values[0]).groups
    : parse(file).groups;
};

/** Those about what a probe reports; the others have tests of their own. */
const shippedRules = (given: WholeSite): AlertingRule[] =>
  shippedGroups(given).flatMap(({ name, rules }) => (name === "registry-maintenance" ? [] : rules));

const inOneGroup = (rules: readonly AlertingRule[]): RuleGroup[] => [{ name: "rules", rules }];

describeWith(["promtool"], "the rules that are shipped", ({ promtool: { command } }) => {
  const folder = mkdtempSync(join(tmpdir(), "rules-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  let files = 0;
  const write = (text: string): string => {
    const file = join(folder, `${files++}.yaml`);
    writeFileSync(file, text);
    return file;
  };
  const promtool = async (...parameters: string[]): Promise<{ passed: boolean; output: string }> => {
    const [program, ...prefix] = command;
    try {
      const { stdout, stderr } = await run(program, [...prefix, ...parameters], { maxBuffer: 1e8 });
      return { passed: true, output: stdout + stderr };
    } catch (error) {
      const { stdout, stderr, code } = error as { stdout: string; stderr: string; code: unknown };
      // Any other failure, a crash or a missing program, is none of the tests'.
      if (code !== 1) throw error;
      return { passed: false, output: stdout + stderr };
    }
  };
  /** An interval holds for a whole file of tests. */
  const testRules = (groups: readonly RuleGroup[], tests: readonly UnitTest[]) => {
    const rules = write(rulesFile(groups));
    const intervals = [...new Set(tests.map(({ interval }) => interval))];
    const ofInterval = intervals.map((interval) =>
      write(
        stringify({
          rule_files: [rules],
          evaluation_interval: interval,
          tests: tests.filter((each) => each.interval === interval),
        }),
      ),
    );
    return promtool("test", "rules", ...ofInterval);
  };

  test("hold for a registry that is walked in shards", async () => {
    const given = site("reference", ({ monitoring: { probes } }) => Object.assign(probes[0], { shards: 2 }));
    const rules = shippedRules(given);
    const [probe] = given.monitoring.probes as [WholeSite["monitoring"]["probes"][number]];
    expect(await testRules(inOneGroup(rules), shardTests(given, probe, rules))).toMatchObject({ passed: true });
  });

  describe.each(Object.keys(SITES) as (keyof typeof SITES)[])("by the %s site", (name) => {
    const given = site(name);
    const rules = shippedRules(given);
    const [probe] = given.monitoring.probes as [WholeSite["monitoring"]["probes"][number]];
    const together = groupTests(given, probe, rules);
    const testsOf = (rule: AlertingRule): UnitTest[] => [
      ...unitTests(given, probe, rule),
      ...together
        .map((test) => ({
          ...test,
          alert_rule_test: test.alert_rule_test.filter(({ alertname }) => alertname === rule.alert),
        }))
        .filter((test) => test.alert_rule_test.length > 0),
    ];

    test("are taken by promtool", async () => {
      expect(
        await promtool("check", "rules", "--lint=all", "--lint-fatal", write(rulesFile(shippedGroups(given)))),
      ).toMatchObject({
        passed: true,
      });
    });

    test("hold together: silence, a restart of the Pushgateway, seven days", async () => {
      expect(await testRules(inOneGroup(rules), together)).toMatchObject({ passed: true });
    });

    test.each(rules)("$alert fires, resolves, and stands one bad report", async (rule) => {
      expect(await testRules(inOneGroup(rules), testsOf(rule))).toMatchObject({ passed: true });
    });

    // The expressions of the sites differ in numbers and names only.
    if (name !== "reference") return;
    test.each(rules)("$alert: no slip in its condition goes unseen", async (rule) => {
      const unseen: string[] = [];
      for (const { change, rule: mutant } of mutants(rule)) {
        // promtool refuses what is no PromQL: a slip that shows by itself needs no test.
        expect(syntaxError(mutant.expr)).toBeUndefined();
        const { passed } = await testRules(inOneGroup([mutant]), testsOf(rule));
        if (passed) unseen.push(`${change}: ${mutant.expr}`);
      }
      expect(unseen).toEqual([]);
    });
  });
});
