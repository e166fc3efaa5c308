import { type ClientOptions, RegistryClient } from "../../registry/oci/client";
import { RegistryWriter } from "../../registry/oci/push";
import { type RepairReport, repair } from "../../registry/storage/repair";
import { type PushTarget, push, type SyntheticManifest } from "./images";

/**
 * Pushes an index to two registries as v1, deletes its first child in one, and repairs that one from the other.
 *
 * @returns the digest of the child, and the output of the repair
 */
export const healFrom = async (
  whole: PushTarget,
  broken: PushTarget,
  repository: string,
  made: SyntheticManifest,
): Promise<{ lost: string; report: RepairReport }> => {
  const lost = made.manifests[0]?.descriptor.digest ?? "";
  for (const side of [broken, whole]) await push(side, repository, made, "v1");
  const options = ({ url, credentials }: PushTarget): ClientOptions => ({
    url: new URL(url),
    ...(credentials !== undefined && { credentials: { kind: "password", ...credentials } }),
  });
  const writer = new RegistryWriter({ credentials: null, timeout: 10, ...options(broken) });
  const client = new RegistryClient(options(broken));
  const from = new RegistryClient(options(whole));
  try {
    await from.ping();
    await writer.remove(repository, lost);
    const sources = { storage: null, from };
    return { lost, report: await repair(client, { repositories: [repository], discard: [], sources, writer }) };
  } finally {
    await Promise.all([writer, client, from].map((each) => each.close()));
  }
};
