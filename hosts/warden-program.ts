import { programOf } from "./bundle";

/** Relative to the checkout. */
const ENTRY = "cli/maintenance.ts";

/**
 * What the registry host gets as warden.mjs.
 *
 * @throws Error where it cannot be bundled
 */
export const wardenProgram = (): string => programOf(ENTRY);
