import { type Dashboard, integrityDashboard } from "../../monitoring/dashboard";
import { CLEAN_UP_METRICS, HOST_METRICS, MAINTENANCE_METRICS, METRICS } from "../../monitoring/metrics";
import { metricsOf, syntaxError } from "../../monitoring/promql";
import { IMAGE_STATES } from "../../registry/oci/images";

const dashboard: Dashboard = integrityDashboard();
const EXPORTED = { ...METRICS, ...MAINTENANCE_METRICS, ...CLEAN_UP_METRICS, ...HOST_METRICS };
const expressions = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));

it("asks only PromQL of metrics that are exported", () => {
  expect(expressions.length).toBeGreaterThanOrEqual(dashboard.panels.length);
  for (const expression of expressions) expect(syntaxError(expression)).toBeUndefined();
  expect(expressions.flatMap(metricsOf).filter((metric) => !(metric in EXPORTED))).toEqual([]);
});

it("shows the chosen registries only, in every panel about registries", () => {
  for (const expression of expressions.filter((each) => !metricsOf(each).some((metric) => metric in HOST_METRICS)))
    expect(expression.match(/\{instance=~"\$instance"[,}]/g)).toHaveLength(metricsOf(expression).length);
});

it("begins with whether all is intact, and explains every panel", () => {
  expect(dashboard.panels[0]).toMatchObject({ type: "stat", title: "Intact?" });
  for (const { title, description } of dashboard.panels)
    expect({ title, description }).not.toMatchObject({ description: "" });
});

it("has a row of what runs: whether it can be pulled again, and every state of its images", () => {
  const row = dashboard.panels.filter(({ targets }) =>
    targets.some(({ expr }) => /registry_(workload|clean_up)_/.test(expr)),
  );
  expect(row.map(({ title, type }) => [title, type])).toEqual([
    ["Can be pulled again?", "stat"],
    ["Is all known that runs?", "stat"],
    ["Clean-up over HTTP", "stat"],
    ["Images that run", "timeseries"],
  ]);
  expect(new Set(row.map(({ gridPos: { y } }) => y)).size).toBe(1);
  const [lost] = row.flatMap(({ targets }) => targets.map(({ expr }) => expr));
  const states = /state=~"([^"]*)"/.exec(lost ?? "")?.[1]?.split("|");
  expect(states).toEqual(["broken", "missing"]);
  for (const state of states ?? []) expect(IMAGE_STATES).toContain(state);
});

it("has a row of the maintenance", () => {
  const shown = new Set(expressions.flatMap(metricsOf).filter((metric) => metric in MAINTENANCE_METRICS));
  expect(shown.size).toBeGreaterThan(4);
  const row = dashboard.panels.filter(({ targets }) =>
    targets.some(({ expr }) => expr.includes("registry_maintenance_")),
  );
  expect(new Set(row.map(({ gridPos: { y } }) => y)).size).toBe(1);
});

it("has a row of the hosts, with everything that they report", () => {
  const row = dashboard.panels.filter(({ targets }) => targets.some(({ expr }) => expr.includes("registry_warden_")));
  expect(new Set(row.flatMap(({ targets }) => targets.flatMap(({ expr }) => metricsOf(expr))))).toEqual(
    new Set(Object.keys(HOST_METRICS)),
  );
  expect(new Set(row.map(({ gridPos: { y } }) => y)).size).toBe(1);
});

it("has room for each panel: none overlaps another, none leaves the grid", () => {
  const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`),
  );
  expect(new Set(cells).size).toBe(cells.length);
  expect(Math.max(...dashboard.panels.map(({ gridPos: { x, w } }) => x + w))).toBe(24);
  expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
});

describe("each tile", () => {
  const stats = dashboard.panels.filter(({ type }) => type === "stat");

  it("says what is known now, and says it where nothing is", () => {
    expect(stats.length).toBeGreaterThan(8);
    for (const { targets, fieldConfig } of stats) {
      for (const target of targets) expect(target).toMatchObject({ instant: true, range: false });
      expect(fieldConfig?.defaults).toMatchObject({ noValue: "no data" });
    }
  });

  it("has thresholds of its own: Grafana's are red from 80 on", () => {
    for (const { title, fieldConfig } of stats)
      expect({ title, steps: fieldConfig?.defaults?.thresholds?.steps.length }).not.toMatchObject({ steps: undefined });
  });

  it("is one for each registry, or for each of its tasks, however many shards and pods report", () => {
    for (const { targets } of stats)
      for (const { expr } of targets.filter(({ expr }) => !expr.includes("registry_warden_")))
        expect(expr).toMatch(/(min|max|sum) by \(instance(, task)?\)/);
  });
});
