import { parseAllowedSkips, skippedTests, unlistedSkips } from "./reporter";

describe("the reporter of skipped tests", () => {
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
