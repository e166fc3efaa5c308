import { configMapProgram } from "./config-map-program";

/**
 * The program of the probe's CronJob, `probe.mjs`.
 *
 * @throws Error if it cannot be bundled, or is too large for a ConfigMap
 */
export const probeProgram = (): string => configMapProgram("cli/probe.ts");
