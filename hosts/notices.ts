import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Metafile } from "esbuild";

/** A third-party package in a program. */
export interface BundledPackage {
  readonly name: string;
  readonly version: string;
  /** SPDX expression from its package.json. */
  readonly license: string;
  /** The text of its license, and of its notice if it has one. */
  readonly text: string;
}

const PACKAGE_FOLDER = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/;
const LICENSE_FILE = /^(licen[cs]e|copying|notice)([.-].*)?$/i;

/**
 * The packages whose code is in a bundle, sorted by name.
 *
 * @param root the folder that the paths of the metafile are relative to
 * @throws Error for a package without a license text, which must not be redistributed
 */
export const bundledPackages = (metafile: Metafile, root: string): BundledPackage[] => {
  const folders = Object.values(metafile.outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([file, { bytesInOutput }]) =>
      bytesInOutput === 0 ? [] : (file.match(PACKAGE_FOLDER) ?? []),
    ),
  );
  return [...new Set(folders)].sort().map((folder) => describe(join(root, folder)));
};

const describe = (folder: string): BundledPackage => {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const files = readdirSync(folder).filter((file) => LICENSE_FILE.test(file));
  if (files.length === 0) throw new Error(`${name} ${version} has no licence text, so no program may contain it`);
  const text = files.sort().map((file) => readFileSync(join(folder, file), "utf8").trim());
  return { name, version, license, text: text.join("\n\n") };
};

/** The notices that the packages' licenses require, as plain text. */
export const noticesOf = (packages: readonly BundledPackage[]): string =>
  packages
    .map(({ name, version, license, text }) => `${name} ${version} (${license})\n\n${text}\n`)
    .join(`\n${"-".repeat(78)}\n\n`);

/** The same as a comment at the end of a program, so that a single file carries them. */
export const noticesComment = (packages: readonly BundledPackage[]): string =>
  packages.length === 0
    ? ""
    : `/*! Software of others in this file:\n\n${noticesOf(packages).replaceAll("*/", "* /")}*/\n`;
