import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { build as bundle, type Plugin } from "esbuild";
import { cleanUpProgram } from "../constructs/clean-up-program";
import { probeProgram } from "../constructs/probe-program";
import { complete, ES_MODULE } from "../hosts/bundle";
import { noticesOf } from "../hosts/notices";
import { wardenProgram } from "../hosts/warden-program";
import { messageOf, printError } from "./output";
import { commitOf } from "./version";

const root = resolve(__dirname, "..");

/**
 * What a module of CommonJS form expects around it. $CHECKOUT is the folder above that of the program: what a command
 * reads beside its own code (the site, the shell files of a delivery) it reads there. esbuild does not know these names:
 * they are none that a module has at its top.
 */
const SURROUNDINGS = `#!/usr/bin/env node
import { createRequire as $requireFrom } from "node:module";
import { dirname as $folderOf } from "node:path";
import { fileURLToPath as $pathOf } from "node:url";
const require = $requireFrom(import.meta.url);
const $CHECKOUT = $folderOf($folderOf($pathOf(import.meta.url)));`;

/** Gives each of our modules the folder that it came from, which a bundle forgets. */
const originalFolders: Plugin = {
  name: "original folders",
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const contents = readFileSync(path, "utf8");
      if (path.includes("node_modules") || !/\b__(dirname|filename)\b/.test(contents)) return undefined;
      const folder = JSON.stringify(`/${relative(root, dirname(path))}`);
      const declarations = `const __dirname = $CHECKOUT + ${folder}, __filename = __dirname + "/bundled.js";\n`;
      return { contents: declarations + contents, loader: "ts" };
    });
  },
};

/**
 * Writes warden.mjs, with every command, probe.mjs and clean-up.mjs, the programs that the CronJobs run, and
 * maintenance.mjs, what the registry host gets.
 *
 * @param directory default: dist/
 */
export const build = async (directory: string = join(root, "dist")): Promise<void> => {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "probe.mjs"), probeProgram());
  writeFileSync(join(directory, "clean-up.mjs"), cleanUpProgram());
  writeFileSync(join(directory, "maintenance.mjs"), wardenProgram());
  const { program, packages } = complete(
    await bundle({
      ...ES_MODULE,
      entryPoints: ["cli/entry.ts"],
      outfile: "warden.mjs",
      minifySyntax: true,
      minifyWhitespace: true,
      banner: { js: SURROUNDINGS },
      define: { COMMIT: JSON.stringify(commitOf(root) ?? null) },
      plugins: [originalFolders],
      // What only a command of the checkout needs is found there when it is wanted.
      // What knows CDKTF is no part of the program: it lies beside it in a checkout and in the package.
      external: ["tsx/cjs/api", "esbuild", "../stacks/manifests"],
      logLevel: "error",
    }),
  );
  const file = join(directory, "warden.mjs");
  writeFileSync(file, program);
  chmodSync(file, 0o755);
  // These programs contain nothing that warden does not.
  writeFileSync(join(directory, "THIRD_PARTY_NOTICES"), noticesOf(packages));
};

if (require.main === module)
  build().catch((error: unknown) => {
    printError(messageOf(error));
    process.exitCode = 2;
  });
