import { programOf } from "../hosts/bundle";

/** Maximum size (KiB); a ConfigMap holds 1 MiB in total. https://kubernetes.io/docs/concepts/configuration/configmap/ */
const LIMIT = 700;

/** @throws Error if a program is larger than 700 KiB */
export const fitting = (program: string, entry: string): string => {
  const size = Math.ceil(Buffer.byteLength(program) / 1024);
  if (size > LIMIT)
    throw new Error(
      `the program of ${entry} has ${size} KiB; allowed are ${LIMIT}, to fit a ConfigMap: import less there`,
    );
  return program;
};

/**
 * The bundled program of a CronJob.
 *
 * @param entry relative to the checkout
 * @throws Error if it cannot be bundled, or is too large for a ConfigMap
 */
export const configMapProgram = (entry: string): string => fitting(programOf(entry), entry);
