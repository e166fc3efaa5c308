import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { App, type TerraformStack } from "cdktf";
import { stateKey } from "../../site/stacks";
import { parsed, type WholeInput, type WholeSite } from "../sites";
import type { Component } from "./components";
import type { Hosts, Outcome } from "./hosts";

/** One stack, deployed by Terraform from the operator's machine in the lab. Its state lives as long as this object. */
export class Deployment {
  readonly #hosts: Hosts;
  readonly #terraform: Component;
  readonly #stack: string;
  readonly #stackOf: (app: App, site: WholeSite) => TerraformStack;
  readonly #directory = mkdtempSync(join(tmpdir(), "warden-deployment-"));
  #stateFile = "";

  constructor(
    hosts: Hosts,
    terraform: Component,
    stack: string,
    stackOf: (app: App, site: WholeSite) => TerraformStack,
  ) {
    this.#hosts = hosts;
    this.#terraform = terraform;
    this.#stack = stack;
    this.#stackOf = stackOf;
  }

  /** Deploys the site, optionally with further options for Terraform. */
  apply(site: WholeInput, ...options: string[]): Outcome {
    return this.#run(site, "apply", "-auto-approve", ...options);
  }

  /** Status 0: nothing to change; 2: changes; 1: an error. */
  plan(site: WholeInput): Outcome {
    return this.#run(site, "plan", "-detailed-exitcode");
  }

  /** The state file, as text. */
  state(): string {
    return readFileSync(this.#stateFile, "utf8");
  }

  /** The addresses of the resources in the state. */
  resources(): string[] {
    const { resources } = JSON.parse(this.state()) as { resources: { type: string; name: string }[] };
    return resources.map(({ type, name }) => `${type}.${name}`);
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true });
  }

  #run(input: WholeInput, ...args: string[]): Outcome {
    const app = new App({ outdir: join(this.#directory, "cdktf.out") });
    const site = parsed(input);
    this.#stateFile = join(this.#directory, stateKey(site, this.#stack));
    this.#stackOf(app, site);
    app.synth();
    const initialised = this.#execute("init");
    return initialised.status === 0 ? this.#execute(...args, "-no-color", "-input=false") : initialised;
  }

  #execute(...args: string[]): Outcome {
    const folder = join(this.#directory, "cdktf.out/stacks", this.#stack);
    return this.#hosts.operator([...this.#terraform.command, `-chdir=${folder}`, ...args], {
      CHECKPOINT_DISABLE: "1",
      TF_CLI_CONFIG_FILE: "/dev/null",
    });
  }
}
