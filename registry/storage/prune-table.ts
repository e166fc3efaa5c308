import { columns, plural, shortDigest } from "../report/columns";
import { formatBytes } from "../report/table";
import { undoCommand } from "./journal";
import type { PruneReport } from "./prune";

/** The plan for people: what stays and why, what goes and why, what is freed, what to do next. Lines without a line end. */
export function pruneTable({ root, keep, remove, kept, applied, journal }: PruneReport): string[] {
  const goes = [plural(remove.tags.length, "tag"), plural(remove.manifests.length, "manifest")];
  const freed = `${plural(remove.blobs, "blob")} (${formatBytes(remove.bytes)})`;
  const lines = [
    `store     ${root}`,
    `keep      ${plural(keep.tags, "tag")}, ${plural(keep.manifests, "manifest")}, ${plural(keep.blobs, "blob")} (${formatBytes(keep.bytes)})`,
    `${applied ? "removed " : "remove  "}  ${goes.join(", ")}; the garbage collection frees ${freed}`,
    "",
    ...columns([
      ["", "NAME", "REASON"],
      ...kept.map(({ repository, tag, reason }) => ["keep", `${repository}:${tag}`, reason]),
      ...remove.tags.map(({ repository, tag, reason }) => ["remove", `${repository}:${tag}`, reason]),
      ...remove.manifests.map(({ repository, digest }) => [
        "remove",
        `${repository}@${shortDigest(digest)}`,
        "no kept tag leads to it",
      ]),
    ]),
    "",
  ];
  if (!applied)
    return [...lines, "next      the same with --apply and --registry URL of the registry, stopped or read-only"];
  const collect = "registry garbage-collect CONFIG (without -m), then restart the registry and warden verify";
  return journal === null
    ? [...lines, `next      ${collect}`]
    : [...lines, `next      ${collect}`, `undo      until then: ${undoCommand(root, journal)}`];
}
