import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { build as bundle } from "esbuild";
import { probeProgram } from "../constructs/probe-program";

const root = resolve(__dirname, "..");

/** Lets the CommonJS packages inside an ES module bundle require Node's own modules. */
const REQUIRE = 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);';

/** Writes dist/warden.mjs, with every command, and dist/probe.mjs, the program that the CronJob runs. */
export const build = async (): Promise<void> => {
  const directory = join(root, "dist");
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "probe.mjs"), probeProgram());
  await bundle({
    absWorkingDir: root,
    entryPoints: ["cli/warden.ts"],
    outfile: join(directory, "warden.mjs"),
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    minifySyntax: true,
    banner: { js: `#!/usr/bin/env node\n${REQUIRE}` },
    logLevel: "error",
  });
};

if (require.main === module)
  build().catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 2;
  });
