import { readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { integrityDashboard, type Panel } from "../../monitoring/dashboard";
import { dashboardPage, type QueryResults } from "./grafana";

const RANGE = { from: 1_700_000_000, to: 1_700_000_060 };
const dashboard = integrityDashboard();

const answer =
  (value: number) =>
  (panel: Panel): QueryResults =>
    new Map(
      (panel.targets ?? []).map(({ refId }) => [
        refId,
        [
          {
            labels: { instance: 'a<b>"' },
            values: [
              [RANGE.from, value],
              [RANGE.to, value],
            ],
          },
        ],
      ]),
    );

it("draws every panel of the dashboard, and what it does not know stops it", () => {
  const { html } = dashboardPage(dashboard, answer(1), RANGE);
  for (const { title } of dashboard.panels) expect(html).toContain(title);
  expect(html).not.toContain("No data");
  expect(html).not.toContain("NaN");
  expect(html).toContain("a&lt;b&gt;&quot;");
  const [first, ...others] = dashboard.panels as [Panel, ...Panel[]];
  expect(() =>
    dashboardPage({ ...dashboard, panels: [{ ...first, type: "gauge" as never }, ...others] }, answer(1), RANGE),
  ).toThrow("of type gauge: not drawn yet");
});

it("shows words and colours as the panel says", () => {
  const [intact] = dashboard.panels as [Panel];
  const drawn = (value: number) => dashboardPage({ ...dashboard, panels: [intact] }, answer(value), RANGE).html;
  expect(drawn(0)).toContain("<b>intact</b>");
  expect(drawn(2)).toContain("<b>2</b>");
  const colour = (html: string) => /class="tile" style="background:(#\w+)"/.exec(html)?.[1];
  expect(colour(drawn(0))).not.toBe(colour(drawn(2)));
});

it("paints as Grafana does where a panel has no thresholds: red from 80 on", () => {
  const [intact] = dashboard.panels as [Panel];
  const bare = { ...intact, fieldConfig: { defaults: {}, overrides: [] } } as unknown as Panel;
  const colour = (value: number): string | undefined =>
    /class="tile" style="background:(#\w+)"/.exec(
      dashboardPage({ ...dashboard, panels: [bare] }, answer(value), RANGE).html,
    )?.[1];
  expect(colour(-1)).toBe(colour(79));
  expect(colour(80)).not.toBe(colour(79));
  expect(colour(80)).toBe("#b3261e");
});

it("says that there is nothing where a query found nothing", () => {
  const { html } = dashboardPage(dashboard, () => new Map(), RANGE);
  expect(html.match(/No data/g)).toHaveLength(dashboard.panels.length);
});

const PICTURES = resolve(__dirname, "../../docs/pictures");

it.each(readdirSync(PICTURES))("%s is small enough for a repository", (name) => {
  expect(statSync(join(PICTURES, name)).size).toBeLessThan(200 * 1024);
});
