import { parseArgs } from "node:util";
import { printError } from "./cli/output";
import { runScript } from "./cli/script";
import { loadSite, selectSite, shownFile } from "./site/load";
import { createApp } from "./stacks/app";
import { forgetOtherSite } from "./stacks/other-site";

/** The CDKTF app: synthesises the selected site. @returns the exit code */
export const synth = (args: readonly string[]): number => {
  const { values } = parseArgs({ args: [...args], options: { site: { type: "string" } } });
  const { file } = selectSite(values.site);
  const site = loadSite(file);
  forgetOtherSite(site);
  createApp(site).synth();
  if (process.stderr.isTTY) printError(`site: ${shownFile(file)}`);
  return 0;
};

if (require.main === module) runScript(synth);
