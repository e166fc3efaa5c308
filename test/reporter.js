const { readFileSync } = require("node:fs");
const { join, relative } = require("node:path");

const ALLOWED_SKIPS = join(__dirname, "../.ci/allowed-skips");

/**
 * The lines of .ci/allowed-skips: `<text in the test's name> :: <why>`, `#` for comments.
 * @throws on a line without both parts
 */
function parseAllowedSkips(text) {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const [pattern, why] = line.split(" :: ").map((part) => part.trim());
      if (!pattern || !why) throw new Error(`.ci/allowed-skips: ${line}: a line is <text in the test's name> :: <why>`);
      return { pattern, why };
    });
}

/** The skipped tests of one file's results, as `<file>: <full name>`; what is still to do counts too. */
function skippedTests(file, testResults) {
  return testResults
    .filter(({ status }) => status === "pending" || status === "todo")
    .map(({ fullName }) => `${file}: ${fullName}`);
}

/** The skipped tests that no allowed skip covers. */
function unlistedSkips(skipped, allowed) {
  return skipped.filter((name) => !allowed.some(({ pattern }) => name.includes(pattern)));
}

/** Prints every skipped test, whose name carries the reason, after the run; in CI an unlisted one fails the run. */
class SkipReporter {
  #rootDir;
  #filtered;
  #skipped = [];
  #error;

  constructor(globalConfig) {
    this.#rootDir = globalConfig.rootDir;
    // With -t all other tests count as skipped: that says nothing.
    this.#filtered = Boolean(globalConfig.testNamePattern);
  }

  onTestResult(_test, { testFilePath, testResults }) {
    if (!this.#filtered) this.#skipped.push(...skippedTests(relative(this.#rootDir, testFilePath), testResults));
  }

  onRunComplete() {
    if (this.#skipped.length === 0) return;
    process.stderr.write(`\nSkipped:\n${this.#skipped.map((name) => `  ${name}\n`).join("")}`);
    if (!process.env.CI) return;
    const unlisted = unlistedSkips(this.#skipped, parseAllowedSkips(readFileSync(ALLOWED_SKIPS, "utf8")));
    if (unlisted.length === 0) return;
    this.#error = new Error(
      `skipped in CI but not in .ci/allowed-skips: make it run, or list it with the reason\n${unlisted.map((name) => `  ${name}`).join("\n")}`,
    );
    process.stderr.write(`\n${this.#error.message}\n`);
  }

  getLastError() {
    return this.#error;
  }
}

module.exports = Object.assign(SkipReporter, { parseAllowedSkips, skippedTests, unlistedSkips });
