import { loadSite, SiteError, siteFile } from "../site/load";
import type { Site } from "../site/schema";

/** A bundle has no main module, and Node 20 does not read TypeScript: tsx, of the checkout or of the app, teaches it. */
const readTypeScript = (file: string): void => {
  try {
    require("tsx/cjs/api").register();
  } catch {
    throw new SiteError([
      `site: ${file} is TypeScript, which needs tsx to be read; allowed is JavaScript or JSON too: npm install --save-dev tsx`,
    ]);
  }
};

/**
 * The site that a command is about.
 *
 * @param option the value of --site; default: see siteFile
 * @throws SiteError
 */
export const selectedSite = (option: string | undefined): Site => {
  const file = siteFile(option);
  if (require.main === undefined && file.endsWith(".ts")) readTypeScript(file);
  return loadSite(file);
};
