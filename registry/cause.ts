import type { Remedy } from "./advice";
import { type Digest, isDigest } from "./oci/digest";
import { type Failure, isUncertain } from "./oci/failure";
import type { Role } from "./oci/repository";
import { partsOf, type StoreContents } from "./storage/contents";
import type { Finding } from "./storage/finding";
import { tagHistory } from "./storage/tag-history";

/** What has happened to an object. */
export type Cause =
  /** Its link is missing or unreadable, but the data is present. */
  | "lost link"
  /** Its data, or that of a part of it, is gone, as after a garbage collection. */
  | "swept blob"
  /** Only the beginning of its data is present. */
  | "truncated data"
  /** There is other data under its digest. */
  | "altered data"
  /** The manifest that names it was pushed with a wrong size for it. */
  | "wrong size in the manifest"
  /** It is stored as it was pushed, but is not a valid manifest. */
  | "malformed manifest"
  /** Its files are intact, but the registry does not serve it. */
  | "refused by the registry"
  /** The registry's cache, or one in front of it, disagrees with the disk. */
  | "stale blob cache"
  /** The registry that answers is not the one of this storage. */
  | "another registry"
  /** Neither its link nor its data exists; for a tag, no trace of a push. */
  | "never pushed"
  /** A folder of the repository is gone, and with it the names of its contents. */
  | "lost folder"
  /** An entry that no registry wrote. */
  | "foreign entry"
  /** It will never be finished. */
  | "abandoned upload"
  /** It could not be requested over HTTP, and is intact on the disk. */
  | "not reached";

/** What both views say about one object. */
export interface Pair {
  failure: Failure | null;
  finding: Finding | null;
}

export interface Judgement {
  cause: Cause;
  remedy: Remedy;
}

/** Determines what happened to an object, and whether this disk, a copy or nothing can repair it. */
export const judge = (pair: Pair, contents: StoreContents, role: Role | "mixed"): Judgement => {
  const { finding } = pair;
  if (finding === null) return judgeBesideWholeDisk(pair, contents);
  switch (finding.kind) {
    case "stale-upload":
      return { cause: "abandoned upload", remedy: "remove" };
    case "foreign-entry":
      return { cause: "foreign entry", remedy: "set-aside" };
    case "orphan-layer-link":
      return { cause: "swept blob", remedy: "drop-links" };
    case "hidden-repository":
      return { cause: "lost folder", remedy: remedyOfHidden(finding, contents) };
    default: {
      const judgement = judgeObject(pair, finding, contents);
      // A cache fetches what it lacks again.
      if (role === "proxy" || finding.repository === null) return { ...judgement, remedy: "remove" };
      return finding.tags.length > 0 ? judgement : { ...judgement, remedy: "discard" };
    }
  }
};

const judgeBesideWholeDisk = ({ failure }: Pair, contents: StoreContents): Judgement => {
  if (failure === null || isUncertain(failure)) return { cause: "not reached", remedy: "ask-again" };
  const { object, digest, repository, reason, tags } = failure;
  const { reader } = contents;
  if (object === "repository" && reader.foreignTags(reader.layout.repository(repository)).length > 0) {
    return { cause: "foreign entry", remedy: "set-aside" };
  }
  if ((object !== "config" && object !== "layer") || digest === null) {
    return { cause: "refused by the registry", remedy: "give-up" };
  }
  // A scan checks sizes only.
  if (!contents.isIntact(digest)) return { cause: "altered data", remedy: "copy" };
  return reason === "size-mismatch" && contents.tagsMisdescribing(repository, tags, digest).length > 0
    ? { cause: "wrong size in the manifest", remedy: "give-up" }
    : { cause: "stale blob cache", remedy: "restart" };
};

/** For an object with a digest, or a tag whose digest is unknown. */
const judgeObject = (pair: Pair, finding: Finding, contents: StoreContents): Judgement => {
  const { digest, repository } = finding;
  const pushed =
    isOfTag(finding) && repository !== null
      ? finding.tags.flatMap((tag) => tagHistory(contents.reader, repository, tag))
      : [];
  // A push records the digest in the tag's index before it updates the tag: any other target was never pushed.
  if (digest === null || (pushed.length > 0 && !pushed.some((push) => push.digest === digest))) {
    const [last] = pushed;
    if (last === undefined) return { cause: "never pushed", remedy: "give-up" };
    return { cause: "lost link", remedy: remedyOfManifest(last.digest, contents) };
  }
  if (isManifest(finding, contents)) return judgeManifest(pair, digest, finding, contents);
  const size = contents.reader.blobSize(digest);
  if (size === null) return { cause: causeOfAbsence(pair, finding), remedy: "copy" };
  const described = sizeDescribed(finding, contents);
  if (!contents.isIntact(digest))
    return { cause: isCut(size, described) ? "truncated data" : "altered data", remedy: "copy" };
  return finding.kind === "size-mismatch" || (described !== null && described !== size)
    ? { cause: "wrong size in the manifest", remedy: "give-up" }
    : { cause: "lost link", remedy: "relink" };
};

const judgeManifest = (pair: Pair, digest: Digest, finding: Finding, contents: StoreContents): Judgement => {
  const stored = contents.reader.manifest(digest);
  if (stored.state === "absent") return { cause: causeOfAbsence(pair, finding), remedy: "copy" };
  if (stored.state === "whole") {
    if (finding.kind === "size-mismatch") return { cause: "wrong size in the manifest", remedy: "give-up" };
    const remedy = remedyOfManifest(digest, contents);
    return { cause: remedy === "relink" ? "lost link" : "swept blob", remedy };
  }
  if (contents.isIntact(digest)) return { cause: "malformed manifest", remedy: "give-up" };
  const described = sizeDescribed(finding, contents);
  // If nothing states its size: unfinished JSON.
  const cut = described === null ? stored.state === "unreadable" : isCut(stored.size, described);
  return { cause: cut ? "truncated data" : "altered data", remedy: "copy" };
};

/** The remedy for a manifest that has to be pushed again. */
const remedyOfManifest = (digest: Digest, contents: StoreContents): Remedy => {
  if (contents.isComplete(digest)) return "relink";
  return contents.isHealable(digest) ? "copy" : "give-up";
};

/** The remedy for a hidden repository: its images are repaired through their parts, if tags show what these are. */
const remedyOfHidden = ({ repository }: Finding, contents: StoreContents): Remedy => {
  const { reader } = contents;
  const layout = reader.layout.repository(repository ?? "");
  const tags = reader.tags(layout);
  const tagged = tags.flatMap((tag) => {
    const link = reader.link(layout.tagLink(tag));
    return isDigest(link) ? [link] : tagHistory(reader, layout.name, tag).map(({ digest }) => digest);
  });
  if (tagged.some((digest) => contents.isComplete(digest))) return "relink";
  return tagged.length > 0 ? "copy" : "give-up";
};

/** The cause of missing data. A registry that has it cached answers nevertheless. */
const causeOfAbsence = ({ failure }: Pair, { tags, linkPresent }: Finding): Cause => {
  const announced = failure?.status === 200 || failure?.status === 206;
  if (announced || (failure === null && tags.length > 0)) return "stale blob cache";
  return linkPresent ? "swept blob" : "never pushed";
};

/** Whether the finding is about the direct target of a tag. */
export const isOfTag = ({ parent, tags }: Finding): boolean => tags.length > 0 && parent === null;

const isManifest = ({ kind, repository, digest }: Finding, { reader }: StoreContents): boolean => {
  if (kind === "unreadable-manifest" || kind === "orphan-index-child" || kind === "broken-tag") return true;
  if (repository === null || digest === null) return false;
  return reader.link(reader.layout.repository(repository).revisionLink(digest)) !== "absent";
};

/** Size in bytes according to the manifest that names it; null if none does. */
const sizeDescribed = ({ parent, digest }: Finding, { reader }: StoreContents): number | null => {
  const stored = parent === null ? null : reader.manifest(parent);
  if (stored?.state !== "whole") return null;
  return partsOf(stored.manifest).find((part) => part.digest === digest)?.size ?? null;
};

const isCut = (size: number, described: number | null): boolean => described !== null && size < described;
