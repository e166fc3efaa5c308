import { loadSite, siteFile } from "../site/load";
import type { Site } from "../site/schema";

/**
 * The site that a command is about.
 *
 * @param option the value of --site; default: see siteFile
 * @throws SiteError
 */
export const selectedSite = (option: string | undefined): Site => {
  // A bundle has no main module, and Node 20 does not read TypeScript: in a checkout tsx teaches it.
  if (require.main === undefined) require("tsx/cjs/api").register();
  return loadSite(siteFile(option));
};
