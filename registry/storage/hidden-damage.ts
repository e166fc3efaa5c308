import { type FailedObject, type Failure, failureAt, type Warning } from "../oci/failure";
import type { Finding, FindingKind } from "./finding";
import type { StoreReader } from "./reader";

/**
 * Damage on the disk that no walk finds: a registry with a blob (3.0.0 also a manifest) in its cache serves it
 * without its link until it restarts. Returned as failures, so that a repair fixes them too.
 *
 * @param failures of a walk over the same registry
 */
export const hiddenFailures = (
  storage: StoreReader,
  findings: readonly Finding[],
  failures: readonly Failure[],
): Failure[] => {
  const failed = new Set(failures.map(({ repository, digest }) => `${repository}@${digest}`));
  const failedTags = new Set(
    failures.flatMap(({ repository, object, tags }) =>
      object === "tag" ? tags.map((tag) => `${repository}:${tag}`) : [],
    ),
  );
  return findings.flatMap(
    ({ repository, kind, digest, parent, tags, platform, linkPresent, repairable }): Failure[] => {
      if (repository === null || digest === null || tags.length === 0) return [];
      if (!LOST.includes(kind) && (repairable || !BROKEN_DATA.includes(kind))) return [];
      // Repairing a lost manifest also repairs what lies below it.
      if ([digest, parent].some((each) => failed.has(`${repository}@${each}`))) return [];
      if (tags.every((tag) => failedTags.has(`${repository}:${tag}`))) return [];
      const object = objectOf(
        kind,
        storage.link(storage.layout.repository(repository).revisionLink(digest)) !== "absent",
      );
      const detail = `its ${linkPresent ? "data or link is broken" : "link is lost"} on the disk, and the registry remembers it`;
      const path = parent === null ? [digest] : [parent, digest];
      return [{ repository, tags, digest, object, reason: "missing", status: null, platform, path, detail }];
    },
  );
};

/** A walk cannot tell whether a listed repository ever had tags; if the disk has lost one of its folders, it had. */
export const lostFolders = (warnings: readonly Warning[], findings: readonly Finding[]): Failure[] =>
  warnings
    .filter(({ repository }) =>
      findings.some((each) => each.kind === "hidden-repository" && each.repository === repository),
    )
    .map(({ repository, status }) => {
      const failure = { reason: "missing", status, detail: "it has no list of tags" } as const;
      return failureAt(repository, { tags: [], object: "repository", platform: null, path: [] }, null, failure);
    });

const LOST: readonly FindingKind[] = [
  "broken-link",
  "broken-tag",
  "orphan-index-child",
  "missing-config",
  "missing-layer",
];

/** If the bytes are intact, it is the referring manifest that is wrong. */
const BROKEN_DATA: readonly FindingKind[] = ["unreadable-manifest", "size-mismatch", "digest-mismatch"];

const objectOf = (kind: FindingKind, isRevision: boolean): FailedObject => {
  if (kind === "missing-config") return "config";
  if (kind === "missing-layer") return "layer";
  return isRevision || kind === "broken-tag" || kind === "orphan-index-child" || kind === "unreadable-manifest"
    ? "manifest"
    : "layer";
};
