import { stringify } from "yaml";
import { CAUSES, INHIBIT_RULES } from "../../monitoring/inhibition";
import { rulesFor } from "../../monitoring/rules";
import { EPISODES } from "../monitoring/episodes";
import { simulate } from "../monitoring/simulation";
import { site } from "../monitoring/synthesise";
import { describeWith } from "./components";
import { waitFor } from "./process";
import { type LabServer, type Pager, raise, startAlertmanager, startPager, toldAndMuted } from "./prometheus";
import { type Alerted, firingAt } from "./promtool";
import { alertName } from "./spans";

// promtool evaluates hours of rules, and the machine may be busy with other tests.
jest.setTimeout(600_000);

/** Minutes between two scrapes and two evaluations. */
const STEP = 5;

describeWith(["promtool", "alertmanager"], "one cause, one page", () => {
  let pager: Pager;
  let alertmanager: LabServer;

  beforeAll(async () => {
    pager = await startPager();
    alertmanager = await startAlertmanager(pager, stringify({ inhibit_rules: INHIBIT_RULES }));
  });
  afterAll(async () => {
    for (const each of [alertmanager, pager]) await each?.stop();
  });

  /** Which of these alerts Alertmanager sends; their clusters have no others. */
  const toldOf = async (alerts: readonly Alerted[]): Promise<Alerted[]> => {
    const clusters = new Set(alerts.map(({ cluster }) => cluster));
    const of = (some: readonly Alerted[]) => some.filter(({ cluster }) => clusters.has(cluster));
    await raise(alertmanager, alerts);
    await waitFor("all alerts", async () => {
      const { told, muted } = await toldAndMuted(alertmanager);
      return of([...told, ...muted]).length === alerts.length;
    });
    return of((await toldAndMuted(alertmanager)).told);
  };

  /** An alert with every label that inhibition compares, in a cluster of its own. */
  const alert = (alertname: string, labels: Alerted): Alerted => ({
    instance: "a",
    host: "box",
    ...labels,
    alertname,
  });

  test("of all that fires at the end of an episode the cause alone is told", async () => {
    const reference = site("reference");
    const episodes = EPISODES.filter(({ told }) => told !== undefined);
    const found = await firingAt({
      groups: rulesFor(reference).filter(({ name }) => name !== "registry-hosts"),
      // Only the end matters.
      runs: episodes.map(({ minutes, ...episode }) => ({
        series: simulate(reference, { ...episode, minutes, step: STEP }),
        minutes,
      })),
      step: STEP,
      when: "at the end",
    });
    const told: [string, string[]][] = [];
    for (const [index, { what }] of episodes.entries()) {
      const [alerts = []] = found[index]?.values() ?? [];
      // Each in its own cluster, so that one episode's cause does not inhibit another's alerts.
      const pages = await toldOf(alerts.map((each) => ({ ...each, cluster: `episode-${index}` })));
      told.push([what, pages.map(alertName).sort()]);
    }
    expect(told).toEqual(episodes.map(({ what, told = [] }) => [what, [...told].sort()]));
  });

  /** The labels that identify a common cause. */
  const SAME = { registry: ["cluster", "instance"], host: ["cluster", "host"], everything: ["cluster"] };

  const isMutedBy = (effect: Alerted, other: Alerted): boolean =>
    CAUSES.some(
      ({ cause, effects, same }) =>
        other.alertname === cause &&
        effects.includes(effect.alertname ?? "") &&
        SAME[same].every((label) => effect[label] === other[label]),
    );

  test.each(CAUSES.map(({ cause, effects, same }) => [cause, same, effects] as const))(
    "%s mutes what follows from it, known by the same %s, and nothing besides",
    async (cause, same, effects) => {
      const cluster = `${cause}-${same}-${effects[0]}`;
      const own = { registry: { instance: "a" }, host: { host: "box" }, everything: {} }[same];
      const muted = effects.map((effect) => alert(effect, { instance: "another", host: "another", cluster, ...own }));
      const others: readonly Alerted[] = [
        { cluster: `${cluster}-other` },
        ...(same === "registry" ? [{ cluster, instance: "b" }] : []),
        ...(same === "host" ? [{ cluster, host: "other" }] : []),
      ];
      const kept = others.flatMap((labels) => effects.map((effect) => alert(effect, labels)));
      const all = [alert(cause, { cluster }), ...muted, ...kept];
      const expected = all.filter((each) => !all.some((other) => isMutedBy(each, other)));
      expect(expected).not.toEqual(expect.arrayContaining(muted.slice(0, 1)));
      const byText = (alerts: readonly Alerted[]) =>
        alerts.map((each) => JSON.stringify(Object.entries(each).sort())).sort();
      expect(byText(await toldOf(all))).toEqual(byText(expected));
    },
  );
});
