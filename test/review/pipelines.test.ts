import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { MARKER } from "../../review/comment";

const read = (file: string): string => readFileSync(join(__dirname, "..", "..", file), "utf8");

describe("GitHub's pipeline", () => {
  const report = parse(read(".github/workflows/plan.yml"));
  const post = parse(read(".github/workflows/plan-comment.yml"));

  test("runs the code of a pull request without anything to lose", () => {
    expect(report.on).toBe("pull_request");
    expect(report.permissions).toEqual({ contents: "read" });
    expect(read(".github/workflows/plan.yml")).not.toMatch(/secrets\.|github\.token/);
  });

  test("comments without running any code of the pull request", () => {
    expect(post.permissions).toEqual({ actions: "read", contents: "read", "pull-requests": "write" });
    expect(read(".github/workflows/plan-comment.yml")).not.toMatch(/uses:|npm |node /);
    expect(post.on.workflow_run.workflows).toEqual([report.name]);
  });

  test("finds its own comment by the report's marker", () => {
    expect(post.jobs.comment.env.MARKER).toBe(MARKER);
  });

  test("puts nothing of the pull request into a script but through the environment", () => {
    for (const { run = "" } of [...report.jobs.report.steps, ...post.jobs.comment.steps])
      expect(run).not.toContain("${{");
  });
});

describe("Woodpecker's pipeline", () => {
  const { steps } = parse(read(".woodpecker/plan.yaml"));
  const [report, comment] = steps;
  const directory = mkdtempSync(join(tmpdir(), "woodpecker-"));
  afterAll(() => rmSync(directory, { recursive: true }));

  test("gives its one secret to the step that comments, and to no other", () => {
    expect(JSON.stringify(report)).not.toContain("from_secret");
    expect(comment.environment).toEqual({ TOKEN: { from_secret: "plan_comment_token" } });
  });

  /** The program of the step, as the shell of the step would hand it to node. */
  const program = (): string => {
    // Woodpecker's own substitution: $$ stands for $.
    const [command] = comment.commands.map((each: string) => each.replaceAll("$$", "$"));
    return command.split("<<'PROGRAM'\n")[1].split("PROGRAM")[0];
  };

  /** What the program asks of a forge that has the given comments. */
  const requests = async (body: string, comments: readonly { id: number; body: string }[]): Promise<string[]> => {
    writeFileSync(join(directory, "plan-report.md"), body);
    const asked: string[] = [];
    const server = createServer((request, response) => {
      let text = "";
      request.on("data", (part) => {
        text += part;
      });
      request.on("end", () => {
        asked.push([request.method, request.url, request.headers.authorization, text].join(" ").trim());
        response.end(JSON.stringify(request.method === "GET" ? comments : {}));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const environment = {
      PATH: process.env.PATH,
      CI_FORGE_TYPE: "forgejo",
      CI_FORGE_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      CI_REPO: "me/site",
      CI_COMMIT_PULL_REQUEST: "7",
      CI_WORKSPACE: directory,
      TOKEN: "token",
    };
    const node = spawn(process.execPath, ["--input-type=module", "-e", program()], {
      env: environment,
      stdio: "inherit",
    });
    const code = await new Promise((resolve) => node.on("exit", resolve));
    server.close();
    expect(code).toBe(0);
    return asked;
  };

  const LIST = "GET /api/v1/repos/me/site/issues/7/comments?per_page=100 token token";
  const body = `**Plan** ${MARKER}`;

  test("posts the first report", async () => {
    expect(await requests(body, [{ id: 1, body: "hello" }])).toEqual([
      LIST,
      `POST /api/v1/repos/me/site/issues/7/comments token token ${JSON.stringify({ body })}`,
    ]);
  });

  test("updates its own, also to no changes", async () => {
    const none = `**No changes** ${MARKER}`;
    expect(await requests(none, [{ id: 5, body: `old ${MARKER}` }])).toEqual([
      LIST,
      `PATCH /api/v1/repos/me/site/issues/comments/5 token token ${JSON.stringify({ body: none })}`,
    ]);
  });

  test("says nothing where nothing changes and nothing was said", async () => {
    expect(await requests(`**No changes** ${MARKER}`, [])).toEqual([LIST]);
  });
});
