import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { BuildResult } from "esbuild";
import { type BundledPackage, bundledPackages, noticesComment } from "./notices";

const root = resolve(__dirname, "..");

/** Packages in CommonJS form ask for Node's own modules with `require`, which an ES module does not have. */
const REQUIRE = 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);';

/** What every program of ours is bundled as: one file for the oldest Node, with an account of what went into it. */
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
 * Bundles a program and all it imports into the text of one ES module for Node 20. The same sources give the same
 * bytes on every machine and from every working directory. The package holds the bundle instead of the sources, beside
 * where they would be.
 *
 * @param entry path relative to the checkout
 * @throws Error with the first mistake where the program cannot be bundled
 */
export const bundle = (entry: string): string => {
  const shipped = join(root, entry.replace(/\.ts$/, ".mjs"));
  if (existsSync(shipped)) return readFileSync(shipped, "utf8");
  // Not at the top: whoever uses the package has no bundler.
  const { buildSync } = require("esbuild") as typeof import("esbuild");
  try {
    const result = buildSync({
      ...ES_MODULE,
      entryPoints: [entry],
      outfile: entry.replace(/\.ts$/, ".mjs"),
      minify: true,
      banner: { js: REQUIRE },
      // Nothing of the environment of whoever synthesises: an operator's tsconfig or log settings.
      tsconfigRaw: {},
      logLevel: "silent",
    });
    return complete(result).program;
  } catch (error) {
    throw new Error(`${entry} cannot be bundled: ${firstMistake(error)}`);
  }
};

const programs = new Map<string, string>();

/** As `bundle`, once in a process: the parts of a site are asked more than once what they deliver. */
export const programOf = (entry: string): string => {
  const program = programs.get(entry) ?? bundle(entry);
  programs.set(entry, program);
  return program;
};

/** What esbuild made of one entry: its text, with the notices of the packages in it at its end. */
export const complete = ({
  outputFiles: [output],
  metafile,
}: BuildResult<{ write: false; metafile: true }>): { program: string; packages: BundledPackage[] } => {
  const packages = bundledPackages(metafile, root);
  return { program: `${output?.text}${noticesComment(packages)}`, packages };
};

const firstMistake = (error: unknown): string => {
  const [mistake] =
    (error as { errors?: { text: string; location: { file: string; line: number } | null }[] }).errors ?? [];
  if (mistake === undefined) return error instanceof Error ? error.message : String(error);
  return mistake.location === null
    ? mistake.text
    : `${mistake.text} (${mistake.location.file}:${mistake.location.line})`;
};
