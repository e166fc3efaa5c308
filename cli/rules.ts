import { Command } from "commander";
import { checkRules } from "../monitoring/check";
import { rulesFor } from "../monitoring/rules";
import { rulesFile } from "../monitoring/rules-file";
import { printDocument } from "./output";
import { selectedMonitoredSite } from "./selected-site";

/** `warden rules`. */
export const rulesCommand = (): Command =>
  new Command("rules")
    .description("print the alert rules of the site as a rules file of Prometheus")
    .option("--site <file>", "the site's module (default: WARDEN_SITE, site.ts, or the reference site)")
    .addHelpText(
      "after",
      `
Examples:
  warden rules                                   the selected site, for rule_files of Prometheus
  warden rules --site examples/small/site.ts     another site`,
    )
    .action(({ site }: { site?: string }) => {
      const groups = rulesFor(selectedMonitoredSite(site));
      checkRules(groups);
      printDocument(rulesFile(groups));
    });
