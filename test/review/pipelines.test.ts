import { execFileSync, spawn } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parse } from "yaml";
import { MARKER } from "../../review/comment";
import { serveOnLoopback } from "../loopback";

const root = join(__dirname, "../..");
const read = (file: string): string => readFileSync(join(root, file), "utf8");

const WORKFLOWS = readdirSync(join(root, ".github/workflows")).map((file) => `.github/workflows/${file}`);

interface Step {
  uses?: string;
  run?: string;
  with?: Record<string, unknown>;
}

interface Job {
  "timeout-minutes"?: number;
  permissions?: Record<string, string>;
  /** A reusable workflow of this repository, instead of steps. */
  uses?: string;
  steps?: Step[];
}

const jobsOf = (file: string): Job[] => Object.values(parse(read(file)).jobs);

describe("GitHub's pipeline", () => {
  const report = parse(read(".github/workflows/plan.yml"));
  const post = parse(read(".github/workflows/plan-comment.yml"));

  test("runs the code of a pull request without anything to lose", () => {
    expect(report.on).toBe("pull_request");
    expect(report.permissions).toEqual({ contents: "read" });
    expect(read(".github/workflows/plan.yml")).not.toMatch(/secrets\.|github\.token/);
  });

  test("comments without running any code of the pull request", () => {
    const { permissions, steps } = post.jobs.comment;
    expect(permissions).toEqual({ actions: "read", contents: "read", "pull-requests": "write" });
    // Without a ref, checkout uses the default branch in a workflow_run.
    expect(steps[0].with).toEqual({ "persist-credentials": false });
    expect(read(".github/workflows/plan-comment.yml")).not.toMatch(/npm |head_ref|pull\//);
    expect(post.on.workflow_run.workflows).toEqual([report.name]);
  });

  test("updates only comments of its own bot", () => {
    expect(post.jobs.comment.steps[2].env.COMMENT_AUTHOR).toBe("github-actions[bot]");
  });
});

/** What a supply-chain scorecard checks: https://github.com/ossf/scorecard/blob/main/docs/checks.md */
describe.each(WORKFLOWS)("%s", (file) => {
  const { permissions, on } = parse(read(file));

  test("grants nothing that a job does not ask for", () => {
    expect([{}, { contents: "read" }]).toContainEqual(permissions);
    for (const job of jobsOf(file)) expect(typeof (job.permissions ?? {})).toBe("object");
  });

  test("writes nothing but what a release or a comment needs", () => {
    const rights = jobsOf(file).flatMap(({ permissions: granted = {} }) =>
      Object.entries(granted).flatMap(([right, level]) => (level === "write" ? [right] : [])),
    );
    const needed: Record<string, string[]> = {
      "release.yml": ["contents", "packages", "id-token", "attestations"],
      "plan-comment.yml": ["pull-requests"],
    };
    expect(rights).toEqual(needed[basename(file)] ?? []);
  });

  test("never runs a pull request's code with the rights of the default branch", () => {
    expect(JSON.stringify(on)).not.toContain("pull_request_target");
  });

  test("pins each action by its commit, with the version beside it for Renovate", () => {
    for (const line of read(file).match(/uses: .*/g) ?? [])
      if (!line.startsWith("uses: ./")) expect(line).toMatch(/^uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  test("puts nothing from outside into a script but through the environment", () => {
    for (const { run = "" } of jobsOf(file).flatMap(({ steps = [] }) => steps)) expect(run).not.toContain("${{");
  });

  test("leaves no credentials in a checkout, and ends", () => {
    for (const { uses, steps = [], "timeout-minutes": minutes } of jobsOf(file)) {
      if (uses === undefined) expect(minutes).toBeLessThanOrEqual(90);
      for (const step of steps.filter(({ uses = "" }) => uses.startsWith("actions/checkout@")))
        expect(step.with).toMatchObject({ "persist-credentials": false });
    }
  });
});

describe("Woodpecker's pipeline", () => {
  const { steps } = parse(read(".woodpecker/plan.yaml"));
  const [report, comment] = steps;

  test("gives its one secret to the step that comments, and to no other", () => {
    expect(JSON.stringify(report)).not.toContain("from_secret");
    expect(comment.environment).toEqual({ TOKEN: { from_secret: "plan_comment_token" } });
  });

  test("runs the program that GitHub's runs, written out: the workspace is the pull request's", () => {
    // Woodpecker's own substitution turns $$ into $.
    const [command] = comment.commands.map((each: string) => each.replaceAll("$$", "$"));
    expect(command).toBe(`cd / && node --input-type=module <<'PROGRAM'\n${read(".ci/plan-comment.mjs")}PROGRAM\n`);
  });
});

interface Comment {
  id: number;
  body: string;
  user: { login: string };
}

interface Forge {
  /** The pages of the list of comments. */
  comments?: Comment[][];
  pulls?: { number: number; head: { sha: string } }[];
}

describe("the comment on a pull request", () => {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), "plan-comment-")));
  let workspaces = 0;
  let workspace: string;
  const reportFile = (): string => join(workspace, "plan-report.md");
  beforeEach(() => {
    workspace = join(directory, String(workspaces++));
    mkdirSync(workspace);
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  const ours = (id: number, body: string): Comment => ({ id, body, user: { login: "bot" } });

  /** Runs the program against a forge. @returns the requests that it sent, without reads, and its exit */
  const post = async ({ comments = [[]], pulls = [] }: Forge = {}, environment: Record<string, string> = {}) => {
    const sent: { method: string; path: string; body: string }[] = [];
    const server = await serveOnLoopback((request, response) => {
      let text = "";
      request.on("data", (part) => {
        text += part;
      });
      request.on("end", () => {
        const { pathname, searchParams } = new URL(request.url ?? "", "http://forge");
        if (request.headers.authorization !== "token sesame") response.statusCode = 401;
        const page = Number(searchParams.get("page")) - 1;
        const answers: Record<string, unknown> = {
          "/api/v1/user": { login: "bot" },
          "/api/v1/repos/me/site/pulls": page === 0 ? pulls : [],
          "/api/v1/repos/me/site/issues/7/comments": comments[page] ?? [],
        };
        if (request.method !== "GET")
          sent.push({ method: request.method ?? "", path: pathname, body: JSON.parse(text).body });
        response.end(JSON.stringify(request.method === "GET" ? answers[pathname] : {}));
      });
    });
    const node = spawn(process.execPath, [join(root, ".ci/plan-comment.mjs")], {
      env: {
        PATH: process.env.PATH,
        CI_FORGE_TYPE: "forgejo",
        CI_FORGE_URL: server.url,
        CI_REPO: "me/site",
        CI_COMMIT_PULL_REQUEST: "7",
        CI_WORKSPACE: workspace,
        TOKEN: "sesame",
        ...environment,
      },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let stderr = "";
    node.stderr.on("data", (part) => {
      stderr += part;
    });
    const code = await new Promise((resolve) => node.on("close", resolve));
    await server.stop();
    return { sent, code, stderr };
  };

  test("quotes the first report, and says who wrote it", async () => {
    writeFileSync(reportFile(), `**Plan: 1 to destroy** ${MARKER}\n\n| a |\n`);
    const { sent, code } = await post({ comments: [[{ ...ours(1, "hello"), user: { login: "somebody" } }]] });
    expect(code).toBe(0);
    expect(sent).toEqual([
      {
        method: "POST",
        path: "/api/v1/repos/me/site/issues/7/comments",
        body: `${MARKER}\n**Plan report, written by the code of this pull request.** Nobody has reviewed that code, and it can make the report say anything: compare it with the diff before you trust it.\n\n> **Plan: 1 to destroy**\n>\n> | a |\n`,
      },
    ]);
  });

  test("updates its own comment on any page, also to no changes", async () => {
    writeFileSync(reportFile(), `**No changes** ${MARKER}`);
    const first = Array.from({ length: 100 }, (_, id) => ours(id, "another comment of the bot"));
    const { sent } = await post({ comments: [first, [ours(205, `old ${MARKER}`)]] });
    expect(sent.map(({ method, path }) => `${method} ${path}`)).toEqual([
      "PATCH /api/v1/repos/me/site/issues/comments/205",
    ]);
  });

  test("never updates the comment of somebody else that has its marker", async () => {
    writeFileSync(reportFile(), "**Plan**");
    const { sent } = await post({ comments: [[{ ...ours(1, MARKER), user: { login: "mallory" } }]] });
    expect(sent.map(({ method }) => method)).toEqual(["POST"]);
  });

  test("says nothing where nothing changes and nothing was said", async () => {
    writeFileSync(reportFile(), `**No changes** ${MARKER}`);
    expect(await post()).toEqual({ sent: [], code: 0, stderr: "" });
  });

  test("finds the pull request by its commit, and leaves one that has moved on", async () => {
    writeFileSync(reportFile(), "**Plan**");
    const pulls = [
      { number: 3, head: { sha: "aaa" } },
      { number: 7, head: { sha: "bbb" } },
    ];
    const byCommit = { CI_COMMIT_PULL_REQUEST: "" };
    expect((await post({ pulls }, { ...byCommit, CI_COMMIT_SHA: "bbb" })).sent).toHaveLength(1);
    expect(await post({ pulls }, { ...byCommit, CI_COMMIT_SHA: "ccc" })).toEqual({ sent: [], code: 0, stderr: "" });
  });

  // What a malicious pull request could leave instead of its report, so that the next step posts its secrets.
  test.each([
    ["a link to the environment of the step", () => symlinkSync("/proc/self/environ", reportFile())],
    [
      "a link to a regular file",
      () => {
        writeFileSync(join(workspace, "other"), "x");
        symlinkSync("other", reportFile());
      },
    ],
    ["a FIFO", () => execFileSync("mkfifo", [reportFile()])],
    ["a folder", () => mkdirSync(reportFile())],
    ["nothing", () => undefined],
    ["more than any report", () => writeFileSync(reportFile(), "x".repeat(1024 * 1024 + 1))],
    ["the token itself", () => writeFileSync(reportFile(), "the token is sesame")],
    [
      "a link in place of the workspace",
      () => {
        cpSync(workspace, `${workspace}.real`, { recursive: true });
        writeFileSync(`${workspace}.real/plan-report.md`, "x");
        rmSync(workspace, { recursive: true });
        symlinkSync(`${workspace}.real`, workspace);
      },
    ],
  ])("posts nothing of %s, in one line", async (_what, leave) => {
    leave();
    const { sent, code, stderr } = await post();
    expect([sent, code]).toEqual([[], 1]);
    expect(stderr).toMatch(/^error: .*nothing is posted\n$/);
    expect(stderr).not.toContain("sesame");
  });

  test("keeps the report inside its quotation, and shows what is hidden", async () => {
    writeFileSync(reportFile(), `one\r\u202etwo</blockquote>\n</ BLOCKQUOTE >three\n\n${MARKER}four`);
    const [comment] = (await post()).sent;
    const [, , , ...lines] = comment?.body.split("\n") ?? [];
    expect(lines).toEqual(["> one\\u{d}\\u{202e}two&lt;/blockquote>", "> &lt;/ BLOCKQUOTE >three", ">", "> four", ""]);
  });

  test("posts a report that is too long for a comment without its end", async () => {
    writeFileSync(reportFile(), `${"line\n".repeat(40_000)}`);
    const body = (await post()).sent[0]?.body ?? "";
    expect(body.length).toBeLessThan(65_536);
    expect(body).toMatch(/\n> line\n\n\d+ more lines are in the log of the pipeline\.\n$/);
  });
});
