import { columns } from "../../text/columns";
import { plural } from "../../text/plural";
import { shellWord } from "../../text/shell-word";
import { nameOf, shortDigest } from "../report/names";
import { type Finding, type FindingKind, isError } from "./finding";
import type { ScanReport } from "./scan";

/** The report as text: what was scanned, the findings, what to do next. Lines without line endings. */
export const scanTable = (report: ScanReport): string[] => {
  const { root, role, counts, findings, fixed, unreadable } = report;
  const checked = [
    plural(counts.repositories, "repository", "repositories"),
    plural(counts.tags, "tag"),
    plural(counts.indexes, "index", "indexes"),
    plural(counts.revisions - counts.indexes, "manifest"),
    plural(counts.layerLinks, "layer link"),
    plural(counts.blobs, "blob"),
  ];
  const lines = [`store     ${root} (${role})`, `checked   ${checked.join(", ")}`, `result    ${resultOf(report)}`];
  if (fixed > 0) lines.push(`removed   ${plural(fixed, "orphan layer link")}`);
  if (unreadable.length > 0) lines.push(`unknown   ${plural(unreadable.length, "path")} could not be read`);
  if (findings.length > 0) lines.push("", ...columns([HEADER, ...findings.map(row)]));
  const next = nextCommands(report);
  if (next.length > 0)
    lines.push("", ...columns(next.map(([command, why], at) => [at === 0 ? "next    " : "", command, why])));
  return lines;
};

const resultOf = ({ findings, empty }: ScanReport): string => {
  if (findings.some(isError)) return plural(findings.length, "finding");
  if (empty !== undefined) return "no repository: is this the registry's disk?";
  return findings.length === 0 ? "nothing wrong" : `nothing wrong, ${plural(findings.length, "remark")}`;
};

const HEADER = ["KIND", "NAME", "PLATFORM", "DIGEST", "DATA", "LINK"];

const row = ({
  store,
  kind,
  repository,
  tags,
  platform,
  digest,
  blobPresent,
  linkPresent,
  repairable,
  path,
}: Finding): string[] => {
  const name = path ?? nameOf(repository, tags);
  const data = blobPresent ? (repairable ? "intact" : "present") : "gone";
  return [
    kind,
    store === undefined ? name : `${store}/${name}`,
    platform ?? "-",
    shortDigest(digest),
    digest === null ? "-" : data,
    linkPresent ? "present" : "gone",
  ];
};

const WITHOUT_DIAGNOSIS: readonly FindingKind[] = [
  "orphan-layer-link",
  "stale-upload",
  "untagged-repository",
  "foreign-entry",
];

/** What to do about the findings, and why; most useful first. */
const nextCommands = ({ root, findings }: ScanReport): [string, string][] => {
  const orphans = findings.some(({ kind }) => kind === "orphan-layer-link");
  const broken = findings.some(({ kind }) => !WITHOUT_DIAGNOSIS.includes(kind));
  const foreign = findings.flatMap(({ path, effect = "" }): [string, string][] =>
    path === undefined ? [] : [[`mv ${shellWord(path)} SOMEWHERE-ELSE`, effect]],
  );
  return [
    ...foreign,
    ...(broken
      ? [
          [`warden diagnose REGISTRY ${shellWord(root)}`, "finds the cause of each and names its repair"] satisfies [
            string,
            string,
          ],
        ]
      : []),
    ...(orphans
      ? [
          [`warden scan ${shellWord(root)} --fix-layer-links`, "removes the orphan layer links"] satisfies [
            string,
            string,
          ],
        ]
      : []),
  ];
};
