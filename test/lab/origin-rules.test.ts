import fc from "fast-check";
import { rulesFor } from "../../monitoring/rules";
import { ORIGIN } from "../monitoring/origin";
import { type Event, type SimulationOptions, simulate } from "../monitoring/simulation";
import { site } from "../monitoring/synthesise";
import { PRIVATE_REGISTRY } from "../sites";
import { describeWith } from "./components";
import { type Alerted, firingAt } from "./promtool";

// The machine may be busy with other tests.
jest.setTimeout(600_000);

const MINUTES = 5 * 60;
/** How many runs a single promtool evaluates. */
const TOGETHER = 8;

const lasting = (most: number) =>
  fc
    .tuple(fc.nat(MINUTES - 1), fc.integer({ min: 1, max: most }))
    .map(([from, minutes]) => ({ from, to: from + minutes }));
const during = lasting(150);
const shortly = lasting(5);
const instance = fc.constant(PRIVATE_REGISTRY);
const every = fc.integer({ min: 1, max: 4 });
const yes = fc.constant(true as const);

const event = fc
  .oneof(
    fc.record({ kind: fc.constant("damage" as const), instance, during, every }),
    fc.record({ kind: fc.constant("registry down" as const), instance, during, every }),
    fc.record({ kind: fc.constant("walk stuck" as const), instance, during, every }),
    fc.record({ kind: fc.constant("probe down" as const), instance, during }),
    fc.record({ kind: fc.constant("probe down" as const), instance, during, shard: fc.nat(2) }),
    fc.record({ kind: fc.constant("pod late" as const), instance, during, minutes: fc.integer({ min: 1, max: 9 }) }),
    fc.record({ kind: fc.constant("slow" as const), instance, during, minutes: fc.integer({ min: 2, max: 12 }) }),
    fc.record({
      kind: fc.constant("clock skew" as const),
      instance,
      during,
      seconds: fc.integer({ min: -300, max: 300 }),
    }),
    fc.record({ kind: fc.constant("pushgateway down" as const), during }),
    fc.record({ kind: fc.constant("pushgateway down" as const), during, persists: yes }),
    fc.record({ kind: fc.constant("pushgateway down" as const), during: shortly, newPod: yes }),
    fc.record({ kind: fc.constant("scrape gap" as const), during }),
  )
  .map(({ during, ...what }): Event => ({ ...what, ...during }));

const life: fc.Arbitrary<SimulationOptions> = fc
  .array(event, { minLength: 1, maxLength: 5 })
  .map((events) => ({ minutes: MINUTES, events }));

/** Fires for sure: chance alone may choose nothing that does. */
const DAMAGED: SimulationOptions = {
  minutes: MINUTES,
  events: [{ kind: "damage", instance: PRIVATE_REGISTRY, from: 0, to: MINUTES, every: 1 }],
};

const lives = fc
  .array(life, { minLength: TOGETHER - 1, maxLength: TOGETHER - 1 })
  .map((random) => [DAMAGED, ...random]);

/** The names of the firing alerts that begin with this prefix, without it. */
const named = (alerts: readonly Alerted[], prefix: string): Set<string> =>
  new Set(
    alerts.flatMap(({ alertname = "" }) => (alertname.startsWith(prefix) ? [alertname.slice(prefix.length)] : [])),
  );

describeWith(["promtool"], "the three alerts of the origin, whatever happens", () => {
  test.concurrent.each([1, 3])("fire no earlier than those of the same name, with shards %d", async (shards) => {
    const given = site("reference", ({ monitoring }) => Object.assign(monitoring.probes[0], { shards }));
    const kept = ORIGIN.rules.map(({ alert }) => alert.replace("Origin", ""));
    const ours = rulesFor(given)
      .map(({ name, rules }) => ({ name, rules: rules.filter(({ alert }) => kept.includes(alert)) }))
      .filter(({ rules }) => rules.length > 0);
    let fired = 0;
    await fc.assert(
      fc.asyncProperty(lives, async (lived) => {
        const found = await firingAt({
          groups: [...ours, ORIGIN],
          runs: lived.map((each) => ({ series: simulate(given, each), minutes: MINUTES })),
        });
        for (const [index, minutes] of found.entries())
          for (const [minute, alerts] of minutes) {
            const missing = [...named(alerts, "Origin")].filter((alert) => !named(alerts, "").has(alert));
            fired += named(alerts, "Origin").size;
            if (missing.length > 0)
              throw new Error(`minute ${minute}: ${missing.join(" ")} of ${JSON.stringify(lived[index])}`);
          }
      }),
      { numRuns: 2, endOnFailure: true },
    );
    // If nothing fired, nothing was compared.
    expect(fired).toBeGreaterThan(0);
  });
});
