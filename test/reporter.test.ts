import { longest, parseAllowedSkips, skippedTests, summaryOfSkips, unlistedSkips } from "./reporter";

describe("the reporter", () => {
  test("knows skipped and unwritten tests by file and name", () => {
    const results = [
      { status: "passed", fullName: "walks" },
      { status: "pending", fullName: "nginx skipped: nginx: not fetched" },
      { status: "todo", fullName: "later" },
    ];
    expect(skippedTests("test/lab/nginx.test.ts", results)).toEqual([
      "test/lab/nginx.test.ts: nginx skipped: nginx: not fetched",
      "test/lab/nginx.test.ts: later",
    ]);
  });

  test("says in one line what was not run, and the command that brings it", () => {
    expect(
      summaryOfSkips([
        "test/lab/nginx.test.ts: nginx skipped: nginx: not fetched: run tools/lab/setup nginx; registry: not fetched: run tools/lab/setup registry",
        "test/lab/dns.test.ts: dns skipped: hosts: this user is not root",
        "test/lab/dns.test.ts: more skipped: hosts: this user is not root",
        "test/lab/later.test.ts: later",
      ]),
    ).toBe(
      "Not run: tests of 3 files, for want of hosts, nginx, registry. To run them: npm run lab:setup. Why each: WARDEN_SKIPS=1 npm test",
    );
  });

  test("names what brings the pinned cdktf-cli, which the lab's set-up does not", () => {
    expect(summaryOfSkips(["test/lab/deploy.test.ts: deploy skipped: cdktf-cli: not installed"])).toContain(
      "To run them: tools/cdktf/run --version.",
    );
    expect(summaryOfSkips(["test/lab/a.test.ts: a skipped: cdktf-cli: no; nginx: no"])).toContain(
      "To run them: npm run lab:setup && tools/cdktf/run --version.",
    );
  });

  test("names the files that took longest, with their seconds", () => {
    const times = new Map([
      ["a.test.ts", 90],
      ["b.test.ts", 61_250],
      ["c.test.ts", 9_000],
    ]);
    expect(longest(times, 2)).toEqual(["61.3 s b.test.ts", "9.0 s c.test.ts"]);
  });

  test("a skip is listed when its name contains an allowed text", () => {
    const allowed = parseAllowedSkips("# comment\n\nhosts: not root :: the runner has no root\n");
    expect(allowed).toEqual([{ pattern: "hosts: not root", why: "the runner has no root" }]);
    expect(unlistedSkips(["a: dns skipped: hosts: not root", "b: nginx"], allowed)).toEqual(["b: nginx"]);
  });

  test.each(["hosts: not root", "hosts: not root ::", ":: why"])(
    "refuses a line without text and reason: %s",
    (line) => {
      expect(() => parseAllowedSkips(line)).toThrow(`.ci/allowed-skips: ${line}: a line is`);
    },
  );
});
