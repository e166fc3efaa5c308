import { bundle } from "./bundle";

/** Relative to the checkout. */
const ENTRY = "cli/maintenance.ts";

let program: string | undefined;

/**
 * What the registry host gets as warden.mjs. It is bundled once in a process: a site is asked more than once what it
 * delivers.
 *
 * @throws Error where it cannot be bundled
 */
export const wardenProgram = (): string => {
  program ??= bundle(ENTRY);
  return program;
};
