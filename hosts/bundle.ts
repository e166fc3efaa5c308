import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { BuildResult } from "esbuild";
import { type BundledPackage, bundledPackages, noticesComment } from "./notices";

const root = resolve(__dirname, "..");

/** Bundled CommonJS packages load Node's own modules with `require`, which ES modules do not define. */
const REQUIRE = 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);';

/** How all our programs are bundled: into one file for the oldest supported Node, with a list of its inputs. */
export const ES_MODULE = {
  absWorkingDir: root,
  bundle: true,
  write: false,
  metafile: true,
  platform: "node",
  target: "node20",
  format: "esm",
} as const;

/**
 * Bundles a program and all its imports into the text of one ES module for Node 20. The same sources give the same bytes on
 * every machine and from every working directory. The npm package contains the bundle in place of the sources, next to
 * where they would be.
 *
 * @param entry path relative to the checkout
 * @throws Error with the first error if the program cannot be bundled
 */
export const bundle = (entry: string): string => {
  const shipped = join(root, entry.replace(/\.ts$/, ".mjs"));
  if (existsSync(shipped)) return readFileSync(shipped, "utf8");
  // Not at the top: users of the npm package have no bundler.
  const { buildSync } = require("esbuild") as typeof import("esbuild");
  try {
    const result = buildSync({
      ...ES_MODULE,
      entryPoints: [entry],
      outfile: entry.replace(/\.ts$/, ".mjs"),
      minify: true,
      banner: { js: REQUIRE },
      // Ignores the environment of the machine, such as an operator's tsconfig or log settings.
      tsconfigRaw: {},
      logLevel: "silent",
    });
    return complete(result).program;
  } catch (error) {
    throw new Error(`${entry} cannot be bundled: ${firstError(error)}`);
  }
};

const programs = new Map<string, string>();

/** Like `bundle`, but once in a process: several parts of a site need the same program. */
export const programOf = (entry: string): string => {
  const program = programs.get(entry) ?? bundle(entry);
  programs.set(entry, program);
  return program;
};

/** The text of a bundled entry, followed by the notices of the packages in it. */
export const complete = ({
  outputFiles: [output],
  metafile,
}: BuildResult<{ write: false; metafile: true }>): { program: string; packages: BundledPackage[] } => {
  const packages = bundledPackages(metafile, root);
  return { program: `${output?.text}${noticesComment(packages)}`, packages };
};

const firstError = (thrown: unknown): string => {
  const [error] =
    (thrown as { errors?: { text: string; location: { file: string; line: number } | null }[] }).errors ?? [];
  if (error === undefined) return thrown instanceof Error ? thrown.message : String(thrown);
  return error.location === null ? error.text : `${error.text} (${error.location.file}:${error.location.line})`;
};
