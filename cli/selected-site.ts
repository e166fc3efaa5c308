import { loadSite, REFERENCE, type Selection, SiteError, selectSite, shownFile } from "../site/load";
import { type ClusterSite, hasCluster, isMonitored, type MonitoredSite, type Site } from "../site/schema";

/** A bundle has no main module, and Node 20 cannot load TypeScript: the tsx of the checkout or the app can. */
const readTypeScript = (file: string): void => {
  try {
    require("tsx/cjs/api").register();
  } catch {
    throw new SiteError([
      `site: ${file} is TypeScript, which needs tsx: npm install --save-dev tsx, or write the site in JavaScript or JSON`,
    ]);
  }
};

const load = ({ file }: Selection): Site => {
  if (require.main === undefined && file.endsWith(".ts")) readTypeScript(file);
  return loadSite(file);
};

/** The shipped example is complete, but its addresses are someone else's. */
class UnchosenSite extends Error {
  readonly code = "unchosen-site";
  readonly hint: string;

  constructor() {
    super(`no site was chosen, and ${shownFile(REFERENCE)} ships as an example: nothing is changed by it`);
    this.hint = `write yours to site.ts, or name one with --site or WARDEN_SITE; --site ${shownFile(REFERENCE)} is the example itself`;
  }
}

/**
 * Refuses to change anything according to a site that was not selected explicitly.
 *
 * @throws UnchosenSite
 */
export const requireChosen = ({ by }: Selection): void => {
  if (by === "nobody") throw new UnchosenSite();
};

/** A site and its file, relative to the working directory. */
export interface SelectedSite {
  readonly site: Site;
  readonly file: string;
  /** The arguments that select it again, to be appended to a command. */
  readonly argument: readonly string[];
}

/**
 * The site for a command. A command with human-readable output prints which file it is.
 *
 * @param option the value of --site; default: see selectSite
 * @param changes whether the command changes anything according to it
 * @throws SiteError, and UnchosenSite if a change would be made according to a site that was not selected explicitly
 */
export const selectedSite = (option: string | undefined, { changes = false } = {}): SelectedSite => {
  const selection = selectSite(option);
  if (changes) requireChosen(selection);
  return { site: load(selection), file: shownFile(selection.file), argument: siteArgument(selection) };
};

/** The arguments that select the same site again, to be appended to a command; empty if it is the default. */
export const siteArgument = ({ file, by }: Selection): string[] =>
  by === "own-file" ? [] : ["--site", shownFile(file)];

/** Like selectedSite, for a command about the monitoring. */
export const selectedMonitoredSite = (option: string | undefined): MonitoredSite => {
  const { site } = selectedSite(option);
  if (isMonitored(site)) return site;
  throw new SiteError([
    "monitoring: given nothing; the command needs it: describe the probes and the rules in the site",
  ]);
};

/** Like selectedSite, for a command about the cluster. */
export const selectedClusterSite = (option: string | undefined): ClusterSite => {
  const { site } = selectedSite(option);
  if (hasCluster(site)) return site;
  throw new SiteError([
    "monitoring.kubernetes: given nothing; the command needs a cluster: describe it in the site, or watch from the registry host without this command",
  ]);
};
