import { cpSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { version } from "../package.json";
import { build } from "./build";
import { manualPage } from "./manual";
import { messageOf, printError } from "./output";
import { describeWarden } from "./warden";

/**
 * `npm pack`: completes lib/, the contents of the package, after the compiler has written the modules into it. The
 * folders are those of the checkout, so that modules find their files at the same relative paths.
 */
const pack = async (): Promise<void> => {
  const root = resolve(__dirname, "..");
  const library = join(root, "lib");
  const scripts = readdirSync(join(root, "hosts")).filter((file) => file.endsWith(".sh"));
  for (const asset of [...scripts.map((file) => join("hosts", file)), "monitoring/chart", "monitoring/namespace-chart"])
    cpSync(join(root, asset), join(library, asset), { recursive: true });
  await build(join(library, "cli"));
  writeFileSync(join(library, "cli/warden.1"), manualPage(describeWarden(), version));
};

pack().catch((error: unknown) => {
  printError(messageOf(error));
  process.exitCode = 2;
});
