import { columns } from "../../text/columns";
import { plural } from "../../text/plural";
import { nameOf, shortDigest } from "../report/names";
import { undoCommand } from "./journal";
import type { RepairReport } from "./repair";

/** The report as text: what is done, what stays broken, what to do next. Lines without line endings. */
export const repairTable = (report: RepairReport): string[] => {
  const { registry, actions, remaining, applied, problems, journal } = report;
  const lines = [
    `registry  ${registry}`,
    `${applied ? "done     " : "plan     "} ${plural(actions.length, "action")}`,
    `remains   ${remaining.length === 0 ? "nothing broken" : plural(remaining.length, "failure")}`,
  ];
  if (actions.length > 0) {
    const rows = actions.map(({ action, repository, digest, source, tags }) => [
      action,
      nameOf(repository, tags),
      shortDigest(digest),
      action === "discard" ? `with ${tags.length === 0 ? "no tag" : tags.join(", ")}` : `from ${source}`,
    ]);
    lines.push("", ...columns([["ACTION", "NAME", "DIGEST", ""], ...rows]));
  }
  if (remaining.length > 0) {
    const rows = remaining.map(({ repository, tags, reason, object, digest, detail }) => [
      reason,
      object,
      nameOf(repository, tags),
      shortDigest(digest),
      detail,
    ]);
    lines.push("", ...columns([["REASON", "OBJECT", "NAME", "DIGEST", "DETAIL"], ...rows]));
  }
  if (problems.length > 0) {
    const rows = problems.map(({ repository, digest, message }) => [
      "failed",
      repository,
      shortDigest(digest),
      message,
    ]);
    lines.push("", ...columns(rows));
  }
  if (journal !== undefined) {
    const root = journal.slice(0, journal.lastIndexOf("/registry-warden/"));
    lines.push(
      "",
      "until the next garbage collection this puts back what was discarded:",
      `undo      ${undoCommand(root, journal)}`,
    );
  }
  const next = nextSteps(report);
  return next.length === 0
    ? lines
    : [...lines, "", ...next.map((step, at) => `${at === 0 ? "next" : "    "}      ${step}`)];
};

const nextSteps = ({ actions, remaining, applied }: RepairReport): string[] => {
  const steps: string[] = [];
  if (!applied && actions.length > 0) steps.push("the same with --apply");
  if (applied && actions.length > 0) {
    steps.push("a cache in front of the registry (nginx proxy_cache) still answers as before: purge it");
  }
  if (applied && remaining.length > 0) {
    steps.push("restart the registry, which remembers lost blobs as present, and run this again");
  }
  if (remaining.length > 0) {
    steps.push(
      "--from REGISTRY copies what another registry has",
      "--storage FOLDER finds what is still on this one's disk, and replaces broken data there, which a push does not",
      "--discard NAME gives up what nothing heals, by a name of this table",
    );
  }
  return steps;
};
