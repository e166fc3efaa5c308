import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";

const root = join(__dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "action-"));
afterAll(() => rmSync(folder, { recursive: true }));

const DIGEST = `sha256:${"a".repeat(64)}`;

const failure = (changes: object = {}) => ({
  repository: "team/app",
  tags: ["v1"],
  digest: DIGEST,
  object: "manifest",
  reason: "missing",
  status: 404,
  platform: "linux/arm64",
  path: [DIGEST],
  ...changes,
});

/** What the action hands to the runner for a report. */
const told = (report: object) => {
  const files = {
    report: join(folder, "report.json"),
    summary: join(folder, "summary"),
    output: join(folder, "output"),
  };
  writeFileSync(files.report, JSON.stringify(report));
  for (const file of [files.summary, files.output]) writeFileSync(file, "");
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, "action/report.mjs"), files.report], {
    encoding: "utf8",
    env: { GITHUB_STEP_SUMMARY: files.summary, GITHUB_OUTPUT: files.output },
  });
  expect([status, stderr]).toEqual([0, ""]);
  return {
    commands: stdout.split("\n").filter(Boolean),
    summary: readFileSync(files.summary, "utf8"),
    output: readFileSync(files.output, "utf8"),
  };
};

const report = (failures: object[], complete = true) => ({
  registry: "https://registry.test",
  complete,
  counts: { tags: 1, indexes: 1, manifests: 2, blobs: 5 },
  failures,
});

test("a whole image: no annotation, one line in the summary", () => {
  expect(told(report([]))).toEqual({
    commands: [],
    summary: "### Every image can be pulled\n\n`https://registry.test`: 1 tags, 1 indexes, 2 manifests, 5 blobs\n",
    output: "complete=true\nfailures=0\n",
  });
});

test("an incomplete walk is not reported as intact", () => {
  expect(told(report([], false)).summary).toContain("### Not all could be verified");
});

test("a broken image: an annotation and a row that name it, its platform and what is gone", () => {
  const { commands, summary, output } = told(report([failure()]));
  expect(commands).toEqual([`::error title=team/app%3Av1::manifest ${DIGEST} missing (linux/arm64)`]);
  expect(summary).toContain(`| \`team/app:v1\` | \`linux/arm64\` | \`manifest\` | \`${DIGEST}\` | \`missing\` |`);
  expect(output).toBe("complete=true\nfailures=1\n");
});

test.each([
  ["the catalog", { repository: null, tags: [], digest: null, object: "catalog" }, "the catalog"],
  ["an untagged manifest", { tags: [] }, `team/app@${DIGEST}`],
  ["a repository", { tags: [], digest: null, object: "repository" }, "team/app"],
])("names %s", (_what, changes, name) => {
  expect(told(report([failure(changes)])).summary).toContain(`| \`${name}\` |`);
});

test("failures beyond what a runner shows are counted, and the summary is bounded", () => {
  const { commands, summary } = told(report(Array.from({ length: 5_000 }, () => failure())));
  expect(commands).toHaveLength(11);
  expect(commands[10]).toContain("4990 more");
  expect(Buffer.byteLength(summary)).toBeLessThan(1024 * 1024);
  expect(summary).toContain("4800 more are in the reports.");
});

test("text from a registry cannot start a command, a table row or a code span", () => {
  const { commands, summary } = told(
    report([failure({ platform: "x\n::warning::owned\r\n::stop-commands::x", repository: "a|b`<img>\u202e" })]),
  );
  expect(commands).toHaveLength(1);
  expect(summary).toContain("| `a\\|b'<img>\\u{202e}:v1` | `x\\u{a}::warning::owned\\u{d}\\u{a}::stop-commands::x` |");
});

test("a walk that did not begin says why and what to do", () => {
  const { commands, summary } = told({
    version: 1,
    error: { code: "unreachable", message: "no answer", hint: "look" },
  });
  expect(commands).toEqual(["::error title=not verified::no answer; look"]);
  expect(summary).toBe("### Not verified\n\n`no answer`\n\n`look`\n");
});

describe("action.yml", () => {
  const action = parse(readFileSync(join(root, "action.yml"), "utf8"));

  test("passes its inputs through the environment, so that none of them is parsed as shell", () => {
    const [step] = action.runs.steps;
    expect(step.run).toBe('"$ACTION/action/verify"');
    expect(Object.values(step.env)).toEqual([
      ...Object.keys(action.inputs).map((name) => `\${{ inputs.${name} }}`),
      "${{ github.action_path }}",
    ]);
  });

  test("takes credentials only from the environment of the job", () => {
    expect(Object.keys(action.inputs)).toEqual(["image", "registry", "blobs"]);
  });
});
