const { createHash } = require("node:crypto");

/**
 * Gives jest a package of many files as one that its environment has compiled: jest would find, read and compile each of
 * them anew for every file of tests.
 */
module.exports = {
  process: () => ({ code: "bundledPackage(__filename)(module, exports, require);" }),
  getCacheKey: (_text, path) => createHash("sha256").update(path).digest("hex"),
};
