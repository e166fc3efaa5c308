import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

const script = join(__dirname, "../../.ci/run");

describe(".ci/run", () => {
  let checkout: string;
  beforeEach(() => {
    checkout = mkdtempSync(join(tmpdir(), "ci-run-"));
    for (const folder of [".ci", "tools/lab", "tools/cdktf", "tools/cdktn", "bin"]) {
      mkdirSync(join(checkout, folder), { recursive: true });
    }
    cpSync(script, join(checkout, ".ci/run"));
    // Not root, so that nothing is installed.
    program("bin/id", "echo 1000");
    for (const tool of ["tools/lab/setup", "tools/cdktf/run", "tools/cdktn/compare"]) program(tool, "exit 0");
  });
  afterEach(() => rmSync(checkout, { recursive: true }));

  const program = (path: string, body: string) =>
    writeFileSync(join(checkout, path), `#!/bin/bash\n${body}\n`, { mode: 0o755 });

  /** Runs the pipeline with an npm that ends each command with a status and lets `npm test` write jest's summary. */
  const run = (statuses: { ci?: number; test?: number; lint?: number }, summary: object = {}) => {
    program(
      "bin/npm",
      `case "$1 $2" in
         "ci ") exit ${statuses.ci ?? 0} ;;
         "test --") for argument; do [[ $argument != --outputFile=* ]] || printf '%s' '${JSON.stringify(summary)}' >"\${argument#*=}"; done
           exit ${statuses.test ?? 0} ;;
         "run lint") exit ${statuses.lint ?? 0} ;;
         *) exit 0 ;;
       esac`,
    );
    const { status, stdout } = spawnSync(join(checkout, ".ci/run"), {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: [join(checkout, "bin"), process.env.PATH].join(delimiter), HOME: checkout },
    });
    return { status, last: stdout.trimEnd().split("\n").at(-1), output: stdout };
  };
  const green = {
    numPassedTests: 7,
    numFailedTests: 0,
    numRuntimeErrorTestSuites: 0,
    numPendingTests: 2,
    numTodoTests: 1,
  };

  test("ends with the counts alone on a line", () => {
    expect(run({}, green)).toMatchObject({ status: 0, last: "7 passed, 0 failed, 3 skipped" });
  });

  test("tells the time of each part, the quick ones first", () => {
    expect(run({}, green).output).toMatch(
      /\n==> npm ci \d+ s, lint \d+ s, docs \d+ s, cdktn \d+ s, cdktf-cli \d+ s, lab \d+ s, test \d+ s\n7 passed/,
    );
  });

  test("the output of a part that ran beside others is whole, and told once it is waited for", () => {
    program("tools/lab/setup", "echo one; echo two >&2; exit 1");
    const { output } = run({}, green);
    expect(output).toMatch(/==> lab \(began earlier\)\none\ntwo\n==> lab: \d+ s, exit code 1\n==> test\n/);
  });

  test("a component that cannot be had fails it, although its tests were skipped", () => {
    program("tools/lab/setup", "exit 1");
    expect(run({}, green)).toMatchObject({ status: 1, last: "7 passed, 1 failed, 3 skipped" });
  });

  test.each([
    ["failed tests", { test: 1 }, { ...green, numFailedTests: 2 }, "7 passed, 2 failed, 3 skipped"],
    [
      "a file that cannot run",
      { test: 1 },
      { ...green, numRuntimeErrorTestSuites: 1 },
      "7 passed, 1 failed, 3 skipped",
    ],
    ["an unlisted skip", { test: 1 }, green, "7 passed, 1 failed, 3 skipped"],
    ["lint", { lint: 1 }, green, "7 passed, 1 failed, 3 skipped"],
    ["failed tests and lint", { test: 1, lint: 1 }, { ...green, numFailedTests: 2 }, "7 passed, 3 failed, 3 skipped"],
    ["no dependencies", { ci: 1 }, green, "0 passed, 1 failed, 0 skipped"],
  ])("fails on %s", (_what, statuses, summary, last) => {
    expect(run(statuses, summary)).toMatchObject({ status: 1, last });
  });
});
