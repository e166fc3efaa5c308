import { IN_USE_TYPE, type InUseReport, inUseArtifact } from "../../../registry/in-use/report";
import { content, manifest, type SyntheticManifest } from "../../lab/images";

/** A report in the form stored in a registry. */
export const storedReport = (report: InUseReport): SyntheticManifest => {
  const artifact = inUseArtifact({ ...report, digests: report.digests.toSorted() });
  return manifest(JSON.parse(artifact.manifest.toString()), {
    blobs: artifact.blobs.map(({ bytes }) => content("application/octet-stream", bytes)),
  });
};

/** An artifact like that of a report, with any layer. @param changes to its manifest */
export const forgedReport = (layer: Buffer, changes: object = {}): SyntheticManifest => {
  const blobs = [content("application/vnd.oci.empty.v1+json", Buffer.from("{}")), content(IN_USE_TYPE, layer)];
  const [config, ...layers] = blobs.map(({ descriptor }) => descriptor);
  return manifest({ schemaVersion: 2, config, layers, artifactType: IN_USE_TYPE, ...changes }, { blobs });
};
