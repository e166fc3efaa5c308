const { createHash } = require("node:crypto");
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { buildSync } = require("esbuild");

/** What is in the packages, and which esbuild bundles them, follows from it. */
const LOCK = readFileSync(join(__dirname, "../package-lock.json"), "utf8");

/**
 * Gives jest a package as one file: it would find, read and compile each of its hundred files anew for every file of tests.
 * What the package needs of other packages stays theirs.
 */
module.exports = {
  process: (_text, path) => ({
    code: buildSync({
      entryPoints: [path],
      bundle: true,
      write: false,
      platform: "node",
      format: "cjs",
      packages: "external",
      logLevel: "error",
    }).outputFiles[0].text,
  }),
  getCacheKey: (text, path) => createHash("sha256").update([LOCK, path, text].join("\0")).digest("hex"),
};
