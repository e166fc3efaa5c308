import { resolve } from "node:path";
import { compareText } from "../text/compare-text";
import { type Advice, advise, type Remedy } from "./advice";
import { type Cause, isOfTag, type Judgement, judge, type Pair } from "./cause";
import type { Digest } from "./oci/digest";
import type { FailedObject, Failure, Reason } from "./oci/failure";
import type { Report } from "./oci/walk";
import { StoreContents } from "./storage/contents";
import { type Finding, type FindingKind, isError } from "./storage/finding";
import { lostFolders } from "./storage/hidden-damage";
import type { StoreReader } from "./storage/reader";
import type { ScanReport } from "./storage/scan";

export type { Cause } from "./cause";

export interface Diagnosis extends Advice {
  repository: string | null;
  tags: string[];
  digest: Digest | null;
  platform: string | null;
  /** What is wrong over HTTP; null if nothing is. */
  http: { object: FailedObject; reason: Reason; status: number | null } | null;
  /** What is wrong on the disk; null if nothing is. */
  disk: { kind: FindingKind; blobPresent: boolean; linkPresent: boolean; repairable: boolean } | null;
  cause: Cause;
  remedy: Remedy;
}

export interface DiagnosisReport {
  registry: string;
  root: string;
  /** Whether both views are complete. */
  complete: boolean;
  findings: Diagnosis[];
}

/** What else is known about the registry and the storage. */
export interface DiagnosisContext {
  /** What only one of them has: if there is anything, the storage belongs to another registry. @default nothing */
  differences?: readonly Pick<Diagnosis, "repository" | "tags">[];
  /** The registry where a lost object was recently looked for without success; null if it was not. @default null */
  notAt?: (repository: string, digest: Digest | null, tags: readonly string[]) => string | null;
}

/**
 * Combines what a registry answers with what is on its disk. Each object is reported once, with its cause and the next step.
 *
 * @param reader of the same store, for what the two reports leave open
 */
export const diagnose = (
  report: Report,
  scan: ScanReport,
  reader: StoreReader,
  { differences = [], notAt = () => null }: DiagnosisContext = {},
): DiagnosisReport => {
  const contents = new StoreContents(reader);
  const { registry } = report;
  const { root } = scan;
  const place = { registry, root, isTaken: (path: string) => reader.changedAt(resolve(path)) !== null };
  const errors = scan.findings.filter(isError);
  const pairs = pairsOf([...report.failures, ...lostFolders(report.warnings, errors)], errors);
  const another = differences.length > 0 || pairs.some((pair) => isOfAnother(pair, reader));
  const findings = pairs.map((pair): Diagnosis => {
    const told = describe(pair);
    const judgement = judge(pair, contents, scan.role);
    const { cause, remedy: first } = another ? atAnother(judgement, pair) : judgement;
    const { repository, digest, tags } = told;
    const sought = repository === null ? null : notAt(repository, digest, tags);
    const remedy = first === "copy" && sought !== null ? "give-up" : first;
    const wrongSize = cause === "wrong size in the manifest" && repository !== null && digest !== null;
    const advice = advise(
      {
        remedy,
        repository,
        tags: wrongSize ? contents.tagsMisdescribing(repository, tags, digest) : tags,
        untagged: untaggedTo(told, contents),
        paths: pathsOf(pair, reader),
        needsHash: pair.failure === null && pair.finding?.kind === "digest-mismatch",
        notAt: sought,
      },
      place,
    );
    return { ...told, cause, remedy, ...advice };
  });
  const known = new Set(findings.map(({ repository }) => repository));
  const strange = differences
    .filter(({ repository }) => !known.has(repository))
    .map(({ repository, tags }): Diagnosis => {
      const ailment = { repository, tags, untagged: [], paths: [], needsHash: false, notAt: null };
      const told = { repository, tags, digest: null, platform: null, http: null, disk: null };
      return { ...told, ...ANOTHER, ...advise({ ...ailment, remedy: ANOTHER.remedy }, place) };
    });
  return {
    registry,
    root,
    complete: report.complete && scan.unreadable.length === 0,
    findings: [...findings, ...strange].sort(compareDiagnoses),
  };
};

const compareDiagnoses = (a: Diagnosis, b: Diagnosis): number =>
  compareText(a.repository ?? "", b.repository ?? "") ||
  compareText(a.digest ?? "", b.digest ?? "") ||
  compareText(a.tags.join(), b.tags.join());

const pairsOf = (failures: readonly Failure[], findings: readonly Finding[]): Pair[] => {
  const pairs: Pair[] = [];
  const told = new Set<Finding>();
  for (const failure of failures) {
    const finding = findings.find((each) => isSame(failure, each)) ?? null;
    // Several tags may fail because of one manifest.
    if (finding === null || !told.has(finding)) pairs.push({ failure, finding });
    if (finding !== null) told.add(finding);
  }
  return [...pairs, ...findings.filter((each) => !told.has(each)).map((finding) => ({ failure: null, finding }))];
};

/** A walk does not know a broken tag's target, and the disk does not know a failure of a whole repository. */
const isSame = (failure: Failure, finding: Finding): boolean => {
  if (failure.repository !== finding.repository) return false;
  switch (failure.object) {
    case "catalog":
      return false;
    case "repository":
      return finding.kind === "hidden-repository";
    case "tag":
      return isOfTag(finding) && finding.tags.some((tag) => failure.tags.includes(tag));
    default:
      return failure.digest === finding.digest;
  }
};

const describe = ({ failure, finding }: Pair): Omit<Diagnosis, "cause" | "remedy" | keyof Advice> => ({
  repository: finding?.repository ?? failure?.repository ?? null,
  tags: finding?.tags.length ? finding.tags : (failure?.tags ?? []),
  digest: finding?.digest ?? failure?.digest ?? null,
  platform: finding?.platform ?? failure?.platform ?? null,
  http: failure && { object: failure.object, reason: failure.reason, status: failure.status },
  disk: finding && {
    kind: finding.kind,
    blobPresent: finding.blobPresent,
    linkPresent: finding.linkPresent,
    repairable: finding.repairable,
  },
});

const ANOTHER: Judgement = { cause: "another registry", remedy: "other-address" };

/** A registry of this disk would list what is on it: an empty catalog, or a missing list of tags, is from another one. */
const isOfAnother = ({ failure, finding }: Pair, reader: StoreReader): boolean => {
  if (failure === null || finding !== null) return false;
  const { object, reason, repository } = failure;
  if (object === "catalog") return reason === "coverage" && !reader.repositories().next().done;
  return (
    object === "repository" && reason === "missing" && reader.tags(reader.layout.repository(repository)).length > 0
  );
};

/** Another registry's answers say nothing about this disk, and nothing can be repaired through it. */
const atAnother = ({ cause }: Judgement, { finding }: Pair): Judgement =>
  finding === null ? ANOTHER : { cause, remedy: ANOTHER.remedy };

/** The untagged manifests that the object breaks, topmost first, then the object itself. */
const untaggedTo = (
  { repository, tags, digest }: Pick<Diagnosis, "repository" | "tags" | "digest">,
  contents: StoreContents,
) => {
  if (repository === null || digest === null || tags.length > 0) return [];
  return [...contents.naming(repository, digest), digest];
};

/** The paths on the disk that a finding is about, if that is not one image. */
const pathsOf = ({ failure, finding }: Pair, reader: StoreReader): string[] => {
  const { layout } = reader;
  if (finding === null) {
    const repository = layout.repository(failure?.repository ?? "");
    return failure?.object === "repository" ? reader.foreignTags(repository).map((entry) => repository.tag(entry)) : [];
  }
  if (finding.path !== undefined) return [finding.path];
  if (finding.upload !== undefined) return [layout.repository(finding.repository ?? "").upload(finding.upload)];
  return finding.digest === null ? [] : [layout.blob(finding.digest)];
};
