import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import type { RuleGroup } from "../../monitoring/alert";
import { rulesFor } from "../../monitoring/rules";
import { rulesFile } from "../../monitoring/rules-file";
import type { MonitoredSite } from "../../site/schema";
import { batchesOf, EPISODES, type Episode, settingOf, siteOf } from "../monitoring/episodes";
import { simulate } from "../monitoring/simulation";
import { type Json, SITES, site, synthesise } from "../monitoring/synthesise";
import { describeWith } from "./components";
import { firingAt, promtool } from "./promtool";
import { alertName, spansOf } from "./spans";

// promtool evaluates weeks of rules, and the machine may be busy with other tests.
jest.setTimeout(600_000);

/** The hosts' own reports are not about a registry: host-rules.test.ts covers them. */
const aboutRegistries = (given: MonitoredSite): RuleGroup[] =>
  rulesFor(given).filter(({ name }) => name !== "registry-hosts");

/** The groups as shipped by the stack, with either delivery. */
const shippedGroups = (given: MonitoredSite): RuleGroup[] => {
  const { resource }: Json = synthesise(given as never);
  const maps: Json[] = Object.values(resource.kubernetes_config_map_v1);
  const file = maps.map(({ data }) => data["registry-alerts.rules.yaml"]).find((text) => text !== undefined);
  return file === undefined
    ? (Object.values(resource.helm_release) as Json[])
        .map(({ values }) => (values === undefined ? {} : JSON.parse(values[0])))
        .find(({ groups }) => groups !== undefined).groups
    : parse(file).groups;
};

describeWith(["promtool"], "the rules that are shipped", () => {
  const folder = mkdtempSync(join(tmpdir(), "rules-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  test.each(Object.keys(SITES) as (keyof typeof SITES)[])("by the %s site are taken by promtool", async (name) => {
    const file = join(folder, `${name}.yaml`);
    writeFileSync(file, rulesFile(shippedGroups(site(name))));
    expect(await promtool("check", "rules", "--lint=all", "--lint-fatal", file)).toMatchObject({ passed: true });
  });

  test.concurrent.each(batchesOf(EPISODES).map((batch) => [batch.map(({ what }) => what).join("; "), batch] as const))(
    "%s",
    async (_, batch) => {
      const [first] = batch as [Episode];
      const given = siteOf(first);
      const { step, every } = settingOf(first);
      const found = await firingAt({
        groups: aboutRegistries(given),
        runs: batch.map((episode) => ({ series: simulate(given, episode), minutes: episode.minutes })),
        step,
        every,
      });
      const fired = batch.map(({ what }, index) => [what, spansOf(found[index] ?? new Map(), every, alertName)]);
      expect(Object.fromEntries(fired)).toEqual(Object.fromEntries(batch.map(({ what, fires }) => [what, fires])));
    },
  );

  test("every alert fires in some episode", () => {
    const fired = EPISODES.flatMap(({ fires }) => Object.keys(fires).map((name) => name.split(" ")[0]));
    const known = aboutRegistries(site("reference")).flatMap(({ rules }) => rules.map(({ alert }) => alert));
    expect(known.filter((alert) => !fired.includes(alert))).toEqual([]);
  });
});
