import { compareText } from "../../text/compare-text";
import type { Digest } from "../oci/digest";

/** What can be wrong with a store. Where several fit one object, the first of this list is reported. */
export const KINDS = [
  /** The data of a manifest is there and is no manifest: cut off, not JSON, unreadable. HTTP answers 500. */
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
  /** A blob has another size than the manifest that names it says. */
  "size-mismatch",
  /** A blob does not hash to its name. */
  "digest-mismatch",
  /** A layer link without data that no served manifest needs. The only kind that a scan may remove. */
  "orphan-layer-link",
  /** There are files of a repository that the registry does not show: not in the catalog, or without a list of tags. */
  "hidden-repository",
  /** A repository that was never tagged: images pushed by digest alone, or a push that ended early. No error. */
  "untagged-repository",
  /** What no registry wrote and its garbage collection stops at, or goes wrong by; or a symbolic link, which is not followed. */
  "foreign-entry",
  /** An upload that nobody will end. */
  "stale-upload",
] as const;

export type Kind = (typeof KINDS)[number];

/** Whether a finding says that something is wrong, and not only what is there. */
export const isError = ({ kind }: Pick<Finding, "kind">): boolean => kind !== "untagged-repository";

export interface Finding {
  /** The store's folder, where a folder of stores is scanned. */
  store?: string;
  /** Null for a blob that no repository links. */
  repository: string | null;
  kind: Kind;
  /** Null where no digest is known: a tag without a readable link, a repository, an upload. */
  digest: Digest | null;
  /** The manifest that names it, on the shortest way from a tag. */
  parent: Digest | null;
  /** Every tag that leads to it, in ascending order. */
  tags: string[];
  /** `os/architecture[/variant]` on the way from `parent`, or of `parent` itself. */
  platform: string | null;
  /** Whether there is data under its digest. */
  blobPresent: boolean;
  /** Whether its link is there, whatever it says. */
  linkPresent: boolean;
  /** Whether the data is there and hashes to the digest, so that only the links have to be put back. */
  repairable: boolean;
  /** The upload's id, of a stale upload. */
  upload?: string;
  /** Of a foreign entry. */
  path?: string;
  /** Of a foreign entry: what it does, in one line. */
  effect?: string;
}

export const precedence = (kind: Kind): number => KINDS.indexOf(kind);

/** Identifies a finding over two looks at the same store. */
export const findingKey = ({ repository, kind, digest, tags, upload, path }: Finding): string =>
  JSON.stringify([repository, kind, digest, digest === null ? tags : [], upload, path]);

/** The order of a report: by store and repository, then the gravest first. */
export const compareFindings = (left: Finding, right: Finding): number =>
  compareText(left.store ?? "", right.store ?? "") ||
  compareText(left.repository ?? "", right.repository ?? "") ||
  precedence(left.kind) - precedence(right.kind) ||
  compareText(left.digest ?? "", right.digest ?? "") ||
  compareText(left.tags.join(), right.tags.join()) ||
  compareText(left.upload ?? "", right.upload ?? "") ||
  compareText(left.path ?? "", right.path ?? "");
