// Tells what `warden verify --json` found in the words of a GitHub runner: annotations on standard output, the job's summary,
// and the action's outputs. https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
import { appendFileSync, readFileSync } from "node:fs";

const [, , file] = process.argv;
const { GITHUB_STEP_SUMMARY, GITHUB_OUTPUT } = process.env;

// A runner shows ten of a step; a summary holds 1 MiB.
const MOST_ANNOTATIONS = 10;
const MOST_ROWS = 200;

// The report is one line of JSON for a runner: what comes from a registry must not begin a command of its own.
const data = (text) => text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
const property = (text) => data(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
const annotate = (title, message) => process.stdout.write(`::error title=${property(title)}::${data(message)}\n`);

// Text that came from a registry, in a cell of a table: inside a code span only backticks and pipes mean anything.
const cell = (text) =>
  `\`${String(text)
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (each) => `\\u{${each.codePointAt(0).toString(16)}}`)
    .replaceAll("`", "'")
    .replaceAll("|", "\\|")}\``;

const summary = (lines) => appendFileSync(GITHUB_STEP_SUMMARY, `${lines.join("\n")}\n`);

const imageOf = ({ repository, tags, digest }) =>
  repository === null ? "the catalog" : `${repository}${tags.length > 0 ? `:${tags[0]}` : digest ? `@${digest}` : ""}`;

const report = JSON.parse(readFileSync(file, "utf8"));

if (report.error && !report.failures) {
  const { message, hint } = report.error;
  annotate("not verified", `${message}; ${hint}`);
  summary(["### Not verified", "", `${cell(message)}`, "", `${cell(hint)}`]);
} else {
  const { registry, complete, counts, failures } = report;
  for (const failure of failures.slice(0, MOST_ANNOTATIONS)) {
    const { object, reason, platform, digest } = failure;
    annotate(imageOf(failure), [object, digest, reason, platform && `(${platform})`].filter(Boolean).join(" "));
  }
  if (failures.length > MOST_ANNOTATIONS)
    annotate("more", `${failures.length - MOST_ANNOTATIONS} more are in the summary and in the reports`);
  const rows = failures
    .slice(0, MOST_ROWS)
    .map((failure) => [imageOf(failure), failure.platform ?? "", failure.object, failure.digest ?? "", failure.reason])
    .map((row) => `| ${row.map((value) => (value === "" ? "" : cell(value))).join(" | ")} |`);
  summary([
    `### ${failures.length === 0 ? (complete ? "Every image can be pulled" : "Not all could be verified") : `${failures.length} broken`}`,
    "",
    `${cell(registry)}: ${counts.tags} tags, ${counts.indexes} indexes, ${counts.manifests} manifests, ${counts.blobs} blobs`,
    ...(rows.length === 0
      ? []
      : ["", "| image | platform | object | digest | reason |", "|---|---|---|---|---|", ...rows]),
    ...(failures.length > MOST_ROWS ? ["", `${failures.length - MOST_ROWS} more are in the reports.`] : []),
  ]);
  appendFileSync(GITHUB_OUTPUT, `complete=${complete}\nfailures=${failures.length}\n`);
}
