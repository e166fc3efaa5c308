import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { promisify } from "node:util";
import { Command, InvalidArgumentError, Option } from "commander";
import { comment, type UnreviewedStack } from "../review/comment";
import { compareStacks, constructPaths } from "../review/comparison";
import { type OutputStack, readOutput } from "../review/output";
import { PlanError, type PlanJson, parsePlan } from "../review/plan";
import { redactor } from "../review/redaction";
import { isFirst, reviewStacks, type StackInput } from "../review/review";
import { findTerraform, planStack, terraformEnvironment } from "../review/terraform";
import { printText } from "./output";

interface PlanReportOptions {
  output: string;
  base?: string;
  commit?: string;
}

const run = promisify(execFile);

/** Names of environment variables that hold a secret, whose value must not be shown. */
const SECRET_VARIABLE = /^TF_VAR_|PASS|SECRET|TOKEN|CREDENTIAL|PRIVATE|_KEY$/i;

const secretsOfEnvironment = (environment: NodeJS.ProcessEnv): string[] =>
  Object.entries(environment).flatMap(([name, value]) => (value && SECRET_VARIABLE.test(name) ? [value] : []));

/** The checkout's commit; undefined if there is none. */
const headCommit = (): Promise<string | undefined> =>
  run("git", ["rev-parse", "--verify", "HEAD"]).then(
    ({ stdout }) => stdout.trim(),
    () => undefined,
  );

const readPlan = (file: string): PlanJson => {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? "unknown";
    throw new PlanError(`${file} cannot be read (${why})`, 'write it with "terraform show -json plan"');
  }
  return parsePlan(text, file);
};

/** `cdktf.out/stacks/dns/plan.json` and `dns.json` are plans of the dns stack. */
const stackOf = (file: string): string => {
  const name = basename(file, ".json");
  return name === "plan" ? basename(dirname(resolve(file))) : name;
};

type Planned = { readonly plan: PlanJson } | { readonly reason: string };

const planOf = async (terraform: string | undefined, { stack, directory }: OutputStack): Promise<Planned> => {
  if (terraform === undefined) return { reason: "there is no terraform or tofu on the PATH" };
  const outcome = await planStack(terraform, directory);
  if (outcome.kind !== "planned") return { reason: outcome.reason };
  const { stdout } = await run(terraform, ["show", "-json", "plan"], {
    cwd: directory,
    env: terraformEnvironment(),
    maxBuffer: 256 * 1024 * 1024,
  });
  return { plan: parsePlan(stdout, `the plan of ${stack}`) };
};

/** The plans in files. Construct paths come from the output, if it exists. */
const fromFiles = (files: readonly string[], output: string): StackInput[] => {
  let stacks: OutputStack[] = [];
  try {
    stacks = readOutput(output);
  } catch {
    // Plans from another machine come without an output: addresses have to suffice.
  }
  return files.map((file) => {
    const stack = stackOf(file);
    const synthesised = stacks.find((each) => each.stack === stack)?.synthesised ?? {};
    return { stack, plan: readPlan(file), constructs: constructPaths(synthesised), compared: undefined };
  });
};

/** The changes of each stack in the output: from a plan or, if that needs an unavailable state, by comparison. */
const fromOutput = async (
  output: string,
  base: string | undefined,
): Promise<{ inputs: StackInput[]; unreviewed: UnreviewedStack[] }> => {
  const terraform = findTerraform();
  const stacks = readOutput(output);
  const before = base === undefined ? undefined : readOutput(base);
  const planned = await Promise.all(stacks.map((each) => planOf(terraform, each)));

  const inputs: StackInput[] = [];
  const unreviewed: UnreviewedStack[] = [];
  for (const [index, { stack, synthesised }] of stacks.entries()) {
    const outcome = planned[index] ?? { reason: "not planned" };
    const constructs = constructPaths(synthesised);
    const reason = "reason" in outcome ? outcome.reason : isFirst(outcome.plan) ? "there is no state here" : undefined;
    if (before !== undefined && reason !== undefined) {
      const plan = compareStacks(before.find((each) => each.stack === stack)?.synthesised, synthesised);
      inputs.push({ stack, plan, constructs, compared: reason });
    } else if ("plan" in outcome) inputs.push({ stack, plan: outcome.plan, constructs, compared: undefined });
    else unreviewed.push({ stack, reason: outcome.reason });
  }
  const gone = (before ?? []).filter(({ stack }) => stacks.every((each) => each.stack !== stack));
  for (const { stack, synthesised } of gone)
    inputs.push({
      stack,
      plan: compareStacks(synthesised, undefined),
      constructs: new Map(),
      compared: "no longer synthesised",
    });
  return { inputs, unreviewed };
};

const planReport = async (files: string[], options: PlanReportOptions, command: Command): Promise<void> => {
  const { output, base, commit } = options;
  if (files.length > 0 && base !== undefined)
    command.error("error: plans and --base exclude each other: a plan is made with its state, leave one of them out");
  const secrets = secretsOfEnvironment(process.env);
  const redact = redactor(secrets);
  const { inputs, unreviewed } =
    files.length > 0 ? { inputs: fromFiles(files, output), unreviewed: [] } : await fromOutput(output, base);
  const text = comment({
    reviews: reviewStacks(inputs, secrets),
    unreviewed: unreviewed.map(({ stack, reason }) => ({ stack, reason: redact(reason) })),
    commit: commit ?? (await headCommit()),
  });
  printText(`${text}\n`);
};

const commitHash = (text: string): string => {
  if (/^[0-9a-f]{7,64}$/.test(text)) return text;
  throw new InvalidArgumentError('give the hash of a commit, as "git rev-parse HEAD" prints it');
};

/** `warden plan-report`. */
export const planReportCommand = (): Command =>
  new Command("plan-report")
    .description("write what the plans of the stacks do as one comment for a pull request, without any secret")
    .argument("[plan...]", "outputs of `terraform show -json`, each named <stack>.json or <stack>/plan.json")
    .addOption(
      new Option("--output <directory>", "what was synthesised: without a file, its stacks are planned").default(
        "cdktf.out",
      ),
    )
    .option("--base <directory>", "what the merge base synthesises, to compare with where the state cannot be read")
    .addOption(new Option("--commit <hash>", "commit of the plans (default: HEAD)").argParser(commitHash))
    .addHelpText(
      "after",
      `
Examples:
  warden plan-report                            plan every stack of cdktf.out
  warden plan-report dns.json                   the plan of the stack dns, from another machine
  warden plan-report --base ../base/cdktf.out   in a pipeline that cannot read the state`,
    )
    .action(planReport);
