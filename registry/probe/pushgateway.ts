import { setTimeout as sleep } from "node:timers/promises";
import type { MetricName } from "../../monitoring/metrics";
import { groupPath } from "../../text/group-path";
import { type Answer, addressOf, type Exchange, ExchangeError, type Transport } from "../oci/http";
import { retryDelay } from "../oci/retry";
import type { Shard } from "../oci/walk";
import { exposition, NOTHING_STORED, type Push, type Stored } from "./samples";

/** The labels of a group of metrics. */
export interface GroupingKey {
  job: string;
  instance: string;
  /** Only if several clusters share the Pushgateway. */
  cluster?: string;
  /** Only if several walks share the registry. */
  shard?: string;
}

/** The Pushgateway did not accept the metrics: this run's are lost. */
export class PushFailed extends Error {
  override readonly name = "PushFailed";
}

/** Seconds without a byte after which a request to the Pushgateway is aborted; it answers quickly or not at all. */
export const PUSH_TIMEOUT = 10;

const ANSWER_LIMIT = 64 * 1024 * 1024;

/** Fixes the order of the labels, which differs in groups read back from a Pushgateway. */
const pathOf = ({ job, instance, cluster, shard }: GroupingKey): string => groupPath({ job, instance, cluster, shard });

/** The group of one walk; without a shard label if a single walk covers the registry. */
export const groupingKey = (
  job: string,
  instance: string,
  shard: Shard,
  cluster: string | null = null,
): GroupingKey => ({
  job,
  instance,
  ...(cluster === null ? {} : { cluster }),
  ...(shard.count === 1 ? {} : { shard: String(shard.index) }),
});

/** A probe with another name that has not reported for this long no longer exists. Seconds. */
const FORGOTTEN = 24 * 60 * 60;

/**
 * Whether a group belongs to this registry, but to a shard that no longer exists, or to a former name of the probe: one that has
 * not reported for a day, because two probes may monitor the same registry.
 *
 * @param silent seconds since the group's last report
 */
export const isStale = (
  group: Record<string, string>,
  { job, instance, cluster }: GroupingKey,
  { count }: Shard,
  silent = 0,
): boolean => {
  const { shard, job: itsJob, ...others } = group;
  const expected: Record<string, string> = cluster === undefined ? { instance } : { instance, cluster };
  const names = Object.keys(expected);
  if (Object.keys(others).length !== names.length || names.some((name) => others[name] !== expected[name]))
    return false;
  if (itsJob !== job) return itsJob !== undefined && silent > FORGOTTEN;
  if (shard === undefined) return count > 1;
  return count === 1 || !/^\d+$/.test(shard) || Number(shard) >= count;
};

/** A group in the Pushgateway's API. https://github.com/prometheus/pushgateway#query-api */
interface Group {
  labels: Record<string, string>;
  [metric: string]: unknown;
}

const groupsIn = (answer: Answer): Group[] | null => {
  if (answer.status !== 200) return null;
  try {
    const { data } = JSON.parse(answer.body.toString("utf8")) as { data?: unknown };
    if (!Array.isArray(data)) return null;
    return data.filter((group): group is Group => typeof group?.labels === "object" && group.labels !== null);
  } catch {
    return null;
  }
};

const valueIn = (group: Group, metric: MetricName): number | null => {
  const { metrics } = (group[metric] ?? {}) as { metrics?: { value?: unknown }[] };
  const value = Number(metrics?.[0]?.value ?? Number.NaN);
  return Number.isNaN(value) ? null : value;
};

/** Seconds since a probe's last report; 0 for a group without one, which is therefore never stale. */
const silence = (group: Group): number => {
  const last = valueIn(group, "registry_manifest_integrity_last_run_timestamp");
  return last === null ? 0 : Date.now() / 1000 - last;
};

const sameLabels = (a: Record<string, string>, b: GroupingKey): boolean => {
  const expected = Object.entries(b);
  return Object.keys(a).length === expected.length && expected.every(([name, value]) => a[name] === value);
};

const storedIn = (groups: readonly Group[], key: GroupingKey): Stored => {
  const group = groups.find(({ labels }) => sameLabels(labels, key));
  if (group === undefined) return NOTHING_STORED;
  return {
    catalogAccessible: valueIn(group, "registry_manifest_integrity_catalog_accessible"),
    failures: valueIn(group, "registry_manifest_integrity_failures"),
    repositories: valueIn(group, "registry_manifest_integrity_repos_checked"),
    tags: valueIn(group, "registry_manifest_integrity_tags_checked"),
    lastSuccess: valueIn(group, "registry_manifest_integrity_last_success_timestamp_seconds"),
  };
};

export class Pushgateway {
  readonly #transport: Transport;
  readonly #signal: AbortSignal | undefined;
  readonly #base: URL;

  /** @param base may have a path, with or without a trailing slash */
  constructor(base: URL, transport: Transport, signal?: AbortSignal) {
    this.#transport = transport;
    this.#signal = signal;

    this.#base = new URL(base.pathname.endsWith("/") ? base.pathname : `${base.pathname}/`, base);
  }

  /** The stored results of earlier runs, and the groups of former shards and names; null when they cannot be read. */
  async read(key: GroupingKey, shard: Shard): Promise<{ stored: Stored; stale: GroupingKey[] } | null> {
    const groups = groupsIn(await this.#send({ method: "GET", path: "api/v1/metrics" }));
    if (groups === null) return null;
    const stale = groups
      .filter((group) => isStale(group.labels, key, shard, silence(group)))
      .map(({ labels }) => labels);
    return { stored: storedIn(groups, key), stale: stale as unknown as GroupingKey[] };
  }

  /** @throws PushFailed */
  async push(key: GroupingKey, { method, samples }: Push): Promise<void> {
    const headers = { "content-type": "text/plain; version=0.0.4" };
    const answer = await this.#send({ method, path: pathOf(key), headers, body: exposition(samples) });
    this.#expectSuccess(answer);
  }

  /** @throws PushFailed */
  async remove(key: GroupingKey): Promise<void> {
    this.#expectSuccess(await this.#send({ method: "DELETE", path: pathOf(key) }));
  }

  #expectSuccess({ status, body }: Answer): void {
    if (status >= 200 && status < 300) return;
    const why = body.toString("utf8", 0, 200).replace(/\s+/g, " ").trim();
    throw new PushFailed(`the pushgateway ${this.#base.host} answered ${status}${why ? `: ${why}` : ""}`);
  }

  async #send(request: Pick<Exchange, "method" | "headers" | "body"> & { path: string }): Promise<Answer> {
    const { path, ...rest } = request;
    const url = new URL(path, this.#base);
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#transport
        .exchange({ ...addressOf(url), ...rest, limit: ANSWER_LIMIT })
        .catch((error: ExchangeError) => error);
      const delay = retryDelay(outcome, attempt, Math.random(), Date.now());
      if (delay === null) {
        if (!(outcome instanceof ExchangeError)) return outcome;
        throw new PushFailed(`the pushgateway ${url.host} cannot be reached: ${outcome.message}`);
      }
      await sleep(delay, undefined, { signal: this.#signal }).catch(() => {
        throw new PushFailed(`the pushgateway ${url.host} gave no answer before the deadline`);
      });
    }
  }
}
