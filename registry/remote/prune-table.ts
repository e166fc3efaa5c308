import { columns } from "../../text/columns";
import { plural } from "../../text/plural";
import { shortDigest } from "../report/names";
import { formatBytes } from "../report/table";
import { doubtLine, inUseLines, runsIn } from "../storage/prune-table";
import type { Untagged } from "./plan";
import type { RemotePruneReport } from "./prune";
import type { RemoteUndoReport } from "./undo";

/** The plan as text: what stays and why, what goes and why, and the result. Lines without line endings. */
export const remotePruneTable = (report: RemotePruneReport): string[] => {
  const { registry, keep, remove, kept, applied, inUse } = report;
  const goes = [plural(remove.tags.length, "tag"), plural(remove.manifests.length, "manifest")];
  const rows = [
    ...kept.map(({ repository, tag, reason }) => ["keep", `${repository}:${tag}`, reason]),
    ...remove.tags.map(({ repository, tag, reason, by }) => [
      "remove",
      `${repository}:${tag}`,
      by === "digest" ? reason : `${reason}; its image stays, so only where a tag can be deleted alone`,
    ]),
    ...remove.manifests.map(({ repository, digest }) => [
      "remove",
      `${repository}@${shortDigest(digest)}`,
      `no kept tag leads to it${runsIn(inUse.removed.find((each) => each.repository === repository && each.digest === digest))}`,
    ]),
    ...outcomeRows(report),
  ];
  return [
    `registry  ${registry}`,
    `keep      ${plural(keep.tags, "tag")}, ${plural(keep.manifests, "manifest")}`,
    `${applied ? "removed " : "remove  "}  ${goes.join(", ")}; the registry can free up to ${plural(remove.blobs, "blob")} (${formatBytes(remove.bytes)})`,
    ...remarks(report),
    "",
    ...(rows.length === 0 ? [] : [...columns([["", "NAME", "REASON"], ...rows]), ""]),
  ];
};

/** The result of a plan that has been printed already. Lines without line endings. */
export const remoteOutcome = (report: RemotePruneReport): string[] => {
  const { journal } = report;
  const rows = outcomeRows(report);
  return [
    journal === null ? "done      nothing was removed" : `journal   ${journal}`,
    ...(rows.length === 0 ? [] : ["", ...columns([["", "NAME", "REASON"], ...rows])]),
  ];
};

/** What stayed although the plan names it, what failed and what is broken. */
const outcomeRows = ({ spared, problems, remaining }: RemotePruneReport): string[][] => [
  ...spared.map(({ repository, tag, digest, reason }) => [
    "spared",
    tag === null ? `${repository}@${shortDigest(digest)}` : `${repository}:${tag}`,
    reason,
  ]),
  ...problems.map(({ repository, digest, message }) => ["failed", `${repository}@${shortDigest(digest)}`, message]),
  ...remaining.map(({ repository, tags, digest, detail }) => [
    "broken",
    tags[0] === undefined ? `${repository}@${shortDigest(digest)}` : `${repository}:${tags[0]}`,
    detail,
  ]),
];

const UNTAGGED: Record<Untagged, string | null> = {
  listed: null,
  hidden: "this registry does not list them: what lost its tag before stays, and the ages are those of the images",
  refused:
    "this account may not list the packages (read:package on Gitea and Forgejo): what lost its tag before stays, and the ages are those of the images",
};

const remarks = ({ untagged, inUse, skipped, doubts }: RemotePruneReport): string[] => {
  const unseen = UNTAGGED[untagged];
  return [
    ...inUseLines(inUse),
    ...(unseen === null ? [] : [`untagged  ${unseen}`]),
    ...skipped.map(({ repository, reason }) => `skipped   ${repository}: ${reason}`),
    ...doubts.map(doubtLine),
  ];
};

/** What was restored. Lines without line endings. */
export const remoteUndoTable = ({ registry, journal, restored, left, problems }: RemoteUndoReport): string[] => {
  const rows = [
    ...restored.map(({ repository, digest, tags }) => [
      "restored",
      tags.length === 0 ? `${repository}@${shortDigest(digest)}` : `${repository}:${tags.join(",")}`,
      digest,
    ]),
    ...left.map(({ repository, tag, digest }) => ["left", `${repository}:${tag}`, `is ${digest} by now`]),
    ...problems.map(({ repository, digest, message }) => ["failed", `${repository}@${shortDigest(digest)}`, message]),
  ];
  return [
    `registry  ${registry}`,
    `journal   ${journal}`,
    `done      ${plural(restored.length, "manifest")} put back`,
    ...(rows.length === 0 ? [] : ["", ...columns(rows)]),
  ];
};
