import type { DiagnosisReport } from "./diagnose";
import { columns, nameOf, plural, shortDigest } from "./report/columns";

/** The report for people: each finding with its cause, then every step once. Lines without a line end. */
export function diagnosisTable({ registry, root, complete, findings }: DiagnosisReport): string[] {
  const found = findings.length === 0 ? "nothing wrong" : plural(findings.length, "finding");
  const lines = [
    `registry  ${registry}`,
    `store     ${root}`,
    `result    ${found}${complete ? "" : ", incomplete: not everything was reached"}`,
  ];
  if (findings.length === 0) return lines;
  const rows = findings.map(({ cause, http, disk, repository, tags, platform, digest }) => [
    cause,
    nameOf(repository === "" ? "(the catalog)" : repository, tags),
    platform ?? "-",
    shortDigest(digest),
    http === null ? "-" : `${http.object} ${http.reason}`,
    disk?.kind ?? "-",
  ]);
  const steps = [...new Set(findings.map(({ next }) => next))];
  return [
    ...lines,
    "",
    ...columns([["CAUSE", "NAME", "PLATFORM", "DIGEST", "HTTP", "DISK"], ...rows]),
    "",
    ...columns(steps.map((step, at) => [at === 0 ? "next    " : "", step])),
  ];
}
