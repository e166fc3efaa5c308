const { createHash } = require("node:crypto");
const { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } = require("node:fs");
const { join, resolve } = require("node:path");
// By its path: its name leads here.
const esbuild = require("../node_modules/esbuild/lib/main.js");

const FOLDER = join(__dirname, "../node_modules/.cache/registry-warden");
/** Which packages there are follows from it. */
const LOCK = join(__dirname, "../package-lock.json");

const stateOf = (path) => {
  const { mtimeMs, size } = statSync(path, { throwIfNoEntry: false }) ?? {};
  return `${mtimeMs} ${size}`;
};

const statesOf = (paths) => Object.fromEntries(paths.map((path) => [path, stateOf(path)]));

const read = (file) => {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
};

/**
 * esbuild in the tests: what was bundled once is not bundled again, in whatever file of tests, until one of its inputs has
 * changed. Every stack holds the programs of its CronJobs, so that half of the files would bundle the same ones.
 */
const buildSync = (options) => {
  // Only the list of inputs tells whether one has changed.
  if (!options.metafile || !options.absWorkingDir) return esbuild.buildSync(options);
  const file = join(FOLDER, `${createHash("sha256").update(JSON.stringify(options)).digest("hex")}.json`);
  const known = read(file);
  if (known !== undefined && Object.entries(known.states).every(([path, state]) => stateOf(path) === state))
    return known.result;
  const { errors, warnings, metafile, outputFiles } = esbuild.buildSync(options);
  const result = { errors, warnings, metafile, outputFiles: outputFiles.map(({ path, text }) => ({ path, text })) };
  const inputs = Object.keys(metafile.inputs).map((path) => resolve(options.absWorkingDir, path));
  mkdirSync(FOLDER, { recursive: true });
  const own = `${file}.${process.pid}`;
  writeFileSync(own, JSON.stringify({ states: statesOf([LOCK, ...inputs]), result }));
  renameSync(own, file);
  return result;
};

module.exports = { ...esbuild, buildSync };
