import { programOf } from "../hosts/bundle";
import { fitting } from "./probe-program";

/** Relative to the checkout. */
const ENTRY = "cli/clean-up.ts";

/**
 * The program of the clean-up's CronJob, `clean-up.mjs`.
 *
 * @throws Error if it cannot be bundled, or is too large for a ConfigMap
 */
export const cleanUpProgram = (): string => fitting(programOf(ENTRY), ENTRY);
