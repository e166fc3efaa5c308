import { programOf } from "../hosts/bundle";

/** The probe's entry, relative to the checkout. */
const PROBE_ENTRY = "cli/probe.ts";

/** Maximum size (KiB); a ConfigMap holds 1 MiB in total. https://kubernetes.io/docs/concepts/configuration/configmap/ */
const LIMIT = 700;

/**
 * The program of the CronJob, `probe.mjs`.
 *
 * @throws Error if it cannot be bundled, or is too large for a ConfigMap
 */
export const probeProgram = (): string => fitting(programOf(PROBE_ENTRY), PROBE_ENTRY);

/** @throws Error if a program is larger than 700 KiB */
export const fitting = (program: string, entry: string): string => {
  const size = Math.ceil(Buffer.byteLength(program) / 1024);
  if (size > LIMIT)
    throw new Error(
      `the program of ${entry} has ${size} KiB; allowed are ${LIMIT}, to fit a ConfigMap: import less there`,
    );
  return program;
};
