import { parseArgs } from "node:util";
import { printableText } from "./registry/report/printable";
import { loadSite, selectSite, shownFile } from "./site/load";
import { createApp } from "./stacks/app";
import { forgetOtherSite } from "./stacks/other-site";

try {
  const { values } = parseArgs({ options: { site: { type: "string" } } });
  const { file } = selectSite(values.site);
  const site = loadSite(file);
  forgetOtherSite(site);
  createApp(site).synth();
  if (process.stderr.isTTY) process.stderr.write(`${printableText(`site: ${shownFile(file)}`)}\n`);
} catch (error) {
  // The message holds every mistake; a stack of our own code would bury it. 64 is wrong usage (EX_USAGE, sysexits.h).
  process.stderr.write(`${printableText(error instanceof Error ? error.message : String(error))}\n`);
  process.exitCode = (error as NodeJS.ErrnoException).code?.startsWith("ERR_PARSE_ARGS") ? 64 : 2;
}
