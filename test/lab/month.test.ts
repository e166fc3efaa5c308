import { delaysOf } from "../../handbook/delay";
import { rulesFor } from "../../monitoring/rules";
import type { Span } from "../monitoring/episodes";
import { type ExpectedAlert, eventsOf, type Happening, MINUTES, MONTHS, type Month } from "../monitoring/month";
import { simulate } from "../monitoring/simulation";
import { describeWith } from "./components";
import { type Alerted, firingAt } from "./promtool";
import { spansOf } from "./spans";

// promtool evaluates a month, and the machine may be busy with other tests.
jest.setTimeout(1_800_000);

/** Minutes between two scrapes. Prometheus forgets a sample after five. */
const STEP = 5;

/**
 * Minutes between two evaluations. Rules that look back for days are evaluated less often, so their delay is less
 * exact.
 */
const every = (group: string): number => (group === "registry-coverage" ? 30 : STEP);

const alertNameAndInstance = ({ alertname = "", what, task, instance }: Alerted): string =>
  [alertname, what, task, instance].filter((each) => each !== undefined).join(" ");

interface Fired {
  readonly name: string;
  readonly span: Span;
  /** Minutes between two evaluations. */
  readonly every: number;
}

const firedIn = async (month: Month): Promise<Fired[]> => {
  const series = simulate(month.site, { minutes: MINUTES, step: STEP, events: eventsOf(month) });
  const groups = rulesFor(month.site).filter(({ name }) => name !== "registry-hosts");
  const found = await Promise.all(
    [...new Set(groups.map(({ name }) => every(name)))].map(async (each) => {
      const some = groups.filter(({ name }) => every(name) === each);
      const [fired] = await firingAt({ groups: some, runs: [{ series, minutes: MINUTES }], step: STEP, every: each });
      return Object.entries(spansOf(fired ?? new Map(), each, alertNameAndInstance)).flatMap(([name, spans]) =>
        spans.map((span): Fired => ({ name, span, every: each })),
      );
    }),
  );
  return found.flat().sort((a, b) => a.span[0] - b.span[0]);
};

interface Promised extends ExpectedAlert {
  readonly name: string;
  readonly happening: Happening;
  readonly from: number;
  readonly until: number;
  /** Minutes. */
  readonly within: number;
}

const promisedIn = ({ site, happenings }: Month): Promised[] => {
  const delays = new Map(delaysOf(site).map(({ alert, atMost }) => [alert, atMost / 60]));
  return happenings.flatMap((happening) =>
    Object.entries(happening.fires).map(([name, expected]) => ({
      because: expected.because,
      name,
      happening,
      from: expected.from ?? happening.from,
      until: expected.until ?? happening.to + 120,
      within: delays.get(name.split(" ")[0] ?? "") ?? Number.NaN,
    })),
  );
};

const DAY = 24 * 60;
const pad = (count: number): string => String(count).padStart(2, "0");
const clock = (minute: number): string =>
  `day ${pad(Math.floor(minute / DAY) + 1)} ${pad(Math.floor((minute % DAY) / 60))}:${pad(minute % 60)}`;

/** What happened, and which alert fired when and why. */
const table = ({ title, happenings }: Month, promised: readonly Promised[], fired: readonly Fired[]): string => {
  const rows = [...happenings]
    .sort((a, b) => a.from - b.from)
    .flatMap((happening) => {
      const told = promised.filter((each) => each.happening === happening);
      return [
        `${clock(happening.from)}  ${happening.what}${told.length === 0 ? ": nobody is told" : ""}`,
        ...told.flatMap(({ name, from, until, within, because }) =>
          fired
            .filter((each) => each.name === name && each.span[0] >= from && each.span[0] <= until)
            .map(
              ({ span }) =>
                `  ${clock(span[0])}  ${name}: after ${span[0] - from} of ${within} minutes, until ${clock(span[1])}, because ${because}`,
            ),
        ),
      ];
    });
  return [title, ...rows, ""].join("\n");
};

describeWith(["promtool"], "a month", () => {
  test.concurrent.each(MONTHS.map((month) => [month.title, month] as const))(
    "of %s: every alert has its reason, every failure is found in time",
    async (_, month) => {
      const promised = promisedIn(month);
      const fired = await firedIn(month);
      process.stdout.write(table(month, promised, fired));
      const belongs = ({ name, span }: Fired, each: Promised) =>
        each.name === name && span[0] >= each.from && span[1] <= each.until;
      expect(
        fired
          .filter((each) => !promised.some((expected) => belongs(each, expected)))
          .map(({ name, span }) => `${name} from ${clock(span[0])} until ${clock(span[1])} without a reason`),
      ).toEqual([]);
      expect(
        promised
          .map((expected) => ({ expected, spans: fired.filter((each) => belongs(each, expected)) }))
          // Give or take a scrape and an evaluation; once, and without a gap.
          .filter(
            ({ expected: { from, within }, spans }) =>
              spans.length !== 1 || !spans.every((each) => each.span[0] - from <= within + STEP + each.every),
          )
          .map(
            ({ expected: { name, happening, within }, spans }) =>
              `${name} of ${happening.what}, promised within ${within} minutes: ${spans.map(({ span }) => span.map(clock).join(" until ")).join("; ")}`,
          ),
      ).toEqual([]);
    },
  );

  test("has every alert about registries", () => {
    const expected = MONTHS.flatMap(promisedIn).map(({ name }) => name.split(" ")[0]);
    const known = MONTHS.flatMap(({ site }) => rulesFor(site))
      .filter(({ name }) => name !== "registry-hosts")
      .flatMap(({ rules }) => rules.map(({ alert }) => alert));
    expect([...new Set(known)].filter((alert) => !expected.includes(alert))).toEqual([]);
  });
});
