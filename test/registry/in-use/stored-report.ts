import { type InUseReport, inUseArtifact } from "../../../registry/in-use/report";
import { content, type Manifest, manifest } from "../../lab/images";

/** A report in the form stored in a registry. */
export const storedReport = (report: InUseReport): Manifest => {
  const artifact = inUseArtifact({ ...report, digests: report.digests.toSorted() });
  return manifest(JSON.parse(artifact.manifest.toString()), {
    blobs: artifact.blobs.map(({ bytes }) => content("application/octet-stream", bytes)),
  });
};
