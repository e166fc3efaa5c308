import { columns } from "../../text/columns";
import { plural } from "../../text/plural";
import { shortDigest } from "../report/names";
import { formatBytes } from "../report/table";
import { undoCommand } from "./journal";
import type { PruneReport, RemovedInUse, RetentionReport } from "./prune";
import type { Doubt } from "./tag-age";

/** The plan as text: what stays and why, what goes and why, what is freed, what to do next. Lines without line endings. */
export const pruneTable = (report: PruneReport): string[] => {
  const { root, keep, remove, kept, applied, journal, inUse } = report;
  const goes = [plural(remove.tags.length, "tag"), plural(remove.manifests.length, "manifest")];
  const freed = `${plural(remove.blobs, "blob")} (${formatBytes(remove.bytes)})`;
  const rows = [
    ...kept.map(({ repository, tag, reason }) => ["keep", `${repository}:${tag}`, reason]),
    ...remove.tags.map(({ repository, tag, reason }) => ["remove", `${repository}:${tag}`, reason]),
    ...remove.manifests.map(({ repository, digest }) => [
      "remove",
      `${repository}@${shortDigest(digest)}`,
      `no kept tag leads to it${runsIn(inUse.removed.find((each) => each.repository === repository && each.digest === digest))}`,
    ]),
  ];
  const lines = [
    `store     ${root}`,
    `keep      ${plural(keep.tags, "tag")}, ${plural(keep.manifests, "manifest")}, ${plural(keep.blobs, "blob")} (${formatBytes(keep.bytes)})`,
    `${applied ? "removed " : "remove  "}  ${goes.join(", ")}; the garbage collection frees ${freed}`,
    ...remarks(report),
    "",
    ...(rows.length === 0 ? [] : [...columns([["", "NAME", "REASON"], ...rows]), ""]),
  ];
  if (!applied)
    return [...lines, "next      the same with --apply and --registry URL of the registry, stopped or read-only"];
  const collect = "registry garbage-collect CONFIG (without -m), then restart the registry and warden verify";
  return journal === null
    ? [...lines, `next      ${collect}`]
    : [...lines, `next      ${collect}`, `undo      until then: ${undoCommand(root, journal)}`];
};

/** Appended to the reason why a manifest goes. */
export const runsIn = (removed: RemovedInUse | undefined): string =>
  removed === undefined ? "" : `; it runs in ${removed.clusters.join(", ")}`;

const DOUBTS: Record<Doubt, string> = {
  copied: "have the times of a copy, which do not say when they were pushed",
  future: "have a time in the future",
  "before-image": "have a time before their image was made",
  "no-date": "have an image that does not say when it was made",
};

/** Tags whose times are not reliable. */
export const doubtLine = ({ repository, doubt, tags }: RetentionReport["doubts"][number]): string => {
  const instead = doubt === "no-date" ? "" : " (--order created goes by the dates of the images)";
  return `times     ${repository}: ${plural(tags, "tag")} ${DOUBTS[doubt]}: nothing goes by that${instead}`;
};

/** What the plan left alone, and why; what has to be done before the collection. */
const remarks = ({ skipped, doubts, foreign, inUse }: PruneReport): string[] => [
  ...inUseLines(inUse),
  ...skipped.map(({ repository, reason }) => `skipped   ${repository}: ${reason}`),
  ...doubts.map(doubtLine),
  ...foreign.map((path) => `foreign   ${path}: warden scan tells what it does, and what to do`),
];

/** What is in use, according to the clusters' reports, and whether it stays. */
export const inUseLines = (inUse: RetentionReport["inUse"]): string[] => {
  const running = inUse.removed.length;
  return [
    ...inUse.reports.map(({ cluster, time, digests, protected: isProtected, problem }) =>
      problem === null
        ? `in use    ${cluster}: ${plural(digests, "digest")} at ${time}, ${isProtected ? "which stay" : "which the policy does not protect"}`
        : `in use    ${cluster}: the report ${problem}`,
    ),
    ...(running === 0
      ? []
      : [
          `warning   ${plural(running, "manifest")} of what goes ${running === 1 ? "is in use: retention.protectInUse keeps it" : "are in use: retention.protectInUse keeps them"}`,
        ]),
  ];
};
