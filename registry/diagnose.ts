import type { Digest } from "./oci/digest";
import { type FailedObject, type Failure, isUncertain, type Reason } from "./oci/failure";
import { compare } from "./oci/graph";
import { referencedDescriptors } from "./oci/manifest";
import type { Report } from "./oci/walk";
import type { Finding, Kind } from "./storage/finding";
import type { StoreReader } from "./storage/reader";
import type { ScanReport } from "./storage/scan";
import { shellWord } from "./storage/shell-word";

/** What has happened to an object. */
export type Cause =
  /** Its link is gone or unreadable, and the data is there. */
  | "lost link"
  /** Its data is gone, as after a garbage collection, and its link is there. */
  | "swept blob"
  /** The beginning of its data is there. */
  | "truncated data"
  /** There is other data under its digest. */
  | "altered data"
  /** The registry's memory, or a cache in front, answers otherwise than the disk. */
  | "stale blob cache"
  /** What answers is another registry than the one of this storage. */
  | "wrong upstream behind the proxy"
  /** Neither its link nor its data is there. */
  | "never pushed"
  /** A folder of the repository is gone, and with it the names of what it held. */
  | "lost folder"
  /** Something that no registry wrote lies among the tags, and is listed as one. */
  | "foreign file"
  /** Nobody will end it. */
  | "abandoned upload"
  /** It could not be asked for over HTTP, and the disk is well. */
  | "not reached";

export interface Diagnosis {
  repository: string | null;
  tags: string[];
  digest: Digest | null;
  platform: string | null;
  /** What is wrong over HTTP; null when nothing is. */
  http: { object: FailedObject; reason: Reason; status: number | null } | null;
  /** What is wrong on the disk; null when nothing is. */
  disk: { kind: Kind; blobPresent: boolean; linkPresent: boolean; repairable: boolean } | null;
  cause: Cause;
  /** The command, or the step, that comes next. */
  next: string;
}

export interface DiagnosisReport {
  registry: string;
  root: string;
  /** Whether both views are complete. */
  complete: boolean;
  findings: Diagnosis[];
}

/**
 * Joins what a registry answers with what is on its disk. Each object is told once, with the cause and what to do next.
 *
 * @param reader of the same store, for what the two reports leave open
 */
export function diagnose(report: Report, scan: ScanReport, reader: StoreReader): DiagnosisReport {
  const { registry } = report;
  const { root } = scan;
  const pairs: Pair[] = [];
  const told = new Set<Finding>();
  for (const failure of report.failures) {
    const finding = scan.findings.find((each) => isSame(failure, each)) ?? null;
    // Several tags fail for one manifest.
    if (finding === null || !told.has(finding)) pairs.push({ failure, finding });
    if (finding !== null) told.add(finding);
  }
  for (const finding of scan.findings) if (!told.has(finding)) pairs.push({ failure: null, finding });
  const findings = pairs
    .map((pair) => {
      const cause = causeOf(pair, reader);
      return { ...describe(pair), cause, next: nextStep(cause, pair, { registry, root, reader }) };
    })
    .sort(
      (a, b) =>
        compare(a.repository ?? "", b.repository ?? "") ||
        compare(a.digest ?? "", b.digest ?? "") ||
        compare(a.tags.join(), b.tags.join()),
    );
  return { registry, root, complete: report.complete && scan.unreadable.length === 0, findings };
}

interface Pair {
  failure: Failure | null;
  finding: Finding | null;
}

/** A walk does not know what a broken tag points at, nor the disk what a walk calls a repository that failed. */
function isSame(failure: Failure, finding: Finding): boolean {
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
}

/** Whether the finding is about what a tag points at itself. */
function isOfTag({ parent, tags }: Finding): boolean {
  return tags.length > 0 && parent === null;
}

function describe({ failure, finding }: Pair): Omit<Diagnosis, "cause" | "next"> {
  return {
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
  };
}

function causeOf({ failure, finding }: Pair, reader: StoreReader): Cause {
  if (finding === null) return failure === null ? "not reached" : causeBesideWholeDisk(failure, reader);
  switch (finding.kind) {
    case "hidden-repository":
      return "lost folder";
    case "stale-upload":
      return "abandoned upload";
    case "orphan-layer-link":
      return "swept blob";
    case "size-mismatch":
    case "digest-mismatch":
    case "unreadable-manifest":
      // Whole data of something else: a tag that leads to no manifest.
      if (finding.repairable) return "lost link";
      return isCutOff(finding, reader) ? "truncated data" : "altered data";
    case "broken-tag":
      return isMisled(finding, reader) ? "lost link" : causeOfLoss(finding, failure, reader);
    default:
      return causeOfLoss(finding, failure, reader);
  }
}

function causeBesideWholeDisk(failure: Failure, reader: StoreReader): Cause {
  if (isUncertain(failure)) return "not reached";
  const { object, reason, repository } = failure;
  if (object === "repository" && reason === "malformed" && foreignIn(reader, repository).length > 0) {
    return "foreign file";
  }
  return failure.object === "config" || failure.object === "layer"
    ? "stale blob cache"
    : "wrong upstream behind the proxy";
}

/** Of an object whose link or data is not as it should be. */
function causeOfLoss(finding: Finding, failure: Failure | null, reader: StoreReader): Cause {
  if (finding.digest === null || finding.repairable) return "lost link";
  if (finding.blobPresent) return isCutOff(finding, reader) ? "truncated data" : "altered data";
  const announced = failure?.status === 200 || failure?.status === 206;
  const masked = failure === null && finding.tags.length > 0;
  if (announced || masked) return "stale blob cache";
  return finding.linkPresent ? "swept blob" : "never pushed";
}

/** Whether a tag points at what it was never pushed with: a push writes that down first. */
function isMisled({ repository, digest, tags }: Finding, reader: StoreReader): boolean {
  if (repository === null || digest === null) return false;
  const { layout } = reader;
  const known = tags.flatMap((tag) => [...reader.digests(layout.repository(repository).tagHistory(tag))]);
  return known.length > 0 && !known.includes(digest);
}

/** Whether there is less data than what names it says or, where nothing does, an unfinished JSON document. */
function isCutOff({ digest, parent }: Finding, reader: StoreReader): boolean {
  if (digest === null) return false;
  const size = reader.blobSize(digest) ?? 0;
  const stored = parent === null ? null : reader.manifest(parent);
  const described =
    stored?.state === "whole"
      ? referencedDescriptors(stored.manifest).find((each) => each.digest === digest)
      : undefined;
  if (described !== undefined) return size < described.size;
  return reader.manifest(digest).state === "unreadable";
}

interface Place {
  registry: string;
  root: string;
  reader: StoreReader;
}

function nextStep(cause: Cause, { finding, failure }: Pair, { registry, root: folder, reader }: Place): string {
  const root = shellWord(folder);
  const repair = `warden repair ${registry} --storage ${root}`;
  const hash = finding?.kind === "digest-mismatch" && failure === null ? "--hash " : "";
  const copy = `${repair} --from OTHER-REGISTRY ${hash}--apply`;
  if (finding?.kind === "orphan-layer-link") return `warden scan ${root} --fix-layer-links`;
  if (finding !== null && failure === null && finding.tags.length === 0 && finding.digest !== null) {
    // No tag leads to it: it is not worth a copy.
    return isManifest(finding, reader)
      ? `${repair} --discard ${imageOf(finding, registry)} --apply`
      : `warden prune ${root} --policy FILE --apply --registry ${registry}`;
  }
  switch (cause) {
    case "lost link":
      return `${repair} --apply`;
    case "swept blob":
    case "truncated data":
    case "altered data":
    case "never pushed":
      return copy;
    case "stale blob cache":
      return finding === null
        ? `restart the registry, then warden verify ${registry}`
        : `restart the registry, then ${copy}`;
    case "wrong upstream behind the proxy":
      return `reload the proxy in front of the registry, then warden verify ${registry}`;
    case "lost folder": {
      const name = finding?.repository ?? "";
      const named = reader.tags(reader.layout.repository(name)).length > 0;
      return named ? `${repair} --apply` : `push ${name} again: nothing tells what its tags were`;
    }
    case "foreign file":
      return `rm -r ${foreignIn(reader, failure?.repository ?? "")
        .map(shellWord)
        .join(" ")}`;
    case "abandoned upload":
      return "set storage.maintenance.uploadpurging in the registry's configuration: it removes such uploads";
    case "not reached":
      return `warden verify ${registry}`;
  }
}

/** Whether it is a manifest that the repository links, or named by one: only that can be discarded. */
function isManifest({ repository, digest, parent }: Finding, reader: StoreReader): boolean {
  const revision = parent ?? digest;
  if (repository === null || revision === null) return false;
  return reader.link(reader.layout.repository(repository).revisionLink(revision)) !== "absent";
}

/** What lies among the tags of a repository and is none. */
function foreignIn(reader: StoreReader, name: string): string[] {
  const repository = reader.layout.repository(name);
  return reader.foreignTags(repository).map((entry) => repository.tag(entry));
}

function imageOf({ repository, digest, parent }: Finding, registry: string): string {
  return `${new URL(registry).host}/${repository}@${parent ?? digest}`;
}
