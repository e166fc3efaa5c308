import { compareText } from "../../text/compare-text";
import { checkManifest } from "../oci/check";
import type { RegistryClient } from "../oci/client";
import { matches } from "../oci/digest";
import { ExchangeError } from "../oci/http";
import { readListing } from "../oci/listing";
import { isTag } from "../oci/reference";
import { type FoundReport, MISSING, MOST_UNNAMED } from "./protection";
import { IN_USE_REPOSITORY, layerOfReport, MalformedReport, MOST_BYTES, parseReport } from "./report";

/**
 * Each cluster's report of what is in use, as served by a registry: for the named clusters, and for others with a tag.
 *
 * @param named the clusters that are expected
 * @param now milliseconds since the epoch
 * @throws RegistryError when the registry as a whole is unavailable
 */
export const servedReports = async (
  client: RegistryClient,
  named: readonly string[],
  now: number,
): Promise<FoundReport[]> => {
  const listed = await readListing("tags", isTag, (next) => client.tags(IN_USE_REPOSITORY, next));
  const others = listed.names.filter((tag) => !named.includes(tag));
  const clusters = [...named, ...others.sort(compareText).slice(0, MOST_UNNAMED)];
  return Promise.all(clusters.map((cluster) => servedReport(client, cluster, now)));
};

/**
 * A cluster's report of what is in use, as served by a registry.
 *
 * @param now milliseconds since the epoch
 * @throws RegistryError when the registry as a whole is unavailable
 */
export const servedReport = async (client: RegistryClient, cluster: string, now: number): Promise<FoundReport> => {
  try {
    const answer = await client.manifest(IN_USE_REPOSITORY, cluster);
    if (answer.status === 404) return { cluster, report: null, problem: MISSING };
    const check = checkManifest(answer, { digest: null, size: null });
    if (!check.ok) throw new MalformedReport(`cannot be read: its manifest ${check.failure.detail}`);
    const layer = layerOfReport(check.manifest);
    const { status, body } = await client.blobWhole(IN_USE_REPOSITORY, layer.digest, MOST_BYTES);
    if (status !== 200) throw new MalformedReport(`cannot be read: its layer answers ${status}`);
    if (!matches(body, layer.digest)) throw new MalformedReport("cannot be read: its layer does not hash to its name");
    return { cluster, report: parseReport(body, cluster, now), problem: null };
  } catch (error) {
    if (error instanceof MalformedReport) return { cluster, report: null, problem: error.message };
    if (error instanceof ExchangeError && error.code !== "cancelled")
      return { cluster, report: null, problem: `cannot be read: ${error.message}` };
    throw error;
  }
};
