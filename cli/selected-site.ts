import { loadSite, SiteError, siteFile } from "../site/load";
import { type ClusterSite, hasCluster, isMonitored, type MonitoredSite, type Site } from "../site/schema";

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

/** As selectedSite, of a command that is about what watches the registries. */
export const selectedMonitoredSite = (option: string | undefined): MonitoredSite => {
  const site = selectedSite(option);
  if (isMonitored(site)) return site;
  throw new SiteError([
    "monitoring: given nothing; the command needs it: describe the probes and the rules in the site",
  ]);
};

/** As selectedSite, of a command that is about the cluster. */
export const selectedClusterSite = (option: string | undefined): ClusterSite => {
  const site = selectedSite(option);
  if (hasCluster(site)) return site;
  throw new SiteError([
    "monitoring.kubernetes: given nothing; the command needs a cluster: describe it in the site, or watch from the registry host without this command",
  ]);
};
