import type { Failure } from "../oci/failure";
import type { Finding } from "./finding";

/**
 * Configs and layers that are lost on the disk and that no walk finds: a registry that remembers a blob serves it without
 * its link until it restarts. As failures, so that a repair heals them too.
 *
 * @param failures of a walk over the same registry
 */
export function hiddenLosses(findings: readonly Finding[], failures: readonly Failure[]): Failure[] {
  const failed = new Set(failures.map(({ repository, digest }) => `${repository}@${digest}`));
  return findings.flatMap(({ repository, kind, digest, parent, tags, platform, linkPresent }): Failure[] => {
    if (repository === null || digest === null || parent === null || tags.length === 0) return [];
    if (!LOSSES.includes(kind)) return [];
    // What lies below a lost manifest is healed with that.
    if ([digest, parent].some((each) => failed.has(`${repository}@${each}`))) return [];
    const object = kind === "missing-config" ? "config" : "layer";
    const detail = `its ${linkPresent ? "data is lost" : "link is lost"} on the disk, and the registry remembers it`;
    return [
      { repository, tags, digest, object, reason: "missing", status: null, platform, path: [parent, digest], detail },
    ];
  });
}

const LOSSES = ["broken-link", "missing-config", "missing-layer"];
