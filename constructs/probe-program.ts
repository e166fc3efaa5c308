import { programOf } from "../hosts/bundle";

/** The probe's entry, relative to the checkout. */
const PROBE_ENTRY = "cli/probe.ts";

/** A ConfigMap holds 1 MiB in all (KiB). https://kubernetes.io/docs/concepts/configuration/configmap/ */
const LIMIT = 700;

/**
 * The program of the CronJob, `probe.mjs`.
 *
 * @throws Error where it cannot be bundled, or would not fit beside the rest of a ConfigMap
 */
export const probeProgram = (): string => fitting(programOf(PROBE_ENTRY), PROBE_ENTRY);

/** @throws Error where a program is larger than 700 KiB */
export const fitting = (program: string, entry: string): string => {
  const size = Math.ceil(Buffer.byteLength(program) / 1024);
  if (size > LIMIT)
    throw new Error(
      `the program of ${entry} has ${size} KiB; allowed are ${LIMIT}, to fit a ConfigMap: import less there`,
    );
  return program;
};
