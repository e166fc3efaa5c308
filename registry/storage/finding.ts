import { compareText } from "../../text/compare-text";
import type { Digest } from "../oci/digest";

/** What can be wrong with a store. If several apply to one object, the first in this list is reported. */
export const KINDS = [
  /** The data of a manifest exists but is not a manifest: cut off, not JSON, unreadable. HTTP answers 500. */
  "unreadable-manifest",
  /** The link of a revision or a layer is empty or not a digest (HTTP answers 500), or leads to nothing. */
  "broken-link",
  /** A tag's link is missing, empty or not a digest, or the manifest it points at is not served. */
  "broken-tag",
  /** A manifest of an index is not served: its revision link or its data is gone. */
  "orphan-index-child",
  /** The config of a served manifest is not served. */
  "missing-config",
  /** A layer of a served manifest is not served. */
  "missing-layer",
  /** The size of a blob differs from the one in the manifest that names it. */
  "size-mismatch",
  /** A blob does not hash to its name. */
  "digest-mismatch",
  /** A layer link without data that no served manifest needs. The only kind that a scan may remove. */
  "orphan-layer-link",
  /** A repository has files but is invisible to clients: it is not in the catalog, or has no list of tags. */
  "hidden-repository",
  /** A repository that was never tagged: images pushed by digest alone, or a push that ended early. No error. */
  "untagged-repository",
  /** An entry that no registry wrote and that derails its garbage collection; or a symbolic link, which is not followed. */
  "foreign-entry",
  /** An upload that will never be finished. */
  "stale-upload",
] as const;

export type FindingKind = (typeof KINDS)[number];

/** Whether a finding is an error rather than merely an observation. */
export const isError = ({ kind }: Pick<Finding, "kind">): boolean => kind !== "untagged-repository";

export interface Finding {
  /** The store's folder, if a folder of stores is scanned. */
  store?: string;
  /** Null for a blob that no repository links. */
  repository: string | null;
  kind: FindingKind;
  /** Null if no digest is known: a tag without a readable link, a repository, an upload. */
  digest: Digest | null;
  /** The manifest that names it, on the shortest path from a tag. */
  parent: Digest | null;
  /** Every tag that leads to it, in ascending order. */
  tags: string[];
  /** `os/architecture[/variant]` on the path from `parent`, or of `parent` itself. */
  platform: string | null;
  /** Whether there is data under its digest. */
  blobPresent: boolean;
  /** Whether its link exists, whatever its content. */
  linkPresent: boolean;
  /** Whether the data exists and hashes to the digest, so that only the links have to be restored. */
  repairable: boolean;
  /** The id of a stale upload. */
  upload?: string;
  /** Path of a foreign entry. */
  path?: string;
  /** The effect of a foreign entry, in one line. */
  effect?: string;
}

export const precedence = (kind: FindingKind): number => KINDS.indexOf(kind);

/** Identifies a finding across two passes over the same store. */
export const findingKey = ({ repository, kind, digest, tags, upload, path }: Finding): string =>
  JSON.stringify([repository, kind, digest, digest === null ? tags : [], upload, path]);

/** The order in a report: by store and repository, then most severe first. */
export const compareFindings = (left: Finding, right: Finding): number =>
  compareText(left.store ?? "", right.store ?? "") ||
  compareText(left.repository ?? "", right.repository ?? "") ||
  precedence(left.kind) - precedence(right.kind) ||
  compareText(left.digest ?? "", right.digest ?? "") ||
  compareText(left.tags.join(), right.tags.join()) ||
  compareText(left.upload ?? "", right.upload ?? "") ||
  compareText(left.path ?? "", right.path ?? "");
