import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { stringify } from "yaml";
import type { RuleGroup } from "../../monitoring/alert";
import { rulesFile } from "../../monitoring/rules-file";
import { minutesBelow, type Series } from "../monitoring/simulation";
import { required } from "./components";

const run = promisify(execFile);

/**
 * A fifth of the processor time of the whole lab is promtool's, and a sixth of that its garbage collector's: it may take four
 * times the memory.
 */
const ENVIRONMENT = { ...process.env, GOGC: "400" };

/** Labels of an alert, with its name. */
export type Alerted = Readonly<Record<string, string>>;

/** promtool's exit code and output. @throws for any other failure: a crash, a missing program */
export const promtool = async (...parameters: string[]): Promise<{ passed: boolean; output: string }> => {
  const [program, ...prefix] = required("promtool").command;
  try {
    const { stdout, stderr } = await run(program as string, [...prefix, ...parameters], {
      maxBuffer: 1e9,
      env: ENVIRONMENT,
    });
    return { passed: true, output: stdout + stderr };
  } catch (error) {
    const { stdout, stderr, code } = error as { stdout: string; stderr: string; code: unknown };
    if (code !== 1) throw error;
    return { passed: false, output: stdout + stderr };
  }
};

/** What Prometheus scrapes during some time, from its beginning. */
export interface PromtoolRun {
  readonly series: readonly Series[];
  /** Its duration. */
  readonly minutes: number;
}

export interface Evaluation {
  readonly groups: readonly RuleGroup[];
  readonly runs: readonly PromtoolRun[];
  /** Minutes between two samples. @default 1 */
  readonly step?: number;
  /** Minutes between two evaluations, a multiple of the former. @default the same */
  readonly every?: number;
  /** The evaluations for which the firing alerts are returned. @default "each" */
  readonly when?: "each" | "at the end";
}

const inFolder = async <T>(work: (folder: string) => Promise<T>): Promise<T> => {
  const folder = mkdtempSync(join(tmpdir(), "promtool-"));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
};

const minutesOf = (duration: string): number =>
  [...duration.matchAll(/(\d+)(ms|[wdhms])/g)].reduce(
    (sum, [, count, unit]) =>
      sum + Number(count) * { w: 10_080, d: 1440, h: 60, m: 1, s: 1 / 60, ms: 1 / 60_000 }[unit as "d"],
    0,
  );

/** Labels as printed by Prometheus. */
const labelsIn = (text: string): Alerted =>
  Object.fromEntries(
    [...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, value]) => [label, JSON.parse(`"${value}"`)]),
  );

/**
 * Which alerts fire at each evaluation of each run, from a single promtool for all of them. promtool can only compare with
 * expectations, so none are given, and its error message is parsed: the query says which run it is about.
 */
export const firingAt = ({
  groups,
  runs,
  step = 1,
  every = step,
  when = "each",
}: Evaluation): Promise<Map<number, Alerted[]>[]> =>
  inFolder(async (folder) => {
    const rules = join(folder, "rules.yaml");
    writeFileSync(rules, rulesFile(groups));
    const file = join(folder, "tests.yaml");
    const asked = (minutes: number) => minutesBelow(minutes, every).slice(when === "each" ? 0 : -1);
    const tests = runs.map(({ series, minutes }, run) => ({
      interval: `${step}m`,
      input_series: series,
      promql_expr_test: asked(minutes).map((minute) => ({
        expr: `ALERTS{alertstate="firing",run!="${run}"}`,
        eval_time: `${minute}m`,
        exp_samples: [],
      })),
    }));
    writeFileSync(file, stringify({ rule_files: [rules], evaluation_interval: `${every}m`, tests }, { lineWidth: 0 }));
    const { output } = await promtool("test", "rules", file);
    const found = runs.map(({ minutes }) => new Map<number, Alerted[]>(asked(minutes).map((at) => [at, []])));
    const complaints = [...output.matchAll(/run!=\\"(\d+)\\"}", time: (\S+),\s*\n\s*exp:.*\n\s*got:(.*)/g)];
    if (output.includes("FAILED") && complaints.length === 0) throw new Error(output);
    for (const [, run, time = "", got = ""] of complaints)
      found[Number(run)]?.set(
        Math.round(minutesOf(time)),
        [...got.matchAll(/\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\}/g)].map(([, labels = ""]) => labelsIn(labels)),
      );
    return found;
  });

/** An alert at a minute of a run of its own. */
export interface Telling extends PromtoolRun {
  readonly alertname: string;
}

/**
 * What each alert says at the last minute of its run, as rendered by Prometheus: its annotations, by alert, in the order of
 * promtool's output.
 *
 * @param step minutes between two samples, and between two evaluations
 */
export const toldAt = (
  groups: readonly RuleGroup[],
  tellings: readonly Telling[],
  step: number,
): Promise<Alerted[][]> =>
  inFolder(async (folder) => {
    const rules = join(folder, "rules.yaml");
    writeFileSync(rules, rulesFile(groups));
    const file = join(folder, "tests.yaml");
    const tests = tellings.map(({ alertname, series, minutes }, index) => ({
      name: `telling ${index}`,
      interval: `${step}m`,
      input_series: series,
      alert_rule_test: [{ eval_time: `${minutes - step}m`, alertname, exp_alerts: [] }],
    }));
    writeFileSync(file, stringify({ rule_files: [rules], evaluation_interval: `${step}m`, tests }, { lineWidth: 0 }));
    const { output } = await promtool("test", "rules", file);
    const complaints = output.split(/^ *name: telling (?=\d+,)/m).slice(1);
    return tellings.map((_, index) => {
      const complaint = complaints.find((text) => text.startsWith(`${index},`)) ?? "";
      return [...complaint.matchAll(/Annotations:(\{.*\})/g)].map(([, annotations = ""]) => labelsIn(annotations));
    });
  });
