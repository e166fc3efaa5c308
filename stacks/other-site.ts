import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Site } from "../site/schema";
import { STACKS } from "../site/stacks";
import { outputDirectory, stackDirectory } from "./app";

/** A file in the output with the name of the site that was synthesized last. */
const LAST_SITE = "site";

/**
 * Lets Terraform use this site's state after another site was synthesized to the same output. Terraform records in each stack's
 * folder which state it was initialized with, rejects any other, and suggests a migration, which would overwrite one site's state
 * with the other's. When a site changes its own backend, Terraform still rejects it.
 *
 * @param output default: see outputDirectory
 */
export const forgetOtherSite = ({ name }: Site, output: string = outputDirectory()): void => {
  const file = join(output, LAST_SITE);
  if (existsSync(file) && readFileSync(file, "utf8") !== name)
    for (const stack of STACKS)
      rmSync(join(stackDirectory(stack, output), ".terraform", "terraform.tfstate"), { force: true });
  mkdirSync(output, { recursive: true });
  writeFileSync(file, name);
};
