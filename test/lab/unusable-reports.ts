import { sha256 } from "../../registry/oci/digest";
import { forgedReport, storedReport } from "../registry/in-use/stored-report";
import type { SyntheticManifest } from "./images";

const HOUR = 3_600_000;

/** How old a report may be in the tests. */
export const MAXIMUM_AGE_HOURS = 2;

/**
 * What may be under a cluster's tag instead of its report, and why a clean-up refuses then. Nothing is there at first, so that
 * has to be tried first.
 *
 * @param now milliseconds since the epoch
 */
export const unusableReports = (
  cluster: string,
  now: number,
): [what: string, made: () => SyntheticManifest | null, why: string][] => {
  const document = (digests: string[]) =>
    Buffer.from(JSON.stringify({ version: 1, cluster, time: new Date(now).toISOString(), digests }));
  return [
    ["missing", () => null, "is missing: registry-warden/in-use has no such tag"],
    [
      "too old",
      () => storedReport({ cluster, time: now - 3 * HOUR, digests: [] }),
      `is 3 hours old, and may be ${MAXIMUM_AGE_HOURS}`,
    ],
    [
      "of another type",
      () => forgedReport(document([]), { artifactType: "application/vnd.example.in-use" }),
      "is not of the artifact type application/vnd.registry-warden.in-use.v1+json",
    ],
    ["garbage", () => forgedReport(Buffer.from('{"version":1,"digests":')), "is no json object"],
    [
      "of a million digests",
      () => forgedReport(document(Array.from({ length: 1_000_000 }, (_, n) => sha256(`${n}`)))),
      "bytes, more than 4194304",
    ],
  ];
};
