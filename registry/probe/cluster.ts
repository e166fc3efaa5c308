import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Answer, addressOf, ExchangeError, Transport } from "../oci/http";
import { retryDelay } from "../oci/retry";
import { NoWorkloads, readWorkloads, together, type Workloads } from "../workloads/workloads";

/** Where a pod finds its cluster's API server, and its credentials. */
export interface ClusterAccess {
  /** Base URL. */
  api: URL;
  /** The folder with `token` and `ca.crt`. https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/ */
  serviceAccount: string;
}

/** The cluster did not report its workloads; the message gives the reason in one line. */
export class ClusterSilent extends Error {
  override readonly name = "ClusterSilent";
}

const POD_FILTER = encodeURIComponent("status.phase!=Succeeded,status.phase!=Failed");

/** https://kubernetes.io/docs/reference/kubernetes-api/ */
const LISTS = [`/api/v1/pods?fieldSelector=${POD_FILTER}&limit=500`, "/apis/batch/v1/cronjobs?limit=500"];

/** A pod takes at most 1.5 MB in etcd, and nearly always a few KB. Bytes of a page. */
const PAGE_LIMIT = 256 * 1024 * 1024;
/** No cluster has more pages of either; an endless list is cut off here. */
const MOST_PAGES = 1000;
/** Seconds without a byte. */
const TIMEOUT = 30;
/** The continue token expires after minutes: the list then has to be read from the start. */
const GONE = 410;

/**
 * Lists the pods and CronJobs of the cluster in which the program runs, page by page.
 *
 * @throws ClusterSilent
 */
export const askCluster = async (
  { api, serviceAccount }: ClusterAccess,
  signal: AbortSignal | undefined,
): Promise<Workloads> => {
  const [token, ca] = ["token", "ca.crt"].map((name) => readFile(join(serviceAccount, name))) as [string, string];
  const transport = new Transport({ timeout: TIMEOUT * 1000, ca, signal });
  const get = (path: string): Promise<Answer> =>
    patiently(signal, () =>
      transport.exchange({
        ...addressOf(new URL(path, api)),
        method: "GET",
        headers: { authorization: `Bearer ${token.trim()}`, accept: "application/json" },
        limit: PAGE_LIMIT,
      }),
    );
  try {
    const lists: Workloads[] = [];
    for (const path of LISTS) lists.push(await listFrom(get, path));
    return together(lists);
  } finally {
    await transport.close();
  }
};

const readFile = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new ClusterSilent(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
};

const patiently = async (signal: AbortSignal | undefined, ask: () => Promise<Answer>): Promise<Answer> => {
  for (let attempt = 1; ; attempt++) {
    const outcome = await ask().catch((error: ExchangeError) => error);
    const delay = retryDelay(outcome, attempt, Math.random(), Date.now());
    if (delay === null) {
      if (!(outcome instanceof ExchangeError)) return outcome;
      throw new ClusterSilent(`the API server cannot be reached: ${outcome.message}`);
    }
    await sleep(delay, undefined, { signal }).catch(() => {
      throw new ClusterSilent("the API server gave no answer before the deadline");
    });
  }
};

/** @param path of the first page */
const listFrom = async (get: (path: string) => Promise<Answer>, path: string): Promise<Workloads> => {
  let restarted = false;
  const pages: Workloads[] = [];
  for (let next: string | null = path; next !== null; ) {
    const answer = await get(next);
    if (answer.status === GONE && !restarted) {
      restarted = true;
      pages.length = 0;
      next = path;
      continue;
    }
    if (answer.status !== 200) throw refusal(answer.status, path);
    const { workloads, rest } = pageIn(answer);
    pages.push(workloads);
    if (pages.length >= MOST_PAGES) throw new ClusterSilent(`the list of ${kindOf(path)} has no end`);
    next = rest === null ? null : `${path}&continue=${encodeURIComponent(rest)}`;
  }
  return together(pages);
};

const kindOf = (path: string): string => (path.includes("/pods?") ? "pods" : "cronjobs");

const refusal = (status: number, path: string): ClusterSilent => {
  const what = kindOf(path);
  return new ClusterSilent(
    status === 401 || status === 403
      ? `the API server refuses the list of ${what} (${status}): the ClusterRole of the probe is missing, or not bound`
      : `the API server answers the list of ${what} with ${status}`,
  );
};

const pageIn = ({ body }: Answer): { workloads: Workloads; rest: string | null } => {
  try {
    const list = JSON.parse(body.toString("utf8")) as { metadata?: { continue?: unknown } };
    const rest = list?.metadata?.continue;
    return { workloads: readWorkloads(list), rest: typeof rest === "string" && rest !== "" ? rest : null };
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof NoWorkloads)
      throw new ClusterSilent("the API server did not answer with a list of pods");
    throw error;
  }
};
