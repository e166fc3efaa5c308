import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { loadSite, selectSite, shownFile } from "../site/load";
import { stacksOf } from "../site/stacks";
import { build } from "./build";
import { print, printError, printText } from "./output";
import { planStacks } from "./plan-stacks";
import { describeSite, planNotes, planTable } from "./plan-table";
import { runScript } from "./script";
import { siteArgument } from "./selected-site";

/**
 * `npm start` and `npm run plan`: synthesizes the selected site and plans every stack that can be planned here.
 *
 * - `--site FILE`: the site; default: see siteFile
 * - `--build`: write dist/ first, as `npm start` does
 * - `--show`: print the plans, as `npm run plan` does
 * - `--strict`: a stack that could not be planned because a provider or Terraform is missing is an error
 */
export const start = async (args: readonly string[]): Promise<number> => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      site: { type: "string" },
      build: { type: "boolean", default: false },
      show: { type: "boolean", default: false },
      strict: { type: "boolean", default: false },
    },
  });
  const selection = selectSite(values.site);
  const site = loadSite(selection.file);
  if (values.build) await build();
  const reports = await planStacks(site);

  if (values.show)
    for (const { plan, directory } of reports)
      if (plan?.kind === "planned") printText(`${readFileSync(join(directory, "plan.txt"), "utf8")}\n`);
  print([`site      ${shownFile(selection.file)}`, ...describeSite(site), "", ...planTable(reports).split("\n"), ""]);
  const notes = planNotes(reports);
  if (reports.some(({ plan }) => plan === undefined))
    notes.push(
      "nothing is planned without terraform (1.11 or newer) or tofu on the PATH: install one and run this again",
    );
  printError(notes);

  const failed = reports.some(({ plan }) => plan?.kind === "failed");
  const unplanned = reports.some(({ plan }) => plan?.kind !== "planned");
  if (failed || (values.strict && unplanned)) return 2;
  print(
    selection.by === "nobody"
      ? "deploy with: a site of your own: this is the example that ships; describe yours in site.ts, as docs/guide.md has it"
      : `deploy with: ${["npm run cdktf -- deploy", ...siteArgument(selection), ...stacksOf(site)].join(" ")}`,
  );
  return 0;
};

if (require.main === module) runScript(start);
