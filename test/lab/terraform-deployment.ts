import { execFile, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { App } from "cdktf";
import { findTerraform, terraformEnvironment } from "../../review/terraform";
import { firstError } from "../../review/terraform-error";
import { MonitoringStack } from "../../stacks/monitoring-stack";
import { type Json, PROGRAM, site, synthesise } from "../monitoring/synthesise";
import type { WholeSite } from "../sites";
import { describeWith } from "./components";
import { temporaryFolder } from "./process";

const terraform = findTerraform();

/** Why Terraform cannot get the stack's providers on this machine, in one line; undefined if it can. */
const withoutProviders = (): string | undefined => {
  if (terraform === undefined) return "terraform: neither terraform nor tofu is on the PATH";
  const folder = temporaryFolder("providers");
  try {
    const { required_providers } = synthesise(site("reference")).terraform;
    writeFileSync(join(folder, "main.tf.json"), JSON.stringify({ terraform: { required_providers } }));
    const { status, stdout, stderr } = spawnSync(terraform, ["init", "-backend=false", "-input=false", "-no-color"], {
      cwd: folder,
      env: terraformEnvironment(),
      encoding: "utf8",
      timeout: 120_000,
    });
    return status === 0 ? undefined : `terraform providers: ${firstError(`${stdout}\n${stderr}`)}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

const missing = withoutProviders();
/** Like describeWith, for tests in which Terraform can get the stack's providers. */
export const describeWithProviders: typeof describeWith =
  missing === undefined
    ? describeWith
    : (_, title) => describe.skip(title, () => test(`skipped: ${missing}`, () => undefined));

/** How a command of Terraform ended. */
export interface TerraformOutcome {
  readonly code: number;
  readonly output: string;
}

/** A synthesized stack in a separate folder, with its state beside it. */
export class LocalDeployment {
  readonly folder = temporaryFolder("deployment");
  readonly #directory = join(this.folder, "cdktf.out/stacks/monitoring");
  readonly #log: string[] = [];

  /** @param variables environment of Terraform, in addition to its own */
  constructor(readonly variables: Record<string, string> = {}) {}

  /** @param bend changes the synthesized stack */
  async synthesise(given: WholeSite, program = PROGRAM, bend?: (stack: Json) => void): Promise<void> {
    const app = new App({ outdir: join(this.folder, "cdktf.out") });
    new MonitoringStack(app, "monitoring", { site: given, program });
    app.synth();
    if (bend !== undefined) {
      const file = join(this.#directory, "cdk.tf.json");
      const stack = JSON.parse(readFileSync(file, "utf8"));
      bend(stack);
      writeFileSync(file, JSON.stringify(stack));
    }
    mkdirSync(join(this.folder, given.state.backend === "local" ? given.state.directory : ""), { recursive: true });
    await this.expectSuccess("init");
  }

  /** Writes the plan, and its JSON form beside it. */
  async plan(): Promise<string> {
    const text = await this.expectSuccess("plan", "-out=plan");
    writeFileSync(join(this.#directory, "plan.json"), await this.expectSuccess("show", "-json", "plan"));
    return text;
  }

  apply(): Promise<TerraformOutcome> {
    return this.#run("apply", "plan");
  }

  /** Makes a plan, which may be refused. */
  tryPlan(): Promise<TerraformOutcome> {
    return this.#run("plan", "-out=plan");
  }

  /** Makes Terraform forget everything. */
  loseState(): void {
    rmSync(join(this.folder, "state"), { recursive: true });
    mkdirSync(join(this.folder, "state"));
  }

  async deploy(): Promise<string> {
    const text = await this.plan();
    await this.expectSuccess("apply", "plan");
    return text;
  }

  async isUnchanged(): Promise<boolean> {
    const { code, output } = await this.#run("plan", "-detailed-exitcode");
    if (code === 1) throw new Error(output);
    return code === 0;
  }

  /** Everything that Terraform has printed. */
  get log(): string {
    return this.#log.join("\n");
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  async expectSuccess(...parameters: string[]): Promise<string> {
    const { code, output } = await this.#run(...parameters);
    if (code !== 0) throw new Error(output);
    return output;
  }

  #run(...[command, ...parameters]: string[]): Promise<TerraformOutcome> {
    const flags = { show: ["-no-color"], state: [] }[command ?? ""] ?? ["-input=false", "-no-color"];
    return new Promise((resolve) => {
      execFile(
        terraform ?? "",
        [command ?? "", ...flags, ...parameters],
        { cwd: this.#directory, env: { ...terraformEnvironment(), ...this.variables }, maxBuffer: 1e8 },
        (error, stdout, stderr) => {
          this.#log.push(stdout, stderr);
          resolve({
            code: typeof error?.code === "number" ? error.code : error === null ? 0 : 1,
            output: stdout + stderr,
          });
        },
      );
    });
  }
}
