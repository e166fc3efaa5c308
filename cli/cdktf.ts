import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { loadSite, selectSite, shownFile } from "../site/load";
import { messageOf, printError } from "./output";
import { preflight } from "./preflight";
import { requireChosen } from "./selected-site";

/** Commands of cdktf that run the app, and those of them that change what is deployed. */
const OF_A_SITE = ["deploy", "apply", "destroy", "watch", "diff", "plan", "synth", "synthesize", "list", "output"];
const CHANGES = ["deploy", "apply", "destroy", "watch"];
const DEPLOYS = ["deploy", "apply"];

const root = join(__dirname, "..");

/** Takes --site out of the arguments, which cdktf does not know. */
const withoutSite = (args: readonly string[]): { option: string | undefined; rest: string[] } => {
  const index = args.findIndex((arg) => arg === "--site" || arg.startsWith("--site="));
  const given = args[index];
  if (given === undefined) return { option: undefined, rest: [...args] };
  const option = given === "--site" ? (args[index + 1] ?? "") : given.slice("--site=".length);
  if (option === "") throw new Error("--site is given without a file; allowed is the file of a site behind it");
  return { option, rest: args.toSpliced(index, given === "--site" ? 2 : 1) };
};

/**
 * `npm run cdktf`: the pinned cdktf-cli, every part of which sees the one site that was chosen.
 *
 * @returns the exit code of cdktf
 */
const cdktf = async (args: readonly string[]): Promise<number> => {
  const { option, rest } = withoutSite(args);
  const [command = "", ...parameters] = rest;
  const environment = { ...process.env };
  if (OF_A_SITE.includes(command)) {
    const selection = selectSite(option);
    if (CHANGES.includes(command)) requireChosen(selection);
    printError(`site: ${shownFile(selection.file)}`);
    if (DEPLOYS.includes(command)) await preflight(loadSite(selection.file), parameters);
    environment.WARDEN_SITE = selection.file;
  }
  // An interrupt reaches cdktf by itself: it decides what becomes of a deploy that is under way.
  process.on("SIGINT", () => {});
  return spawnSync(join(root, "tools/cdktf/run"), rest, { stdio: "inherit", env: environment }).status ?? 2;
};

cdktf(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const { hint } = error as { hint?: string };
    printError([...messageOf(error).split("\n"), ...(hint === undefined ? [] : [hint])].join("; "));
    process.exitCode = 2;
  },
);
