import { columns } from "../text/columns";
import { plural } from "../text/plural";
import type { Diagnosis, DiagnosisReport } from "./diagnose";
import { nameOf, shortDigest } from "./report/names";

/** The report as text: each finding with its cause, then every step once. Lines without line endings. */
export const diagnosisTable = ({ registry, root, complete, findings }: DiagnosisReport): string[] => {
  const found = findings.length === 0 ? "nothing wrong" : plural(findings.length, "finding");
  const lines = [
    `registry  ${registry}`,
    `store     ${root}`,
    `result    ${found}${complete ? "" : ", incomplete: not everything was reached"}`,
  ];
  if (findings.length === 0) return lines;
  const rows = findings.map(({ cause, remedy, http, disk, repository, tags, platform, digest }) => [
    cause,
    remedy,
    nameOf(repository === "" ? "(the catalog)" : repository, tags),
    platform ?? "-",
    shortDigest(digest),
    http === null ? "-" : `${http.object} ${http.reason}`,
    disk?.kind ?? "-",
  ]);
  return [
    ...lines,
    "",
    ...columns([["CAUSE", "REMEDY", "NAME", "PLATFORM", "DIGEST", "HTTP", "DISK"], ...rows]),
    "",
    ...steps(findings),
  ];
};

/** Each step once, preceded by a line with what it achieves; then how to discard images that a copy might still repair. */
const steps = (findings: Diagnosis[]): string[] => {
  const next = new Map(findings.map(({ next, why }) => [next, why]));
  const givenUp = new Set(findings.flatMap(({ giveUp }) => giveUp ?? []).filter((command) => !next.has(command)));
  return [
    ...[...next].flatMap(([command, why]) => [`          ${why}:`, `next      ${command}`]),
    ...(givenUp.size === 0 ? [] : ["          given up, where no registry has it and nobody builds it:"]),
    ...[...givenUp].map((command) => `or        ${command}`),
  ];
};
