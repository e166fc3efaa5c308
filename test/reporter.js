const { readFileSync } = require("node:fs");
const { join, relative } = require("node:path");

const ALLOWED_SKIPS = join(__dirname, "../.ci/allowed-skips");

/**
 * The lines of .ci/allowed-skips: `<text in the test's name> :: <why>`, `#` for comments.
 * @throws on a line without both parts
 */
const parseAllowedSkips = (text) =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const [pattern, why] = line.split(" :: ").map((part) => part.trim());
      if (!pattern || !why) throw new Error(`.ci/allowed-skips: ${line}: a line is <text in the test's name> :: <why>`);
      return { pattern, why };
    });

/** The skipped tests of one file's results, as `<file>: <full name>`; what is still to do counts too. */
const skippedTests = (file, testResults) =>
  testResults
    .filter(({ status }) => status === "pending" || status === "todo")
    .map(({ fullName }) => `${file}: ${fullName}`);

/** The skipped tests that no allowed skip covers. */
const unlistedSkips = (skipped, allowed) =>
  skipped.filter((name) => !allowed.some(({ pattern }) => name.includes(pattern)));

/** What brings a component that the lab's set-up does not. */
const BRINGS = { "cdktf-cli": "tools/cdktf/run --version" };

/**
 * One line of what was not run. The name of a skipped test ends with the reasons, `skipped: <component>: <why>; …`: most of
 * them are components that nobody has fetched yet, which one command brings.
 */
const summaryOfSkips = (skipped) => {
  const reasons = skipped.flatMap((name) => name.split(/ skipped: /)[1]?.split("; ") ?? []);
  const missing = [...new Set(reasons.map((reason) => reason.split(": ")[0]))].sort();
  const files = new Set(skipped.map((name) => name.split(": ")[0])).size;
  const why = missing.length === 0 ? "" : `, for want of ${missing.join(", ")}`;
  const commands = [...new Set(missing.map((component) => BRINGS[component] ?? "npm run lab:setup"))].sort();
  const how = commands.length === 0 ? "" : ` To run them: ${commands.join(" && ")}.`;
  return `Not run: tests of ${files} ${files === 1 ? "file" : "files"}${why}.${how} Why each: WARDEN_SKIPS=1 npm test`;
};

const lines = (texts) => texts.map((text) => `  ${text}\n`).join("");

/** How many files a run in CI names as its longest. */
const LONGEST = 25;

/** `<seconds> s <file>`, the longest first. */
const longest = (times, count = LONGEST) =>
  [...times]
    .sort(([, a], [, b]) => b - a)
    .slice(0, count)
    .map(([file, milliseconds]) => `${(milliseconds / 1000).toFixed(1)} s ${file}`);

/**
 * Tells after the run what was skipped: in one line; with WARDEN_SKIPS or in CI each test, whose name carries the reason. In
 * CI an unlisted one fails the run, and the files that took longest are named.
 */
class Reporter {
  #rootDir;
  #filtered;
  #skipped = [];
  #times = new Map();
  #error;

  constructor(globalConfig) {
    this.#rootDir = globalConfig.rootDir;
    // With -t all other tests count as skipped: that says nothing.
    this.#filtered = Boolean(globalConfig.testNamePattern);
  }

  onTestResult(_test, { testFilePath, testResults, perfStats }) {
    const file = relative(this.#rootDir, testFilePath);
    this.#times.set(file, perfStats.runtime);
    if (!this.#filtered) this.#skipped.push(...skippedTests(file, testResults));
  }

  onRunComplete() {
    if (process.env.CI) process.stderr.write(`\nLongest:\n${lines(longest(this.#times))}`);
    if (this.#skipped.length === 0) return;
    if (process.env.CI || process.env.WARDEN_SKIPS) process.stderr.write(`\nSkipped:\n${lines(this.#skipped)}`);
    else process.stderr.write(`\n${summaryOfSkips(this.#skipped)}\n`);
    if (!process.env.CI) return;
    const unlisted = unlistedSkips(this.#skipped, parseAllowedSkips(readFileSync(ALLOWED_SKIPS, "utf8")));
    if (unlisted.length === 0) return;
    this.#error = new Error(
      `skipped in CI but not in .ci/allowed-skips: make it run, or list it with the reason\n${lines(unlisted).trimEnd()}`,
    );
    process.stderr.write(`\n${this.#error.message}\n`);
  }

  getLastError() {
    return this.#error;
  }
}

module.exports = Object.assign(Reporter, { longest, parseAllowedSkips, skippedTests, summaryOfSkips, unlistedSkips });
