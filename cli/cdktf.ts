import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { selectSite, shownFile } from "../site/load";
import { messageOf, printError } from "./output";
import { requireChosen } from "./selected-site";

/** Commands of cdktf that run the app, and those of them that change what is deployed. */
const OF_A_SITE = ["deploy", "apply", "destroy", "watch", "diff", "plan", "synth", "synthesize", "list", "output"];
const CHANGES = ["deploy", "apply", "destroy", "watch"];

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
const cdktf = (args: readonly string[]): number => {
  const { option, rest } = withoutSite(args);
  const environment = { ...process.env };
  if (OF_A_SITE.includes(rest[0] ?? "")) {
    const selection = selectSite(option);
    if (CHANGES.includes(rest[0] ?? "")) requireChosen(selection);
    printError(`site: ${shownFile(selection.file)}`);
    environment.WARDEN_SITE = selection.file;
  }
  // An interrupt reaches cdktf by itself: it decides what becomes of a deploy that is under way.
  process.on("SIGINT", () => {});
  return spawnSync(join(root, "tools/cdktf/run"), rest, { stdio: "inherit", env: environment }).status ?? 2;
};

try {
  process.exitCode = cdktf(process.argv.slice(2));
} catch (error) {
  const { hint } = error as { hint?: string };
  printError([...messageOf(error).split("\n"), ...(hint === undefined ? [] : [hint])].join("; "));
  process.exitCode = 2;
}
