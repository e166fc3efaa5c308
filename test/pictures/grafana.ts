import type { Dashboard, Panel } from "../../monitoring/dashboard";
import { markup } from "../../text/markup";
import type { Json } from "../monitoring/synthesise";

/** One series of an answer: its labels, and values by time (seconds since 1970). */
export interface DrawnSeries {
  readonly labels: Readonly<Record<string, string>>;
  readonly values: readonly (readonly [time: number, value: number])[];
}

/** The results of a panel's queries, by refId. */
export type QueryResults = ReadonlyMap<string, readonly DrawnSeries[]>;

export interface Range {
  readonly from: number;
  readonly to: number;
}

/** Pixels: Grafana's row of the grid, and the space between panels. */
const ROW = 30;
const GAP = 8;
const COLUMNS = 24;
const WIDTH = 1240;

const PALETTE = ["#73bf69", "#f2cc0c", "#8ab8ff", "#ff9830", "#f2495c", "#b877d9", "#5794f2", "#fade2a", "#96d98d"];
const COLOURS: Record<string, string> = { green: "#2f7d32", orange: "#c26a00", red: "#b3261e", blue: "#1f60c4" };
/** Grafana's default thresholds. https://grafana.com/docs/grafana/latest/panels-visualizations/configure-thresholds/ */
const DEFAULT_STEPS = [
  { color: "green", value: null },
  { color: "red", value: 80 },
];

const rounded = (value: number): string => String(Number(value.toPrecision(3)));

const scaled = (value: number, steps: readonly (readonly [size: number, unit: string])[]): string => {
  const [size, unit] = steps.findLast(([least]) => Math.abs(value) >= least) ?? steps[0] ?? [1, ""];
  return `${rounded(value / size)}${unit}`;
};

const FORMATS: Record<string, (value: number) => string> = {
  none: rounded,
  short: (value) =>
    scaled(value, [
      [1, ""],
      [1e3, " K"],
      [1e6, " Mil"],
    ]),
  s: (value) =>
    scaled(value, [
      [1e-3, " ms"],
      [1, " s"],
      [60, " mins"],
      [3600, " hours"],
      [86_400, " days"],
      [604_800, " weeks"],
    ]),
  reqps: (value) => `${rounded(value)} req/s`,
  bytes: (value) =>
    scaled(value, [
      [1, " B"],
      [2 ** 10, " KiB"],
      [2 ** 20, " MiB"],
      [2 ** 30, " GiB"],
      [2 ** 40, " TiB"],
    ]),
  percentunit: (value) => `${rounded(100 * value)}%`,
  dateTimeFromNow: (value) => FORMATS.s?.(Date.now() / 1000 - value / 1000).concat(" ago") ?? "",
};

const formatOf = (unit: string): ((value: number) => string) => {
  const format = FORMATS[unit];
  if (format === undefined) throw new Error(`unit ${unit}: not drawn yet; add it to test/pictures/grafana.ts`);
  return format;
};

const defaultsOf = (panel: Panel): Json => (panel as Json).fieldConfig?.defaults ?? {};

const textOf = (panel: Panel, value: number): string => {
  const { mappings = [], unit = "none" } = defaultsOf(panel);
  const mapped = mappings.find((each: Json) => each.type === "value")?.options[String(value)]?.text;
  return mapped ?? formatOf(unit)(value);
};

const colourOf = (panel: Panel, value: number): string => {
  const steps: Json[] = defaultsOf(panel).thresholds?.steps ?? DEFAULT_STEPS;
  // The first step is the base, whatever its value.
  const step = steps.findLast((each, index) => index === 0 || value >= each.value);
  return COLOURS[step.color] ?? step.color;
};

const legendOf = (format: string, { labels }: DrawnSeries): string =>
  format.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, name: string) => labels[name] ?? "");

/** Every series of a panel with its name, in the order of the queries. */
const named = (panel: Panel, answers: QueryResults): { name: string; series: DrawnSeries }[] =>
  panel.targets.flatMap(({ refId, legendFormat }) =>
    (answers.get(refId) ?? []).map((series) => ({ name: legendOf(legendFormat, series), series })),
  );

const NO_DATA = '<div class="empty">No data</div>';

const stat = (panel: Panel, answers: QueryResults): string => {
  const values = named(panel, answers).flatMap(({ name, series }) => {
    const last = series.values.at(-1)?.[1];
    return last === undefined ? [] : [{ name, last }];
  });
  if (values.length === 0) return NO_DATA;
  const tiles = values.map(
    ({ name, last }) =>
      `<div class="tile" style="background:${colourOf(panel, last)}"><span>${markup(name)}</span><b>${markup(textOf(panel, last))}</b></div>`,
  );
  return `<div class="tiles">${tiles.join("")}</div>`;
};

/** Round numbers on an axis up to the largest value. */
const ticks = (largest: number): number[] => {
  const raw = largest / 4 || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5, 10].find((each) => each * power >= raw) ?? 10);
  return Array.from({ length: Math.ceil(largest / step) + 1 }, (_, at) => at * step);
};

const clock = (time: number): string => new Date(time * 1000).toISOString().slice(11, 19);

const timeseries = (
  panel: Panel,
  answers: QueryResults,
  { from, to }: Range,
  width: number,
  height: number,
): string => {
  const all = named(panel, answers);
  if (all.length === 0) return NO_DATA;
  const format = formatOf(defaultsOf(panel).unit ?? "none");
  const marks = ticks(Math.max(...all.flatMap(({ series }) => series.values.map(([, value]) => value)), 1e-9));
  const top = marks.at(-1) ?? 1;
  const [left, bottom, right] = [58, 20, 8];
  const x = (time: number): number => left + ((time - from) / (to - from)) * (width - left - right);
  const y = (value: number): number => 6 + (1 - value / top) * (height - bottom - 6);
  const lines = all.map(({ series }, at) => {
    // A sample is valid until the next one; after three scrapes without a sample there is a gap.
    let path = "";
    let before = Number.NEGATIVE_INFINITY;
    for (const [time, value] of series.values) {
      path += `${time - before > 3 ? "M" : "L"}${x(time).toFixed(1)} ${y(value).toFixed(1)}`;
      before = time;
    }
    return `<path d="${path}" fill="none" stroke="${PALETTE[at % PALETTE.length]}" stroke-width="1.6"/>`;
  });
  const horizontal = marks.map(
    (mark) =>
      `<line x1="${left}" x2="${width - right}" y1="${y(mark)}" y2="${y(mark)}"/><text x="${left - 6}" y="${y(mark) + 4}" text-anchor="end">${format(mark)}</text>`,
  );
  const times = [1, 2, 3, 4].map((part) => from + ((to - from) * part) / 5);
  const vertical = times.map(
    (time) =>
      `<line x1="${x(time)}" x2="${x(time)}" y1="6" y2="${height - bottom}"/><text x="${x(time)}" y="${height - 4}" text-anchor="middle">${clock(time)}</text>`,
  );
  const legend = all.map(
    ({ name }, at) => `<span><i style="background:${PALETTE[at % PALETTE.length]}"></i>${markup(name)}</span>`,
  );
  return `<svg width="${width}" height="${height}">${[...horizontal, ...vertical, ...lines].join("")}</svg><div class="legend">${legend.join("")}</div>`;
};

/** The instant queries of a panel side by side: a row for each set of labels, a column for each query. */
const grid = (panel: Panel, answers: QueryResults): string => {
  const rows = new Map<string, Map<string, string>>();
  const organize = (panel as Json).transformations?.find((each: Json) => each.id === "organize")?.options ?? {};
  const excluded = new Set(Object.keys(organize.excludeByName ?? {}).filter((name) => organize.excludeByName[name]));
  const columns: string[] = [];
  const column = (name: string): string => {
    const title = organize.renameByName?.[name] ?? name;
    if (!columns.includes(title)) columns.push(title);
    return title;
  };
  const unitOf = (name: string): string => {
    const override = (panel as Json).fieldConfig?.overrides?.find((each: Json) => each.matcher.options === name);
    return override?.properties.find((each: Json) => each.id === "unit")?.value ?? defaultsOf(panel).unit ?? "none";
  };
  for (const { refId } of panel.targets) {
    for (const { labels, values } of answers.get(refId) ?? []) {
      const shown = Object.entries(labels).filter(([name]) => name !== "__name__" && !excluded.has(name));
      const key = JSON.stringify(shown);
      const row = rows.get(key) ?? new Map(shown.map(([name, value]) => [column(name), value]));
      const title = column(panel.targets.length === 1 ? "Value" : `Value #${refId}`);
      row.set(title, formatOf(unitOf(title))(values.at(-1)?.[1] ?? Number.NaN));
      rows.set(key, row);
    }
  }
  if (rows.size === 0) return NO_DATA;
  const body = [...rows.values()].map((row) =>
    columns.map((name) => `<td>${markup(row.get(name) ?? "")}</td>`).join(""),
  );
  return `<table><tr>${columns.map((name) => `<th>${markup(name)}</th>`).join("")}</tr>${body.map((cells) => `<tr>${cells}</tr>`).join("")}</table>`;
};

const content = (panel: Panel, answers: QueryResults, range: Range, width: number, height: number): string => {
  const { type } = panel as { type: string };
  switch (type) {
    case "stat":
      return stat(panel, answers);
    case "timeseries":
      return timeseries(panel, answers, range, width - 20, height - 72);
    case "table":
      return grid(panel, answers);
    default:
      throw new Error(`panel ${panel.title} of type ${type}: not drawn yet; add it to test/pictures/grafana.ts`);
  }
};

const STYLE = `
  body { margin: 0; background: #111217; color: #ccccdc; font: 12px "DejaVu Sans", sans-serif; }
  h1 { font-size: 17px; margin: 14px 16px 4px; font-weight: 500; } h1 small { font-size: 12px; color: #9d9fae; margin-left: 12px; }
  .dashboard { position: relative; margin: 8px; }
  .panel { position: absolute; box-sizing: border-box; background: #181b1f; border: 1px solid #2c2f36; border-radius: 3px; padding: 6px 8px; overflow: hidden; }
  .row { position: absolute; font-size: 15px; font-weight: 500; line-height: 30px; padding-left: 8px; }
  h2 { font-size: 13px; margin: 0 0 4px; font-weight: 500; }
  .tiles { display: flex; flex-direction: column; gap: 4px; height: calc(100% - 22px); }
  .tile { flex: 1; border-radius: 3px; display: flex; flex-direction: column; justify-content: center; align-items: center; color: #fff; gap: 3px; }
  .tile span { font-size: 11px; } .tile b { font-size: 20px; font-weight: 600; }
  svg line { stroke: #2c2f36; } svg text { fill: #9d9fae; font-size: 10.5px; }
  .legend span { margin-right: 12px; font-size: 11px; white-space: nowrap; } .legend { overflow: hidden; height: 30px; line-height: 15px; }
  .legend i { display: inline-block; width: 12px; height: 3px; margin-right: 5px; vertical-align: middle; }
  .empty { color: #9d9fae; text-align: center; padding-top: 30px; }
  table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: 5px 8px; border-bottom: 1px solid #2c2f36; font-weight: 400; } th { color: #8ab8ff; }`;

export interface Page {
  readonly html: string;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
}

/**
 * A page that shows a dashboard with Grafana's layout: the panels in its JSON on the grid of 24 columns, with the
 * results of their queries. It does not use Grafana.
 *
 * @param answer returns the results of a panel's queries
 */
export const dashboardPage = (dashboard: Dashboard, answer: (panel: Panel) => QueryResults, range: Range): Page => {
  const unit = (WIDTH - 2 * GAP) / COLUMNS;
  const heightOf = (rows: number): number => rows * (ROW + GAP) - GAP;
  const panels = dashboard.panels.map((panel) => {
    const { x, y, w, h } = panel.gridPos;
    const [width, height] = [w * unit - GAP, heightOf(h)];
    const place = `left:${x * unit}px;top:${y * (ROW + GAP)}px;width:${width}px;height:${height}px`;
    if ((panel.type as string) === "row") return `<div class="row" style="${place}">${markup(panel.title)}</div>`;
    return `<div class="panel" style="${place}"><h2>${markup(panel.title)}</h2>${content(panel, answer(panel), range, width, height)}</div>`;
  });
  const rows = Math.max(...dashboard.panels.map(({ gridPos: { y, h } }) => y + h));
  return {
    html: `<style>${STYLE}</style><h1>${markup(dashboard.title)}<small>${clock(range.from)} to ${clock(range.to)}</small></h1><div class="dashboard">${panels.join("")}</div>`,
    width: WIDTH,
    height: heightOf(rows) + 60,
  };
};
