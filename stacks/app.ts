import { join, resolve } from "node:path";
import { App, type TerraformStack } from "cdktf";
import { hasCluster, hasRegistry, type Site } from "../site/schema";
import { type StackName, stacksOf } from "../site/stacks";
import { DnsStack } from "./dns-stack";
import { MonitoringStack } from "./monitoring-stack";
import { RegistryVmStack } from "./registry-vm-stack";

/** The output folder that cdktf-cli requests; otherwise the checkout's, independent of the working directory. */
export const outputDirectory = (): string => process.env.CDKTF_OUTDIR ?? resolve(__dirname, "..", "cdktf.out");

/** The folder of a synthesized stack. */
export const stackDirectory = (stack: StackName, output: string = outputDirectory()): string =>
  join(output, "stacks", stack);

const addStack = (app: App, stack: StackName, site: Site): TerraformStack | undefined => {
  if (stack === "dns") return new DnsStack(app, stack, { site });
  if (stack === "registry-vm") return hasRegistry(site) ? new RegistryVmStack(app, stack, { site }) : undefined;
  return hasCluster(site) ? new MonitoringStack(app, stack, { site }) : undefined;
};

/** The CDKTF app of a site, with its non-empty stacks. Nothing is written before `synth`. */
export const createApp = (site: Site, outdir: string = outputDirectory()): App => {
  const app = new App({ outdir });
  const added = new Map(stacksOf(site).map((stack) => [stack, addStack(app, stack, site)]));
  const dns = added.get("dns");
  if (dns !== undefined) added.get("registry-vm")?.addDependency(dns);
  return app;
};
