import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { loadSite, selectSite, shownFile } from "../site/load";
import { printError } from "./output";
import { preflight } from "./preflight";
import { runScript } from "./script";
import { requireChosen } from "./selected-site";
import { requireStateAccess } from "./state-access";

/** The cdktf commands that run the app; below, those that change a deployment, deploy, and read the state. */
const OF_A_SITE = ["deploy", "apply", "destroy", "watch", "diff", "plan", "synth", "synthesize", "list", "output"];
const CHANGES = ["deploy", "apply", "destroy", "watch"];
const DEPLOYS = ["deploy", "apply"];
const READS_STATE = [...CHANGES, "diff", "plan", "output"];

const root = join(__dirname, "..");

/** Removes --site from the arguments, because cdktf does not know it. */
const withoutSite = (args: readonly string[]): { option: string | undefined; rest: string[] } => {
  const index = args.findIndex((arg) => arg === "--site" || arg.startsWith("--site="));
  const given = args[index];
  if (given === undefined) return { option: undefined, rest: [...args] };
  const option = given === "--site" ? (args[index + 1] ?? "") : given.slice("--site=".length);
  if (option === "") throw new Error("--site needs the file of a site: --site FILE");
  return { option, rest: args.toSpliced(index, given === "--site" ? 2 : 1) };
};

/**
 * `npm run cdktf`: the pinned cdktf-cli, all parts of which use the one selected site.
 *
 * @param program default: the wrapper of cdktf-cli
 * @returns the exit code of cdktf
 */
export const cdktf = async (args: readonly string[], program = join(root, "tools/cdktf/run")): Promise<number> => {
  const { option, rest } = withoutSite(args);
  const [command = "", ...parameters] = rest;
  const environment = { ...process.env };
  if (OF_A_SITE.includes(command)) {
    const selection = selectSite(option);
    if (CHANGES.includes(command)) requireChosen(selection);
    printError(`site: ${shownFile(selection.file)}`);
    const site = loadSite(selection.file);
    if (READS_STATE.includes(command)) requireStateAccess(site.state);
    if (DEPLOYS.includes(command)) await preflight(site, parameters);
    environment.WARDEN_SITE = selection.file;
  }
  // cdktf receives the interrupt itself, and decides what to do with a deploy in progress.
  const leaveToCdktf = () => {};
  process.on("SIGINT", leaveToCdktf);
  try {
    return spawnSync(program, rest, { stdio: "inherit", env: environment }).status ?? 2;
  } finally {
    process.off("SIGINT", leaveToCdktf);
  }
};

if (require.main === module) runScript(cdktf);
