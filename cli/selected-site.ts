import { loadSite, REFERENCE, type Selection, SiteError, selectSite, shownFile } from "../site/load";
import { type ClusterSite, hasCluster, isMonitored, type MonitoredSite, type Site } from "../site/schema";

/** A bundle has no main module, and Node 20 does not read TypeScript: tsx, of the checkout or of the app, teaches it. */
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

/** The shipped example is complete, and its addresses are somebody else's. */
class UnchosenSite extends Error {
  readonly code = "unchosen-site";
  readonly hint: string;

  constructor() {
    super(`no site was chosen, and ${shownFile(REFERENCE)} ships as an example: nothing is changed by it`);
    this.hint = `write yours to site.ts, or name one with --site or WARDEN_SITE; --site ${shownFile(REFERENCE)} is the example itself`;
  }
}

/**
 * Refuses to change anything by a site that nobody chose.
 *
 * @throws UnchosenSite
 */
export const requireChosen = ({ by }: Selection): void => {
  if (by === "nobody") throw new UnchosenSite();
};

/** A site, and the file that it is from, as it is named from the working directory. */
export interface SelectedSite {
  readonly site: Site;
  readonly file: string;
  /** What chooses it again, to be put behind a command. */
  readonly argument: readonly string[];
}

/**
 * The site that a command is about. A command that prints something for people says which file that was.
 *
 * @param option the value of --site; default: see selectSite
 * @param changes whether the command changes something by it
 * @throws SiteError, and UnchosenSite where something would be changed by a site that nobody chose
 */
export const selectedSite = (option: string | undefined, { changes = false } = {}): SelectedSite => {
  const selection = selectSite(option);
  if (changes) requireChosen(selection);
  return { site: load(selection), file: shownFile(selection.file), argument: siteArgument(selection) };
};

/** What chooses the same site again, to be put behind a command; nothing where it is found by itself. */
export const siteArgument = ({ file, by }: Selection): string[] =>
  by === "own-file" ? [] : ["--site", shownFile(file)];

/** As selectedSite, of a command that is about what watches the registries. */
export const selectedMonitoredSite = (option: string | undefined): MonitoredSite => {
  const { site } = selectedSite(option);
  if (isMonitored(site)) return site;
  throw new SiteError([
    "monitoring: given nothing; the command needs it: describe the probes and the rules in the site",
  ]);
};

/** As selectedSite, of a command that is about the cluster. */
export const selectedClusterSite = (option: string | undefined): ClusterSite => {
  const { site } = selectedSite(option);
  if (hasCluster(site)) return site;
  throw new SiteError([
    "monitoring.kubernetes: given nothing; the command needs a cluster: describe it in the site, or watch from the registry host without this command",
  ]);
};
