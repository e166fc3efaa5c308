import { readCertificates } from "../oci/certificates";
import { RegistryClient } from "../oci/client";
import { RegistryError } from "../oci/errors";
import { Transport } from "../oci/http";
import { type Report, walk } from "../oci/walk";
import { table } from "../report/table";
import { type ProbeSettings, probeSettings } from "./environment";
import { groupingKey, PushFailed, Pushgateway } from "./pushgateway";
import { pushOf, type Run, withCoverage } from "./samples";

/** The part of the deadline that is kept for the report, and its most. Seconds. */
const RESERVE = { part: 0.2, most: 30 };
/** Seconds without a byte that end a request to the Pushgateway, which answers at once or not at all. */
const PUSH_TIMEOUT = 10;
/** A log is read by people. */
const MOST_ROWS = 100;

/** How long the walk may take of the whole, so that what it found can still be pushed. Seconds. */
export function walkDeadline(deadline: number): number {
  return deadline - Math.min(RESERVE.most, RESERVE.part * deadline);
}

/** Walks as far as the deadline lets it. */
async function runWalk(settings: ProbeSettings, ca: string | undefined, log: (line: string) => void): Promise<Run> {
  const { registry, deadline, credentials } = settings;
  const signal = deadline === null ? undefined : AbortSignal.timeout(walkDeadline(deadline) * 1000);
  const client = new RegistryClient({
    url: registry,
    credentials,
    concurrency: settings.concurrency,
    timeout: settings.timeout,
    ca,
    signal,
  });
  const started = performance.now();
  let report: Report | null = null;
  let catalogueAccessible = false;
  try {
    report = await walk(client, {
      role: settings.role,
      blobs: settings.blobs,
      catalogue: true,
      repositories: settings.repositories,
      selection: { kind: "all" },
      credentialsGiven: credentials !== null,
      shard: settings.shard,
      signal,
    });
    catalogueAccessible = report.catalogueRead;
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    // The front changes what is asked, yet the catalogue was read.
    catalogueAccessible = error.code === "accept-dropped";
    log(`no walk: ${error.message}; ${error.cure}`);
  } finally {
    await client.close();
  }
  return {
    report,
    catalogueAccessible,
    duration: (performance.now() - started) / 1000,
    ...client.traffic,
    ended: Math.round(Date.now() / 1000),
    certificateExpiry: client.certificateExpiry,
  };
}

async function pushRun(settings: ProbeSettings, run: Run, ca: string | undefined, signal?: AbortSignal): Promise<Run> {
  const transport = new Transport({ connections: 1, timeout: PUSH_TIMEOUT * 1000, ca, signal });
  try {
    const gateway = new Pushgateway(settings.pushgateway, transport, signal);
    const key = groupingKey(settings.job, settings.instance, settings.shard);
    const read = await gateway.read(key, settings.shard);
    const stored = read?.stored ?? null;
    const judged = run.report === null ? run : { ...run, report: withCoverage(run.report, stored) };
    await gateway.push(key, pushOf(judged, stored));
    if (settings.shard.index === 0) for (const stale of read?.stale ?? []) await gateway.remove(stale);
    return judged;
  } finally {
    await transport.close();
  }
}

/**
 * One run of the in-cluster probe: walks the registry that the environment names and pushes what it found.
 *
 * @param environment see probeSettings
 * @param out takes a line for the log; no secret is in it
 * @param err takes the one line that says why the run could not do its work
 * @returns the exit code: 0 when the metrics were pushed, whatever they say; 2 otherwise
 */
export async function probe(
  environment: NodeJS.ProcessEnv,
  out: (line: string) => void,
  err: (line: string) => void,
): Promise<0 | 2> {
  try {
    const settings = probeSettings(environment);
    const ca = settings.caFile === null ? undefined : readCertificates(settings.caFile);
    const signal = settings.deadline === null ? undefined : AbortSignal.timeout(settings.deadline * 1000);
    const run = await pushRun(settings, await runWalk(settings, ca, out), ca, signal);
    if (run.report !== null) for (const line of table(run.report, MOST_ROWS)) out(line);
    return 0;
  } catch (error) {
    if (error instanceof RegistryError) err(`${error.message}; ${error.cure}`);
    else if (error instanceof PushFailed) err(`${error.message}; check PUSHGATEWAY and that it runs`);
    else throw error;
    return 2;
  }
}
