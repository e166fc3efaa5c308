import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { explainedError } from "./terraform-error";

/** What a plan does, in Terraform's counts. A replacement is one to add and one to destroy. */
export interface PlanCounts {
  readonly add: number;
  readonly change: number;
  readonly destroy: number;
  readonly import: number;
}

export type PlanOutcome =
  | { readonly kind: "planned"; readonly counts: PlanCounts; readonly text: string }
  /** A provider is not available on this machine, which says nothing about the stack. */
  | { readonly kind: "unavailable"; readonly reason: string }
  | { readonly kind: "failed"; readonly reason: string; readonly text: string };

interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** An unresponsive provider registry must not delay the plans of stacks that need no provider. */
const INIT_TIMEOUT_MS = 120_000;
const PLAN_TIMEOUT_MS = 300_000;

/** The first of terraform and tofu on the PATH. */
export const findTerraform = (path: string = process.env.PATH ?? ""): string | undefined =>
  ["terraform", "tofu"]
    .flatMap((name) => path.split(delimiter).map((directory) => join(directory, name)))
    .find((candidate) => existsSync(candidate));

/**
 * The environment of every Terraform run. If TF_CLI_CONFIG_FILE names a missing file, a warning precedes every output; and
 * TF_CLI_ARGS could turn a plan into something else.
 */
export const terraformEnvironment = (environment: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv => {
  const { TF_CLI_CONFIG_FILE: configuration, TF_CLI_ARGS: _, TF_CLI_ARGS_plan: __, ...rest } = environment;
  return {
    ...rest,
    ...(configuration !== undefined && existsSync(configuration) ? { TF_CLI_CONFIG_FILE: configuration } : {}),
    CHECKPOINT_DISABLE: "1",
    TF_IN_AUTOMATION: "1",
    TF_INPUT: "0",
    TF_REGISTRY_DISCOVERY_RETRY: environment.TF_REGISTRY_DISCOVERY_RETRY ?? "0",
  };
};

/**
 * A value for each ephemeral variable of a synthesized stack that is not set in the environment. A plan requires a
 * value but does not keep it; it has to be given again for the apply.
 *
 * https://developer.hashicorp.com/terraform/language/block/variable#ephemeral
 */
export const placeholders = (directory: string, environment: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv => {
  const file = join(directory, "cdk.tf.json");
  if (!existsSync(file)) return {};
  const { variable = {} } = JSON.parse(readFileSync(file, "utf8")) as {
    variable?: Record<string, { ephemeral?: boolean; default?: unknown }>;
  };
  return Object.fromEntries(
    Object.entries(variable)
      .filter(([, { ephemeral, default: value }]) => ephemeral === true && value === undefined)
      .map(([name]) => `TF_VAR_${name}`)
      .filter((name) => environment[name] === undefined)
      .map((name) => [name, "(given when it is applied)"]),
  );
};

const run = (binary: string, directory: string, timeout: number, ...args: string[]): Promise<Finished> =>
  new Promise((resolve) => {
    const env = { ...placeholders(directory), ...terraformEnvironment() };
    execFile(
      binary,
      args,
      { cwd: directory, env, encoding: "utf8", timeout, maxBuffer: 256 * 1024 * 1024 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
        resolve({ code, stdout, stderr: error?.killed === true ? `timed out after ${timeout / 1000} s` : stderr });
      },
    );
  });

const PROVIDER_UNAVAILABLE = /Failed to (query available provider packages|install provider|resolve provider packages)/;

const NO_CHANGES: PlanCounts = { add: 0, change: 0, destroy: 0, import: 0 };

/** Parses the summary line of a plan; a plan with only output changes, or without any, has none. */
export const planCounts = (text: string): PlanCounts => {
  const line = text.match(/^Plan: (.*)\.$/m)?.[1];
  if (line === undefined) return NO_CHANGES;
  const number = (what: string): number => Number(line.match(new RegExp(`(\\d+) to ${what}`))?.[1] ?? 0);
  return { add: number("add"), change: number("change"), destroy: number("destroy"), import: number("import") };
};

/**
 * Initializes a synthesized stack and plans it. The plan is written to the file `plan` in its folder.
 *
 * @param binary terraform or tofu
 * @param directory the stack's folder of cdktf.out
 */
export const planStack = async (binary: string, directory: string): Promise<PlanOutcome> => {
  const init = await run(binary, directory, INIT_TIMEOUT_MS, "init", "-input=false", "-no-color");
  if (init.code !== 0) {
    const output = `${init.stdout}\n${init.stderr}`;
    const reason = explainedError(output);
    return PROVIDER_UNAVAILABLE.test(output) || init.stderr.startsWith("timed out")
      ? { kind: "unavailable", reason }
      : { kind: "failed", reason, text: output };
  }
  const plan = await run(binary, directory, PLAN_TIMEOUT_MS, "plan", "-input=false", "-no-color", "-out=plan");
  return plan.code === 0
    ? { kind: "planned", counts: planCounts(plan.stdout), text: plan.stdout }
    : {
        kind: "failed",
        reason: explainedError(`${plan.stdout}\n${plan.stderr}`),
        text: `${plan.stdout}\n${plan.stderr}`,
      };
};
