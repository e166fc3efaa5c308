import { columns } from "../../text/columns";
import { plural } from "../../text/plural";
import { commandLine } from "../../text/shell-word";
import { shortDigest } from "../report/names";
import type { UndeletedImage, UndeleteReport } from "./undelete";

/** The report as text: what can be or was restored, and what to do next. Lines without line endings. */
export const undeleteTable = ({ registry, root, images, applied, problems, remaining }: UndeleteReport): string[] => {
  const restored = images.filter(({ deletedAt, restoredTags }) => deletedAt !== null || restoredTags.length > 0);
  const lines = [
    `registry  ${registry}`,
    `store     ${root}`,
    `${applied ? "done     " : "plan     "} ${plural(restored.length, "image")} put back`,
  ];
  if (images.length > 0) lines.push("", ...columns([["NAME", "DIGEST", "CREATED", "DELETED"], ...images.map(row)]));
  const failed = [
    ...problems.map(({ repository, digest, message }) => ["failed", repository, shortDigest(digest), message]),
    ...remaining.map(({ repository, digest, reason, detail }) => [reason, repository, shortDigest(digest), detail]),
  ];
  if (failed.length > 0) return [...lines, "", ...columns(failed)];
  if (applied || images.length === 0) return lines;
  const nameless = images.filter(({ tags }) => tags.length === 0);
  const all =
    restored.length === 0
      ? []
      : [`next      ${commandLine("warden", "undelete", registry, "--storage", root, "--apply")}`];
  return [
    ...lines,
    "",
    ...all,
    ...nameless.map(({ repository, digest }) => {
      const words = ["warden", "undelete", registry, `${repository}:TAG@${digest}`, "--storage", root, "--apply"];
      return `or        ${commandLine(...words)}`;
    }),
  ];
};

const row = ({ repository, digest, createdAt, deletedAt, tags, restoredTags }: UndeletedImage): string[] => {
  const kept = tags.filter((tag) => !restoredTags.includes(tag));
  const named = restoredTags.length > 0 ? `${repository}:${restoredTags.join(",")}` : `${repository} (no tag known)`;
  const name =
    restoredTags.length === 0 && kept.length > 0 ? `${repository} (${kept.join(", ")} is another now)` : named;
  return [name, digest, dateOf(createdAt), deletedAt === null ? "no, no tag leads to it" : dateOf(deletedAt)];
};

const dateOf = (at: number | null): string =>
  at === null ? "-" : new Date(at).toISOString().slice(0, 16).replace("T", " ");
