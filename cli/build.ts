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
 * What a CommonJS module expects around it. $CHECKOUT is the parent of the program's folder: that is where a command
 * reads the files beside its own code (the site, the shell files of a delivery). esbuild does not handle these names,
 * because they are not global variables.
 */
const SURROUNDINGS = `#!/usr/bin/env node
import { createRequire as $requireFrom } from "node:module";
import { dirname as $folderOf } from "node:path";
import { fileURLToPath as $pathOf } from "node:url";
const require = $requireFrom(import.meta.url);
const $CHECKOUT = $folderOf($folderOf($pathOf(import.meta.url)));`;

/** Restores each module's original folder, which bundling loses. */
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
 * Writes warden.mjs, with every command; probe.mjs and clean-up.mjs, the programs of the CronJobs; and maintenance.mjs, the
 * program of the registry host.
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
      // Dependencies that only a command in a checkout needs are resolved at run time. The code that depends on CDKTF
      // is not bundled: it is next to the program in a checkout and in the package.
      external: ["tsx/cjs/api", "esbuild", "../stacks/manifests"],
      logLevel: "error",
    }),
  );
  const file = join(directory, "warden.mjs");
  writeFileSync(file, program);
  chmodSync(file, 0o755);
  // The other programs contain nothing that warden does not.
  writeFileSync(join(directory, "THIRD_PARTY_NOTICES"), noticesOf(packages));
};

if (require.main === module)
  build().catch((error: unknown) => {
    printError(messageOf(error));
    process.exitCode = 2;
  });
