// Posts plan-report.md on its pull request, or updates the comment that it posted before. The report was written by the
// code of the pull request, which nobody has reviewed: it is read only where it is a regular file (a symbolic link to
// /proc/self/environ would post this job's token), and it is quoted, so that it never reads as the pipeline's own words.
//
// Variables, with Woodpecker's names: CI_FORGE_TYPE, CI_FORGE_URL, CI_REPO, CI_WORKSPACE (the folder of the report),
// CI_COMMIT_PULL_REQUEST or, where that is not known, CI_COMMIT_SHA; TOKEN; COMMENT_AUTHOR where the token may not ask
// who it belongs to. https://woodpecker-ci.org/docs/usage/environment
import { closeSync, constants, fstatSync, openSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";

const { CI_FORGE_TYPE, CI_FORGE_URL, CI_REPO, CI_COMMIT_PULL_REQUEST, CI_COMMIT_SHA, CI_WORKSPACE, TOKEN } =
  process.env;
const { COMMENT_AUTHOR } = process.env;
const MARKER = "<!-- registry-warden plan-report -->";
const HEAD = `${MARKER}\n**Plan report, written by the code of this pull request.** Nobody has reviewed that code, and it can make the report say anything: compare it with the diff before you trust it.`;
// GitHub refuses a comment of more characters, Gitea and Forgejo one of more bytes than they are set to.
const LONGEST = 65_000;
const LARGEST_FILE = 1024 * 1024;

const fail = (message) => {
  process.stderr.write(`error: ${message}\n`);
  process.exit(1);
};

const readReport = () => {
  const path = join(CI_WORKSPACE, "plan-report.md");
  let file;
  try {
    if (realpathSync(CI_WORKSPACE) !== CI_WORKSPACE) fail(`${CI_WORKSPACE} leads elsewhere; nothing is posted`);
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    fail(`${path} cannot be read (${error.code}): the report has to be a regular file; nothing is posted`);
  }
  const found = fstatSync(file);
  if (!found.isFile()) fail(`${path} is not a regular file; nothing is posted`);
  if (found.size > LARGEST_FILE) fail(`${path} has ${found.size} bytes, more than any report; nothing is posted`);
  const text = readFileSync(file, "utf8");
  closeSync(file);
  if (text.includes(TOKEN)) fail("the report holds this job's token; nothing is posted");
  return text;
};

// What is not seen, or turns the text around it, is written as its code point; nothing closes the quotation.
const quoted = (text) => {
  const lines = text
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (each) =>
      each === "\n" || each === "\t" ? each : `\\u{${each.codePointAt(0).toString(16)}}`,
    )
    .replaceAll(MARKER, "")
    .replaceAll(/<(?=\s*\/\s*blockquote)/gi, "&lt;")
    .trimEnd()
    .split("\n")
    .map((line) => `> ${line}`.trimEnd());
  let length = 0;
  const kept = lines.filter((line) => {
    length += line.length + 1;
    return length <= LONGEST - HEAD.length - 200;
  });
  const cut = lines.length - kept.length;
  return cut === 0 ? kept.join("\n") : `${kept.join("\n")}\n\n${cut} more lines are in the log of the pipeline.`;
};

const api = CI_FORGE_TYPE === "github" ? (CI_FORGE_URL ?? "https://api.github.com") : `${CI_FORGE_URL}/api/v1`;

const call = async (method, path, content) => {
  const response = await fetch(`${api}${path}`, {
    method,
    redirect: "error",
    headers: { authorization: `token ${TOKEN}`, "content-type": "application/json" },
    body: content && JSON.stringify(content),
  }).catch((error) => fail(`${method} ${path}: ${error.cause?.code ?? error.message}`));
  if (!response.ok) fail(`${method} ${path}: status ${response.status}`);
  return response.json();
};

// All of a listing, whether the server pages it or not.
const all = async (path) => {
  const found = new Map();
  for (let page = 1; page <= 100; page++) {
    const entries = await call("GET", `${path}per_page=100&page=${page}`);
    const before = found.size;
    for (const entry of entries) found.set(entry.id, entry);
    if (entries.length < 100 || found.size === before) break;
  }
  return [...found.values()];
};

const report = readReport();

// Looked up by the commit where the pipeline is not told the number: one that the pull request wrote could name another.
const number =
  CI_COMMIT_PULL_REQUEST ||
  (await all(`/repos/${CI_REPO}/pulls?state=open&`)).find(({ head }) => head.sha === CI_COMMIT_SHA)?.number;

if (number === undefined) {
  process.stdout.write(`no open pull request has the commit ${CI_COMMIT_SHA} any more: nothing is posted\n`);
} else {
  const author = COMMENT_AUTHOR || (await call("GET", "/user")).login;
  if (!author) fail("the forge does not say whose token this is; set COMMENT_AUTHOR");
  const ours = (await all(`/repos/${CI_REPO}/issues/${number}/comments?`)).find(
    ({ user, body }) => user?.login === author && body.includes(MARKER),
  );
  const body = `${HEAD}\n\n${quoted(report)}\n`;
  if (ours) await call("PATCH", `/repos/${CI_REPO}/issues/comments/${ours.id}`, { body });
  else if (report.startsWith("**No changes**")) process.stdout.write("no changes: there is nothing to say\n");
  else await call("POST", `/repos/${CI_REPO}/issues/${number}/comments`, { body });
}
