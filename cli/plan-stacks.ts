import { readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { findTerraform, planStack } from "../review/terraform";
import type { Site } from "../site/schema";
import { stacksOf } from "../site/stacks";
import { createApp, outputDirectory, stackDirectory } from "../stacks/app";
import { forgetOtherSite } from "../stacks/other-site";
import type { StackReport } from "./plan-table";
import { requireStateAccess } from "./state-access";

const resourceCount = (directory: string): number => {
  const json = JSON.parse(readFileSync(join(directory, "cdk.tf.json"), "utf8")) as {
    resource?: Record<string, Record<string, unknown>>;
  };
  return Object.values(json.resource ?? {}).reduce((sum, instances) => sum + Object.keys(instances).length, 0);
};

/**
 * Synthesizes a site and plans all stacks in parallel. The text of each plan is written next to it as plan.txt.
 *
 * @param terraform terraform or tofu; default: the first on the PATH; without either, the stacks are only synthesized
 * @throws StateAccessError
 */
export const planStacks = async (
  site: Site,
  terraform: string | undefined = findTerraform(),
): Promise<StackReport[]> => {
  const output = outputDirectory();
  forgetOtherSite(site, output);
  createApp(site, output).synth();
  if (terraform !== undefined) requireStateAccess(site.state);
  return Promise.all(
    stacksOf(site).map(async (stack) => {
      const directory = stackDirectory(stack, output);
      const plan = terraform === undefined ? undefined : await planStack(terraform, directory);
      if (plan?.kind === "planned" || plan?.kind === "failed") writeFileSync(join(directory, "plan.txt"), plan.text);
      return { stack, resources: resourceCount(directory), directory: relative(process.cwd(), directory), plan };
    }),
  );
};
