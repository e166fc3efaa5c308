import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { stringify } from "yaml";
import type { RuleGroup } from "../../monitoring/alert";
import { rulesFile } from "../../monitoring/rules-file";
import type { Series } from "../monitoring/simulation";
import { required } from "./components";

const run = promisify(execFile);

/** Labels of an alert, with its name. */
export type Alerted = Readonly<Record<string, string>>;

/** promtool's exit code and what it said. @throws for any other failure: a crash, a missing program */
export const promtool = async (...parameters: string[]): Promise<{ passed: boolean; output: string }> => {
  const [program, ...prefix] = required("promtool").command;
  try {
    const { stdout, stderr } = await run(program as string, [...prefix, ...parameters], { maxBuffer: 1e9 });
    return { passed: true, output: stdout + stderr };
  } catch (error) {
    const { stdout, stderr, code } = error as { stdout: string; stderr: string; code: unknown };
    if (code !== 1) throw error;
    return { passed: false, output: stdout + stderr };
  }
};

export interface Evaluation {
  readonly groups: readonly RuleGroup[];
  readonly series: readonly Series[];
  /** Minutes at which it is asked what fires. */
  readonly at: readonly number[];
  /** Minutes between two evaluations. @default 1 */
  readonly step?: number;
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

/**
 * Which alerts fire at each of some minutes, by promtool. It only compares with what is expected, so nothing is expected,
 * and its complaint is read.
 */
export const firingAt = ({ groups, series, at, step = 1 }: Evaluation): Promise<Map<number, Alerted[]>> =>
  inFolder(async (folder) => {
    const rules = join(folder, "rules.yaml");
    writeFileSync(rules, rulesFile(groups));
    const tests = join(folder, "tests.yaml");
    writeFileSync(
      tests,
      stringify(
        {
          rule_files: [rules],
          evaluation_interval: `${step}m`,
          tests: [
            {
              interval: `${step}m`,
              input_series: series,
              promql_expr_test: at.map((minute) => ({
                expr: 'ALERTS{alertstate="firing"}',
                eval_time: `${minute}m`,
                exp_samples: [],
              })),
            },
          ],
        },
        { lineWidth: 0 },
      ),
    );
    const { output } = await promtool("test", "rules", tests);
    const found = new Map<number, Alerted[]>(at.map((minute) => [minute, []]));
    const complaints = [...output.matchAll(/time: (\S+),\s*\n\s*exp:.*\n\s*got:(.*)/g)];
    if (output.includes("FAILED") && complaints.length === 0) throw new Error(output);
    for (const [, time = "", got = ""] of complaints) {
      const alerts = [...got.matchAll(/\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\}/g)].map(([, labels = ""]) =>
        Object.fromEntries(
          [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, value]) => [
            label,
            JSON.parse(`"${value}"`),
          ]),
        ),
      );
      found.set(Math.round(minutesOf(time)), alerts);
    }
    return found;
  });
