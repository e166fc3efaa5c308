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

/** What a run learned of the workloads of its cluster. */
export interface WorkloadRun {
  /** How many images are in each state; null where the cluster did not tell what runs. */
  images: Record<ImageState, number> | null;
  /** Whether every image is known and, where the probe may push, reported. */
  known: boolean;
  traffic: Traffic;
}

/** A log is read by people. */
const MOST_ROWS = 100;

/** How the registry is asked. */
interface Reach {
  settings: ProbeSettings;
  ca: string | undefined;
  signal: AbortSignal | undefined;
}

/**
 * Verifies what runs in the cluster, and reports it to the registry: what a clean-up must keep.
 *
 * @param log takes a line; no secret is in it
 * @returns null where the probe is not to look at workloads
 */
export const probeWorkloads = async (reach: Reach, log: (line: string) => void): Promise<WorkloadRun | null> => {
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

/** What keeps a part of the work from being done is reported, and the rest goes on; null then. */
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
  { settings, ca, signal }: Reach,
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

/** Reports what runs; nothing is done where it is not to be reported. @throws where that is not taken */
const publish = async (
  { settings: { registry: url, timeout }, ca, signal }: Reach,
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
