import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Site } from "../site/schema";
import { STACKS } from "../site/stacks";
import { outputDirectory, stackDirectory } from "./app";

/** In the output: the name of the site that was synthesised last. */
const LAST_SITE = "site";

/**
 * Has Terraform use the state of this site where another one was synthesised to the same output before. It records in
 * each stack's folder which state it was initialised with, refuses any other, and suggests a migration, which would write
 * the state of one site over that of the other. Where one site changes its own backend, the refusal remains.
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
