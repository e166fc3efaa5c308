import { parseSite, SiteError } from "../../site/load";
import { SHIPPED } from "../sites";

/** biome-ignore lint/suspicious/noExplicitAny: a site is bent here into shapes that its type forbids */
export type Bent = any;

/** The errors in a shipped site after a change; none if it is accepted. */
export const errorsOf = (name: string, bend: (site: Bent) => void): readonly string[] => {
  const site = structuredClone(SHIPPED[name]);
  bend(site);
  try {
    parseSite(site);
    return [];
  } catch (error) {
    if (error instanceof SiteError) return error.errors;
    throw error;
  }
};
