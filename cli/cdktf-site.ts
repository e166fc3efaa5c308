import { selectSite, shownFile } from "../site/load";
import { messageOf, print, printError } from "./output";
import { requireChosen } from "./selected-site";

/** Commands of cdktf that change what is deployed. */
const CHANGES = ["deploy", "apply", "destroy", "watch"];

/**
 * For tools/cdktf/run: prints the file of the site that a command of cdktf is about, for WARDEN_SITE, and names it to whoever
 * reads along.
 */
const site = (args: readonly string[]): void => {
  const index = args.findIndex((arg) => arg === "--site" || arg.startsWith("--site="));
  const given = args[index];
  const option = given === "--site" ? (args[index + 1] ?? "") : given?.replace(/^--site=/, "");
  if (option === "") throw new Error("--site is given without a file; allowed is the file of a site behind it");
  const selection = selectSite(option);
  if (args.some((arg) => CHANGES.includes(arg))) requireChosen(selection);
  printError(`site: ${shownFile(selection.file)}`);
  print(selection.file);
};

try {
  site(process.argv.slice(2));
} catch (error) {
  const { hint } = error as { hint?: string };
  printError([...messageOf(error).split("\n"), ...(hint === undefined ? [] : [hint])].join("; "));
  process.exitCode = 2;
}
