import { compareText } from "../../text/compare-text";
import { type BlobCheck, BlobChecker, type BlobsChecked, type Turn } from "./blob-check";
import type { RegistryClient } from "./client";
import { sha256 } from "./digest";
import { drain } from "./drain";
import { RegistryError, type RegistryErrorCode } from "./errors";
import { type CheckFailure, catalogFailure, type Failure, OBJECTS, type Warning } from "./failure";
import { ExchangeError } from "./http";
import { type AskedImage, compareImages, type Images } from "./images";
import { readListing } from "./listing";
import { isRepository } from "./reference";
import { ReferrersApi } from "./referrers";
import { type RepositoryCounts, RepositoryWalk, type Role, type TagSelection } from "./repository";

export interface WalkOptions {
  role: Role;
  blobs: BlobCheck;
  /** With the check "head": the blobs whose turn it is are checked by their last byte. @default none */
  turn?: Turn;
  /** Platforms whose children of an index must be present. @default all */
  platforms?: readonly string[];
  /** Whether the catalog is read. */
  catalog: boolean;
  /** Walked in addition to the repositories in the catalog. */
  repositories: readonly string[];
  /** Which tags of each repository are walked: the same selection for all, or one for each. */
  selection: TagSelection | ((repository: string) => TagSelection);
  /** Whether credentials were given for this registry: an authoritative one must then ask for them. */
  credentialsGiven: boolean;
  /** The part of the repositories to walk, when several walks share them. @default all */
  shard?: Shard;
  /** Cuts the walk short; the reason is in the report. */
  signal?: AbortSignal;
  /** Ends after the catalog, without requesting anything that it lists. @default false */
  catalogOnly?: boolean;
  /** Called once the catalog has been read to its end. */
  onCatalog?: () => void;
  onProgress?: (progress: Progress) => void;
  /** Receives the result for each requested tag and digest of every repository that was walked to its end. */
  onImages?: (repository: string, images: AskedImage[]) => void;
}

/** One of `count` parts, by the hash of a repository's name. */
export interface Shard {
  /** From 0. */
  index: number;
  count: number;
}

export interface Progress {
  /** Repositories walked to their end. */
  repositories: number;
  /** Repositories to walk in total. */
  of: number;
  requests: number;
}

export interface Counts extends RepositoryCounts {
  repositories: number;
  requests: number;
  /** Body bytes received. */
  bytes: number;
}

/** Why a walk ended early. */
export interface Stop {
  code: string;
  message: string;
  hint: string;
}

/** The result of a walk. The fields are a contract: they are never renamed. */
export interface Report {
  /** The registry's origin. */
  registry: string;
  /** When the walk began: ISO 8601, UTC. */
  started: string;
  /** Whether everything asked for was reached. */
  complete: boolean;
  counts: Counts;
  durationSeconds: number;
  /** Sorted by repository, object and digest. */
  failures: Failure[];
  /** Sorted by repository. */
  warnings: Warning[];
  /** Which images can be pulled, and on which platforms. */
  images: Images;
  /** What was verified about configs and layers. */
  blobs: BlobsChecked;
  /** Null when the walk was completed. */
  stopped: Stop | null;
  /** Whether the catalog was read to its end. */
  catalogRead: boolean;
}

/** Whether a repository belongs to the shard: repositories are distributed by the hash of their name. */
export const isInShard = (repository: string, { index, count }: Shard): boolean =>
  count === 1 || Number.parseInt(sha256(repository).slice(-8), 16) % count === index;

/** By repository, then from the outermost object inwards, then by name: the same order on every run. */
const compareFailures = (a: Failure, b: Failure): number =>
  compareText(a.repository, b.repository) ||
  OBJECTS.indexOf(a.object) - OBJECTS.indexOf(b.object) ||
  compareText(a.digest ?? "", b.digest ?? "") ||
  compareText(a.tags[0] ?? "", b.tags[0] ?? "");

/** Why the signal cut the run short, taken from its reason if that is one of ours. */
const stopOf = (signal: AbortSignal | undefined): Stop => {
  if ((signal?.reason as Error | undefined)?.name === "TimeoutError") {
    return {
      code: "deadline",
      message: "the deadline passed before the walk was complete",
      hint: "give it more time, or less to do: fewer tags, a lighter blob check, more shards",
    };
  }
  return { code: "interrupted", message: "the walk was interrupted", hint: "run it again" };
};

/** The error that replaces a walk when the registry refuses its catalog or has none. */
export const catalogRefused = (host: string, failure: CheckFailure): RegistryError | null => {
  const { reason, status } = failure;
  const absent = reason === "missing" || status === 405 || status === 501;
  if (reason === "unauthorized") {
    const hint =
      "give credentials that may read it, or name the repositories with --repository (repositories of a probe)";
    return new RegistryError("unauthorized", `${host} refuses its catalog (${status})`, hint);
  }
  if (absent) {
    const hint = "check the address, or name the repositories with --repository (repositories of a probe)";
    return new RegistryError("no-catalog", `${host} has no catalog (${status})`, hint);
  }
  return null;
};

/** Errors that invalidate the walk instead of ending it early: the answers so far cannot be trusted, or contain nothing. */
const NO_WALK: readonly RegistryErrorCode[] = ["accept-dropped", "unauthorized"];

class RegistryWalk {
  readonly #client: RegistryClient;
  readonly #options: WalkOptions;
  readonly #started = performance.now();
  readonly #date = new Date().toISOString();
  readonly #shard: Shard;
  readonly #referrers: ReferrersApi;
  readonly #blobs: BlobChecker;
  readonly #counts: RepositoryCounts & { repositories: number } = {
    repositories: 0,
    tags: 0,
    manifests: 0,
    indexes: 0,
    blobs: 0,
  };
  readonly #failures: Failure[] = [];
  readonly #warnings: Warning[] = [];
  readonly #images: Images = { whole: 0, broken: [] };
  readonly #listed = new Set<string>();
  readonly #coverage: string[] = [];
  /** The repositories being walked. */
  readonly #active = new Set<RepositoryWalk>();
  #total: number | null = null;
  #catalogRead = false;
  #complete = true;
  #stopped: Stop | null = null;

  constructor(client: RegistryClient, options: WalkOptions) {
    this.#client = client;
    this.#options = options;

    this.#shard = options.shard ?? { index: 0, count: 1 };
    this.#referrers = new ReferrersApi(client);
    this.#blobs = new BlobChecker(client, options.blobs, options.turn);
  }

  async run(): Promise<void> {
    try {
      await this.#client.ping();
      const repositories = await this.#repositories();
      if (this.#catalogRead) this.#options.onCatalog?.();
      if (this.#options.catalogOnly) return;
      this.#total = repositories.length;
      await drain(repositories.reverse(), this.#client.concurrency, (repository) => this.#walk(repository));
      const { selection } = this.#options;
      if (
        typeof selection !== "function" &&
        selection.kind === "present" &&
        this.#complete &&
        this.#counts.tags === 0
      ) {
        this.#coverage.push(`no repository has the tag ${selection.tags.join(" or ")}`);
      }
      // A pull-through cache may allow anonymous access.
      if (this.#options.role === "private" && this.#options.credentialsGiven && !this.#client.challenged) {
        this.#coverage.push("it never asked for the credentials that were given");
      }
    } catch (error) {
      this.#stop(error);
      return;
    }
    const { unusable } = this.#client;
    if (unusable !== null) throw unusable;
  }

  report(): Report {
    const failures = [...this.#failures];
    if (this.#coverage.length > 0 && this.#shard.index === 0) {
      const detail = this.#coverage.join("; ");
      failures.push(catalogFailure({ reason: "coverage", status: 200, detail }));
    }
    return {
      registry: this.#client.url.origin,
      started: this.#date,
      complete: this.#complete && this.#stopped === null,
      counts: { ...this.#counts, ...this.#client.traffic },
      durationSeconds: Math.round(performance.now() - this.#started) / 1000,
      failures: failures.sort(compareFailures),
      warnings: [...this.#warnings].sort((a, b) => compareText(a.repository, b.repository)),
      images: { whole: this.#images.whole, broken: [...this.#images.broken].sort(compareImages) },
      blobs: this.#blobs.checked,
      stopped: this.#stopped,
      catalogRead: this.#catalogRead,
    };
  }

  async #repositories(): Promise<string[]> {
    const { catalog, repositories } = this.#options;
    if (catalog) for (const name of await this.#readCatalog()) this.#listed.add(name);
    return [...new Set([...repositories, ...this.#listed])].filter((name) => isInShard(name, this.#shard));
  }

  async #readCatalog(): Promise<string[]> {
    const { names, failure } = await readListing("repositories", isRepository, (next) => this.#client.catalog(next));
    this.#catalogRead = failure === null;
    if (failure !== null) {
      const refused = catalogRefused(this.#client.url.host, failure);
      if (refused !== null && this.#options.repositories.length === 0) throw this.#client.unusable ?? refused;
      this.#complete = false;
      if (this.#shard.index === 0) this.#failures.push(catalogFailure(failure));
    } else if (names.length === 0 && this.#options.role === "private") {
      // A pull-through cache may be empty before its first pull; an authoritative registry should not be.
      this.#coverage.push("the catalog is empty");
    }
    return names;
  }

  async #walk(repository: string): Promise<void> {
    const isListed = this.#listed.has(repository);
    const { platforms = [], selection: given } = this.#options;
    const selection = typeof given === "function" ? given(repository) : given;
    const options = { ...this.#options, platforms, selection, isListed };
    const walk = new RepositoryWalk(this.#client, this.#referrers, this.#blobs, repository, options);
    this.#active.add(walk);
    await walk.run();
    this.#options.onImages?.(repository, walk.asked());
    this.#take(walk);
    const { repositories } = this.#counts;
    this.#options.onProgress?.({ repositories, of: this.#total ?? 0, requests: this.#client.traffic.requests });
  }

  /** Takes over the findings of a repository's walk, so that its memory can be freed. */
  #take(walk: RepositoryWalk): void {
    this.#active.delete(walk);
    const counts = walk.counts;
    this.#counts.repositories++;
    this.#counts.tags += counts.tags;
    this.#counts.manifests += counts.manifests;
    this.#counts.indexes += counts.indexes;
    this.#counts.blobs += counts.blobs;
    this.#complete &&= walk.complete;
    for (const failure of walk.failures()) this.#failures.push(failure);
    const { whole, broken } = walk.images();
    this.#images.whole += whole;
    for (const image of broken) this.#images.broken.push(image);
    if (walk.warning !== null) this.#warnings.push(walk.warning);
  }

  /** Ends the walk early and keeps its findings; rethrows errors that invalidate it, or that came before it began. */
  #stop(error: unknown): void {
    const cut = error instanceof ExchangeError && error.code === "cancelled";
    const gone = error instanceof RegistryError && !NO_WALK.includes(error.code) && this.#total !== null;
    if (!cut && !gone) throw error;
    this.#stopped = gone
      ? { code: error.code, message: error.message, hint: error.hint }
      : stopOf(this.#options.signal);
    for (const walk of this.#active) this.#take(walk);
    if (!gone) return;
    // An unavailable registry is one failure: the objects requested meanwhile are not reported.
    const kept = this.#failures.filter(({ reason }) => reason !== "unreachable" && reason !== "timeout");
    this.#failures.splice(0, this.#failures.length, ...kept);
  }
}

/**
 * Walks a registry and reports every broken object once.
 *
 * @throws RegistryError when the registry as a whole is unreachable, refuses access or cannot be listed, so that no walk began
 */
export const walk = async (client: RegistryClient, options: WalkOptions): Promise<Report> => {
  const registryWalk = new RegistryWalk(client, options);
  await registryWalk.run();
  return registryWalk.report();
};
