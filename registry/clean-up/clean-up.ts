import { CLEAN_UP_JOB } from "../../monitoring/metrics";
import { readCertificates } from "../oci/certificates";
import { RegistryError } from "../oci/errors";
import { Transport } from "../oci/http";
import type { WriterOptions } from "../oci/push";
import { PUSH_TIMEOUT, PushFailed, Pushgateway } from "../probe/pushgateway";
import { withRemoteClients } from "../remote/clients";
import { readJournal } from "../remote/journal";
import { applyRemotePrune, isDone, type RemotePruneReport } from "../remote/prune";
import { remoteOutcome, remotePruneTable, remoteUndoTable } from "../remote/prune-table";
import { isUndone, undoRemotePrune } from "../remote/undo";
import { StorageRefusal } from "../storage/refusal";
import { type CleanUpSettings, cleanUpSettings } from "./environment";
import { cleanUpPush } from "./samples";

/** Receives a line of the log; it contains no secret. */
type Log = (line: string) => void;

const accessOf = ({ registry, credentials, rate, caFile }: CleanUpSettings): WriterOptions => ({
  url: registry,
  credentials,
  rate: rate ?? undefined,
  ca: caFile === null ? undefined : readCertificates(caFile),
});

/** Logs what is removed and why before anything is done, and then the result. */
const remove = (settings: CleanUpSettings, out: Log): Promise<RemotePruneReport> => {
  const { policy, repositories, journals } = settings;
  const tell = (lines: readonly string[]) => {
    for (const line of lines) out(line);
  };
  return withRemoteClients(accessOf(settings), async ({ client, writer, listing }) => {
    const scope = { policy, now: Date.now(), repositories, listing, journals };
    const onPlan = (plan: RemotePruneReport) => tell(remotePruneTable(plan));
    const report = await applyRemotePrune(client, { ...scope, writer, onPlan });
    tell(remoteOutcome(report));
    return report;
  });
};

const push = async ({ pushgateway, instance, cluster }: CleanUpSettings, ended: Parameters<typeof cleanUpPush>[0]) => {
  const transport = new Transport({ timeout: PUSH_TIMEOUT * 1000 });
  try {
    const key = { job: CLEAN_UP_JOB, instance, ...(cluster === null ? {} : { cluster }) };
    await new Pushgateway(pushgateway, transport).push(key, cleanUpPush(ended));
  } finally {
    await transport.close();
  }
};

/** Removes what the policy does not keep, and reports the result to the Pushgateway, also after a failure. */
const cleanUpRegistry = async (settings: CleanUpSettings, out: Log, err: Log): Promise<0 | 1 | 2> => {
  const started = performance.now();
  let report: RemotePruneReport | null = null;
  try {
    report = await remove(settings, out);
  } catch (error) {
    // Before anything else: the Pushgateway may be unavailable too.
    err(lineOf(error));
  } finally {
    const duration = (performance.now() - started) / 1000;
    await push(settings, { report, duration, at: Math.round(Date.now() / 1000) });
  }
  if (report === null) return 2;
  return isDone(report) ? 0 : 1;
};

const undoCleanUp = async (settings: CleanUpSettings, folder: string, out: Log): Promise<0 | 1> => {
  const journal = readJournal(folder);
  const { origin } = settings.registry;
  if (journal.registry !== origin)
    throw new RegistryError(
      "bad-input",
      `the journal ${folder} is of ${journal.registry}, not of ${origin}`,
      "give a journal of this registry",
    );
  const report = await withRemoteClients(accessOf(settings), ({ client, writer }) =>
    undoRemotePrune(client, writer, folder, journal),
  );
  for (const line of remoteUndoTable(report)) out(line);
  return isUndone(report) ? 0 : 1;
};

/**
 * One run of the clean-up of a registry over HTTP, configured by environment variables.
 *
 * @param environment see CLEAN_UP_VARIABLES
 * @param err receives the one line that says why the run could not do its work
 * @returns the exit code: 0 when all was done, 1 when something remains, 2 when it refused or failed
 */
export const cleanUp = async (environment: NodeJS.ProcessEnv, out: Log, err: Log): Promise<0 | 1 | 2> => {
  try {
    const settings = cleanUpSettings(environment);
    return settings.undo === null
      ? await cleanUpRegistry(settings, out, err)
      : await undoCleanUp(settings, settings.undo, out);
  } catch (error) {
    err(lineOf(error));
    return 2;
  }
};

/** Why a run could not do its work. @throws anything that is a bug */
const lineOf = (error: unknown): string => {
  if (error instanceof RegistryError || error instanceof StorageRefusal) return `${error.message}; ${error.hint}`;
  if (error instanceof PushFailed) return `${error.message}; check PUSHGATEWAY and that it runs`;
  throw error;
};
