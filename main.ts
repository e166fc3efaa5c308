import { parseArgs } from "node:util";
import { loadSite, siteFile } from "./site/load";
import { createApp } from "./stacks/app";

try {
  const { values } = parseArgs({ options: { site: { type: "string" } } });
  createApp(loadSite(siteFile(values.site))).synth();
} catch (error) {
  // Every mistake is in the message; the stack of our own code would bury it.
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
