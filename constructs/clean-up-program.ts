import { configMapProgram } from "./config-map-program";

/**
 * The program of the clean-up's CronJob, `clean-up.mjs`.
 *
 * @throws Error if it cannot be bundled, or is too large for a ConfigMap
 */
export const cleanUpProgram = (): string => configMapProgram("cli/clean-up.ts");
