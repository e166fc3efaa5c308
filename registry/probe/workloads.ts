import { publishReport } from "../in-use/publish";
import { IN_USE_REPOSITORY, type InUseReport, MOST_DIGESTS } from "../in-use/report";
import { RegistryClient } from "../oci/client";
import { RegistryError } from "../oci/errors";
import { ExchangeError, type Traffic } from "../oci/http";
import type { ImageState } from "../oci/images";
import { RegistryWriter, WriteRefused } from "../oci/push";
import { workloadsReport, workloadsTable } from "../workloads/report";
import { countStates, digestsOf, unverified, type VerifiedImage, verifyImages } from "../workloads/verify";
import { imagesFrom, type UsedImage } from "../workloads/workloads";
import { askCluster, ClusterSilent } from "./cluster";
import type { ProbeSettings, WorkloadSettings } from "./environment";

/** What a run found out about the workloads of its cluster. */
export interface WorkloadRun {
  /** How many images are in each state; null if the cluster did not report its workloads. */
  images: Record<ImageState, number> | null;
  /** Whether every image is known and, if the probe may push, reported. */
  known: boolean;
  traffic: Traffic;
}

/** Logs should stay readable. */
const MOST_ROWS = 100;

/** How to reach the registry. */
interface RegistryConnection {
  settings: ProbeSettings;
  ca: string | undefined;
  signal: AbortSignal | undefined;
}

/**
 * Verifies the images in use in the cluster, and reports them to the registry, so that a clean-up keeps them.
 *
 * @param log receives a line; it contains no secret
 * @returns null if the probe is not configured to verify workloads
 */
export const probeWorkloads = async (
  reach: RegistryConnection,
  log: (line: string) => void,
): Promise<WorkloadRun | null> => {
  const { workloads: wanted, registry } = reach.settings;
  if (wanted === null) return null;
  const traffic: Traffic = { requests: 0, bytes: 0 };
  const time = Date.now();
  const workloads = await tellingWhy(log, () => askCluster(wanted, reach.signal));
  if (workloads === null) return { images: null, known: false, traffic };
  const used = imagesFrom(workloads, wanted.names);
  const images = (await tellingWhy(log, () => verify(reach, used, traffic))) ?? unverified(used);
  const report = workloadsReport(
    registry.origin,
    wanted.names,
    { containers: workloads.containers.length, unreadable: workloads.unreadable },
    images,
  );
  const wrong = images.filter(({ state }) => state !== "intact");
  for (const line of workloadsTable({ ...report, images: wrong }, MOST_ROWS)) log(line);
  const publishing = () => publish(reach, wanted, { time, digests: digestsOf(images) }, traffic);
  const known = report.complete && (await tellingWhy(log, publishing)) !== null;
  return { images: countStates(images), known, traffic };
};

/** Runs a part of the work; logs an expected error and returns null, so that the rest continues. */
const tellingWhy = async <T>(log: (line: string) => void, work: () => Promise<T>): Promise<T | null> => {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RegistryError) log(`workloads: ${error.message}; ${error.hint}`);
    else if (error instanceof ClusterSilent) log(`workloads: ${error.message}; what runs is not known`);
    else if (error instanceof WriteRefused || error instanceof ExchangeError)
      log(
        `workloads: the report was not taken: ${error.message}; the account of PUSH_USER has to be one that may push`,
      );
    else throw error;
    return null;
  }
};

const verify = async (
  { settings, ca, signal }: RegistryConnection,
  used: UsedImage[],
  traffic: Traffic,
): Promise<VerifiedImage[]> => {
  const { registry: url, credentials, concurrency, timeout, rate, role, blobs, platforms } = settings;
  const client = new RegistryClient({ url, credentials, concurrency, timeout, ca, signal, rate: rate ?? undefined });
  try {
    const check = { role, blobs, platforms, credentialsGiven: credentials !== null, signal };
    return await verifyImages(client, used, check);
  } finally {
    add(traffic, client.traffic);
    await client.close();
  }
};

/** Reports the images in use, if that is configured. @throws if the registry does not accept the report */
const publish = async (
  { settings: { registry: url, timeout }, ca, signal }: RegistryConnection,
  { report }: WorkloadSettings,
  { time, digests }: Pick<InUseReport, "time" | "digests">,
  traffic: Traffic,
): Promise<void> => {
  if (report === null) return;
  const { cluster, credentials } = report;
  if (digests.length > MOST_DIGESTS) {
    throw new RegistryError(
      "bad-input",
      `${digests.length} images run, more than a report may have`,
      `a clean-up reads at most ${MOST_DIGESTS} from ${IN_USE_REPOSITORY}`,
    );
  }
  const access = { url, credentials, timeout, ca, signal };
  const [client, writer] = [new RegistryClient({ ...access, concurrency: 1 }), new RegistryWriter(access)];
  try {
    await publishReport(client, writer, { cluster, time, digests });
  } finally {
    add(traffic, client.traffic);
    await Promise.all([client.close(), writer.close()]);
  }
};

const add = (sum: Traffic, { requests, bytes }: Readonly<Traffic>): void => {
  sum.requests += requests;
  sum.bytes += bytes;
};
