const { resolve } = require("node:path");
const { Script } = require("node:vm");
const { TestEnvironment } = require("jest-environment-node");
const { buildSync } = require("./bundler.js");

const root = resolve(__dirname, "..");

/** By file, once for each worker: every context that runs a script has the same compiled code. */
const scripts = new Map();

/** Bundles a package, with those that it needs, into one script. Whose classes are compared stays one for all. */
const scriptOf = (path) => {
  let script = scripts.get(path);
  if (script === undefined) {
    const [{ text }] = buildSync({
      absWorkingDir: root,
      entryPoints: [path],
      bundle: true,
      write: false,
      metafile: true,
      platform: "node",
      format: "cjs",
      external: ["constructs", "cdktf"],
      // CDKTF would find out for every value where it was created, which takes longer than to create it.
      define: { "Error.captureStackTrace": "Object" },
      logLevel: "error",
    }).outputFiles;
    script = new Script(`(function (module, exports, require) {${text}\n})`, { filename: path });
    scripts.set(path, script);
  }
  return script;
};

/** Where the tests run: Node's own, and the packages of many files that nearly every test loads. */
module.exports = class extends TestEnvironment {
  constructor(...given) {
    super(...given);
    this.global.bundledPackage = (path) => scriptOf(path).runInContext(this.getVmContext());
  }
};
