import { rulesFor } from "../../monitoring/rules";
import { type FirstFiring, firstFiringOf } from "../monitoring/episodes";
import { simulate } from "../monitoring/simulation";
import { site } from "../monitoring/synthesise";
import { WORDS } from "../monitoring/words";
import { describeWith } from "./components";
import { toldAt } from "./promtool";

// The machine may be busy with other tests.
jest.setTimeout(300_000);

const reference = site("reference");
const groups = rulesFor(reference).filter(({ name }) => name !== "registry-hosts");

const stepOf = ({ episode: { step = 1, every = step } }: FirstFiring): number => Math.min(step, every);

describeWith(["promtool"], "what an alert says", () => {
  test.concurrent.each(groups.map((group) => [group.name, group] as const))(
    "%s: word for word, with what was reported",
    async (_, group) => {
      const told: Record<string, string[]> = {};
      const all = [...new Set(group.rules.map(({ alert }) => alert))].map(firstFiringOf);
      for (const step of new Set(all.map(stepOf))) {
        const some = all.filter((way) => stepOf(way) === step);
        const found = await toldAt(
          [group],
          some.map(({ alertname, episode, minute }) => ({
            alertname,
            series: simulate(reference, { ...episode, minutes: minute + 2 * step }),
            minutes: minute + 2 * step,
          })),
          step,
        );
        for (const [index, { alertname }] of some.entries())
          told[alertname] = (found[index] ?? []).map(({ description = "" }) => description).sort();
      }
      expect(told).toEqual(Object.fromEntries(all.map(({ alertname }) => [alertname, WORDS[alertname]])));
    },
  );
});
