import type { RegistryClient } from "../oci/client";
import type { RegistryWriter } from "../oci/push";
import { IN_USE_REPOSITORY, type InUseReport, inUseArtifact } from "./report";
import { servedReport } from "./served-reports";

/** An identical report is renewed at this age, but not earlier: each push leaves its predecessor behind. Milliseconds. */
const RENEWED_AFTER = 30 * 60 * 1000;

/**
 * Pushes what is in use in a cluster, unless the registry has a recent report with the same content.
 *
 * @returns whether it was pushed
 * @throws WriteRefused, ExchangeError or RegistryError if the registry does not accept it
 */
export const publishReport = async (
  client: RegistryClient,
  writer: RegistryWriter,
  report: InUseReport,
): Promise<boolean> => {
  const { cluster, time, digests } = report;
  const { report: before } = await servedReport(client, cluster, time);
  if (before !== null && time - before.time < RENEWED_AFTER && same(before.digests, digests)) return false;
  const { blobs, manifest, mediaType } = inUseArtifact(report);
  for (const { digest, bytes } of blobs) {
    const { status } = await client.blobHead(IN_USE_REPOSITORY, digest);
    if (status !== 200) await writer.pushBlob(IN_USE_REPOSITORY, digest, [bytes]);
  }
  await writer.pushManifest(IN_USE_REPOSITORY, cluster, manifest, mediaType);
  return true;
};

const same = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((each, at) => each === b[at]);
