// Loaded before a script of package.json: one line where the installed packages are not those of this checkout, as after a
// pull without npm ci, in place of the stack of whatever then fails first.
const { readFileSync } = require("node:fs");
const { join } = require("node:path");

const root = join(__dirname, "..");
const read = (...path) => JSON.parse(readFileSync(join(root, ...path, "package.json"), "utf8"));

/** The installed version of a package, or undefined where it is missing. */
const installed = (name) => {
  try {
    return read("node_modules", name).version.replace(/^v/, "");
  } catch {
    return undefined;
  }
};

const { dependencies, devDependencies } = read();
// Every version is exact; an alias, npm:<package>@<version>, ends with its version.
const stale = Object.entries({ ...dependencies, ...devDependencies }).find(
  ([name, version]) => installed(name) !== version.replace(/^npm:.*@/, ""),
);
if (stale !== undefined) {
  const [name, version] = stale;
  process.stderr.write(
    `error: ${name} is ${installed(name) ?? "not installed"}, this checkout needs ${version}; run npm ci\n`,
  );
  process.exit(2);
}
