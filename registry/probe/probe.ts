import { setTimeout as sleep } from "node:timers/promises";
import type { Turn } from "../oci/blob-check";
import { readCertificates } from "../oci/certificates";
import { RegistryClient } from "../oci/client";
import { RegistryError } from "../oci/errors";
import { type Traffic, Transport } from "../oci/http";
import { type Report, walk } from "../oci/walk";
import { reportTable } from "../report/table";
import { type ProbeSettings, probeSettings } from "./environment";
import { type GroupingKey, groupingKey, PUSH_TIMEOUT, PushFailed, Pushgateway } from "./pushgateway";
import { CATALOG_IS_BACK, type ProbeRun, probePush, withCoverage } from "./samples";
import { probeWorkloads } from "./workloads";

/** The fraction of the deadline that is reserved for the report, and its maximum. Seconds. */
const RESERVE = { part: 0.2, most: 30 };
/**
 * How long to retry an unreadable catalog: for minutes, so that a single run can be certain, if that leaves the walk enough
 * time; otherwise for a fraction of the deadline. Seconds.
 */
const PATIENCE = { most: 300, left: 300, part: 0.1, partMost: 60 };
/** Time between two attempts to read the catalog. Seconds. */
const PAUSE = 5;
const DAY = 24 * 60 * 60 * 1000;
/** Logs should stay readable. */
const MOST_ROWS = 100;

/** The time limit of the walk, which leaves enough time to push its results. Seconds. */
export const walkDeadline = (deadline: number): number => deadline - Math.min(RESERVE.most, RESERVE.part * deadline);

/** How long to retry an unreadable catalog. Seconds; 0 without a deadline. */
export const patience = (deadline: number | null): number => {
  if (deadline === null) return 0;
  const part = Math.min(PATIENCE.partMost, PATIENCE.part * deadline);
  return Math.max(part, Math.min(PATIENCE.most, deadline - PATIENCE.left));
};

/** The turn at a given time, in milliseconds since 1970: the day is divided into as many parts as there are turns. */
export const turnNow = (of: number, now: number): Turn => ({ index: Math.floor(((now % DAY) * of) / DAY), of });

/** If the repositories are configured, the registry may have no catalog. */
const asksCatalog = ({ role, repositories }: ProbeSettings): boolean => role === "proxy" || repositories.length === 0;

/** The result of one attempt at a walk, and the error if there was none. */
type Attempt = Pick<ProbeRun, "report" | "catalogAccessible" | "certificateExpiry"> & {
  traffic: Readonly<Traffic>;
  why: string | null;
};

const attemptWalk = async (
  settings: ProbeSettings,
  ca: string | undefined,
  signal: AbortSignal | undefined,
  onCatalog: () => void,
): Promise<Attempt> => {
  const { registry, credentials, concurrency, timeout, rate, turns, repositories } = settings;
  const isCache = settings.role === "proxy";
  const options = { url: registry, credentials, concurrency, timeout, ca, signal };
  const client = new RegistryClient({ ...options, rate: rate ?? undefined });
  const ended = (report: Report | null, catalogAccessible: boolean | null, why: string | null): Attempt => {
    return { report, catalogAccessible, certificateExpiry: client.certificateExpiry, traffic: client.traffic, why };
  };
  try {
    const report = await walk(client, {
      role: settings.role,
      blobs: settings.blobs,
      turn: turns === null ? undefined : turnNow(turns, Date.now()),
      platforms: settings.platforms,
      catalog: isCache || repositories.length === 0,
      // A cache may lack anything, and requests would make it fetch.
      catalogOnly: isCache,
      repositories: isCache ? [] : repositories,
      selection: { kind: "all" },
      credentialsGiven: credentials !== null,
      shard: settings.shard,
      signal,
      onCatalog,
    });
    return ended(report, asksCatalog(settings) ? report.catalogRead : null, null);
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    // The reverse proxy alters requests, but the catalog was read.
    const accessible = asksCatalog(settings) ? error.code === "accept-dropped" : null;
    return ended(null, accessible, `no walk: ${error.message}; ${error.hint}`);
  } finally {
    await client.close();
  }
};

/**
 * Verifies the workloads, then walks until the deadline. An unreadable catalog is retried for a while: a report stays until
 * the next run, so a registry that is merely restarting must not be reported as gone.
 */
const runWalk = async (
  settings: ProbeSettings,
  ca: string | undefined,
  onCatalog: () => void,
  log: (line: string) => void,
): Promise<ProbeRun> => {
  const { role, deadline } = settings;
  const signal = deadline === null ? undefined : AbortSignal.timeout(walkDeadline(deadline) * 1000);
  const started = performance.now();
  const seconds = (): number => (performance.now() - started) / 1000;
  // The workloads are the most important part: a walk that takes too long must not prevent their verification.
  const workloads = await probeWorkloads({ settings, ca, signal }, log);
  const traffic: Traffic = { requests: 0, bytes: 0, ...workloads?.traffic };
  for (;;) {
    const { report, catalogAccessible, certificateExpiry, ...attempt } = await attemptWalk(
      settings,
      ca,
      signal,
      onCatalog,
    );
    traffic.requests += attempt.traffic.requests;
    traffic.bytes += attempt.traffic.bytes;
    const walked = catalogAccessible || (report?.counts.repositories ?? 0) > 0;
    if (!walked && seconds() + PAUSE < patience(deadline)) {
      await sleep(PAUSE * 1000);
      continue;
    }
    if (attempt.why !== null) log(attempt.why);
    const ended = Math.round(Date.now() / 1000);
    return {
      role,
      report,
      catalogAccessible,
      duration: seconds(),
      ...traffic,
      ended,
      certificateExpiry,
      workloads,
    };
  }
};

/** The Pushgateway, and the registry's group in it. */
class Reports {
  readonly #settings: ProbeSettings;
  readonly #gateway: Pushgateway;
  readonly #key: GroupingKey;

  constructor(settings: ProbeSettings, transport: Transport, signal: AbortSignal | undefined) {
    this.#settings = settings;

    this.#gateway = new Pushgateway(settings.pushgateway, transport, signal);
    this.#key = groupingKey(settings.job, settings.instance, settings.shard, settings.cluster);
  }

  /**
   * Withdraws the report of an unreadable catalog at once: a walk may take so long that the last run's report would stand for
   * more than a period. If this fails, the report at the end will do it, or fail too.
   */
  async catalogIsBack(): Promise<void> {
    try {
      const read = await this.#gateway.read(this.#key, this.#settings.shard);
      if (read?.stored.catalogAccessible === 0) await this.#gateway.push(this.#key, CATALOG_IS_BACK);
    } catch (error) {
      if (!(error instanceof PushFailed)) throw error;
    }
  }

  /**
   * Logs and pushes the result of a run.
   *
   * @param tell receives the run before the push, including any loss of coverage since the last run: an unavailable Pushgateway
   *   must not hide the result
   */
  async push(run: ProbeRun, tell: (run: ProbeRun) => void): Promise<void> {
    const { shard, role } = this.#settings;
    const read = await this.#gateway.read(this.#key, shard).catch((error: unknown) => {
      tell(run);
      throw error;
    });
    const stored = read?.stored ?? null;
    const isCompared = run.report !== null && role === "private";
    const judged = isCompared ? { ...run, report: withCoverage(run.report as Report, stored) } : run;
    tell(judged);
    await this.#gateway.push(this.#key, probePush(judged, stored));
    if (shard.index === 0) for (const stale of read?.stale ?? []) await this.#gateway.remove(stale);
  }
}

const logOf = ({ role, report, catalogAccessible }: ProbeRun): string[] => {
  if (report === null) return [];
  if (role === "private" || !catalogAccessible) return reportTable(report, MOST_ROWS);
  return [`${report.registry}: the catalog can be read; a cache is asked for nothing else`];
};

/**
 * One run of the in-cluster probe: walks the configured registry and pushes the result.
 *
 * @param environment see probeSettings
 * @param out receives a line of the log; it contains no secret
 * @param err receives the one line that says why the run could not do its work
 * @returns the exit code: 0 when the metrics were pushed, whatever they say; 2 otherwise
 */
export const probe = async (
  environment: NodeJS.ProcessEnv,
  out: (line: string) => void,
  err: (line: string) => void,
): Promise<0 | 2> => {
  try {
    const settings = probeSettings(environment);
    const ca = settings.caFile === null ? undefined : readCertificates(settings.caFile);
    const signal = settings.deadline === null ? undefined : AbortSignal.timeout(settings.deadline * 1000);
    const transport = new Transport({ timeout: PUSH_TIMEOUT * 1000, ca, signal });
    try {
      const reports = new Reports(settings, transport, signal);
      let told: Promise<void> | undefined;
      const run = await runWalk(settings, ca, () => (told = reports.catalogIsBack()), out);
      // The report must come last.
      await told;
      await reports.push(run, (judged) => {
        for (const line of logOf(judged)) out(line);
      });
    } finally {
      await transport.close();
    }
    return 0;
  } catch (error) {
    if (error instanceof RegistryError) err(`${error.message}; ${error.hint}`);
    else if (error instanceof PushFailed) err(`${error.message}; check PUSHGATEWAY and that it runs`);
    else throw error;
    return 2;
  }
};
