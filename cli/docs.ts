import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { Command } from "commander";
import { GENERATED_PAGE } from "../handbook/document";
import { handbook } from "../handbook/handbook";
import { interfaces } from "../handbook/interfaces";
import { REFERENCE, type Selection, selectSite } from "../site/load";
import type { DescribedCommand } from "./command-tree";
import { commandReference } from "./manual";
import { print, printError } from "./output";
import { selectedSite } from "./selected-site";

interface DocsOptions {
  site?: string;
  output?: string;
  check?: true;
}

const DOCS = "docs";

/** The differences between docs/ and what it should contain. */
interface Difference {
  /** Generated files that are missing or outdated, with their expected content. */
  readonly stale: ReadonlyMap<string, string>;
  /** Files that were generated once and no longer are. */
  readonly obsolete: readonly string[];
}

const difference = (directory: string, wanted: ReadonlyMap<string, string>, header: string): Difference => {
  const present = existsSync(directory)
    ? readdirSync(directory, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
    : [];
  const text = (path: string): string => readFileSync(join(directory, path), "utf8");
  const isGenerated = (path: string): boolean => text(path).replace(/^# /, "").startsWith(header);
  const generated = present.filter((path) => /\.(md|svg|yaml)$/.test(path) && isGenerated(path));
  return {
    stale: new Map([...wanted].filter(([path, content]) => !present.includes(path) || text(path) !== content)),
    obsolete: generated.filter((path) => !wanted.has(path)).sort(),
  };
};

const update = (directory: string, { stale, obsolete }: Difference): void => {
  for (const [path, content] of stale) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), content);
  }
  for (const path of obsolete) rmSync(join(directory, path));
};

/** docs/ has the documents of the shipped example; those of another site go where upstream never writes. */
const outputOf = ({ file }: Selection): string => (file === REFERENCE ? DOCS : "site-docs");

/** The relative path from a page to the hand-written ones: these are in the checkout. */
const handwrittenFrom = (output: string): string => {
  const path = relative(output, DOCS);
  return path.startsWith(join("..", "..", "..")) ? "" : path;
};

const docs = (commands: DescribedCommand, { site: option, output: given, check }: DocsOptions): void => {
  const selection = selectSite(option);
  const output = given ?? outputOf(selection);
  const { site, file } = selectedSite(option, { changes: !check });
  const found = difference(
    output,
    handbook(site, [commandReference(commands), ...interfaces()], handwrittenFrom(output)),
    GENERATED_PAGE,
  );
  if (!check && found.stale.size + found.obsolete.length > 0) {
    printError(`site: ${file}`);
    update(output, found);
  }
  for (const path of found.stale.keys()) print(`${check ? "stale" : "wrote"} ${join(output, path)}`);
  for (const path of found.obsolete) print(`${check ? "obsolete" : "removed"} ${join(output, path)}`);
  if (check && found.stale.size + found.obsolete.length > 0) {
    printError('the documents differ from the site; write them with "npm run docs"');
    process.exitCode = 1;
  }
};

/** `warden docs`. @param describe describes the whole program, for a page of the handbook */
export const docsCommand = (describe: () => DescribedCommand): Command =>
  new Command("docs")
    .description("write the handbook of the site: runbooks, a page for each alert, the service catalog")
    .option("--site <file>", "the site (default: WARDEN_SITE, site.ts, or the reference site)")
    .option("--output <directory>", "where the documents are (default: site-docs; docs for the reference site)")
    .option("--check", "write nothing, and exit with 1 where a document differs from the site")
    .addHelpText(
      "after",
      `
Examples:
  warden docs            write what differs from the site, remove what is not generated any more
  warden docs --check    in a pipeline`,
    )
    .action((options: DocsOptions) => docs(describe(), options));
