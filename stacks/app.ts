import { join, resolve } from "node:path";
import { App, type TerraformStack } from "cdktf";
import type { Site } from "../site/schema";
import { DnsStack } from "./dns-stack";
import { MonitoringStack } from "./monitoring-stack";
import { RegistryVmStack } from "./registry-vm-stack";

/** cdktf-cli says where it wants the output; otherwise it is in the checkout, whatever the working directory is. */
export const outputDirectory = (): string => process.env.CDKTF_OUTDIR ?? resolve(__dirname, "..", "cdktf.out");

/** The order in which the stacks are deployed. */
export const STACKS = ["dns", "registry-vm", "monitoring"] as const;
export type StackName = (typeof STACKS)[number];

/** The folder of a synthesised stack. */
export const stackDirectory = (stack: StackName, output: string = outputDirectory()): string =>
  join(output, "stacks", stack);

/** The CDKTF app of a site. Nothing is written before `synth`. */
export const createApp = (site: Site, outdir: string = outputDirectory()): App => {
  const app = new App({ outdir });
  const stacks: Record<StackName, TerraformStack> = {
    dns: new DnsStack(app, "dns", { site }),
    "registry-vm": new RegistryVmStack(app, "registry-vm", { site }),
    monitoring: new MonitoringStack(app, "monitoring", { site }),
  };
  stacks["registry-vm"].addDependency(stacks.dns);
  return app;
};
