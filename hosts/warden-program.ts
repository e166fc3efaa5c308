import { programOf } from "./bundle";

/** Relative to the checkout. */
const ENTRY = "cli/maintenance.ts";

/**
 * The file warden.mjs on the registry host.
 *
 * @throws Error if it cannot be bundled
 */
export const wardenProgram = (): string => programOf(ENTRY);
