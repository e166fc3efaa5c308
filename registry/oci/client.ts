import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Authorizer, CATALOG_SCOPE, parseChallenges, pullScope, type Scope } from "./authorization";
import type { Credentials } from "./credentials";
import type { Digest } from "./digest";
import { RegistryError } from "./errors";
import { acceptWasDropped } from "./failure";
import { Gate } from "./gate";
import {
  type Address,
  type Answer,
  addressOf,
  cancelled,
  type Exchange,
  ExchangeError,
  isRedirect,
  redirectTarget,
  type Traffic,
  Transport,
} from "./http";
import { MANIFEST_ACCEPT, OCI_INDEX } from "./manifest";
import { type ExchangeOutcome, isThrottled, retryAfter, retryDelay } from "./retry";

/** How a registry is reached, whatever is asked of it. */
export interface RegistryAccess {
  /** The registry's origin. */
  url: URL;
  credentials?: Credentials | null;
  /** Requests a second. @default unlimited */
  rate?: number;
  /** Shared with everything else that sends requests to the registry, so that one rate covers all. @default its own */
  gate?: Gate;
  /** Seconds without a byte after which a request is aborted. @default 30 */
  timeout?: number;
  /** PEM certificates trusted in addition to the well-known ones. */
  ca?: string;
  insecureSkipTlsVerify?: boolean;
  /** Aborts everything. */
  signal?: AbortSignal;
}

export interface ClientOptions extends RegistryAccess {
  /** Concurrent requests. @default 8: more only adds latency at one registry */
  concurrency?: number;
  /** Receives a line for each request: method, url without secrets, status, bytes, milliseconds. */
  onExchange?: (line: string) => void;
}

export const DEFAULT_CONCURRENCY = 8;
export const DEFAULT_TIMEOUT = 30;

/** The specification asks registries for at least 4 MiB (section "Pushing Manifests"). Bytes. */
export const MANIFEST_LIMIT = 8 * 1024 * 1024;
/** 100,000 tags of the longest name take 13 MB. Bytes. */
export const LISTING_LIMIT = 32 * 1024 * 1024;
/** A blob sent whole instead of its last byte is read to the end up to this size. Bytes. */
const WHOLE_BLOB = 64 * 1024;

/** The registry counts as gone after this many consecutive requests without an answer, for each one that may be in flight. */
const SILENCE = 2;

const MOST_REDIRECTS = 5;

interface Request {
  path: string;
  scope: Scope;
  method?: "GET" | "HEAD";
  accept?: string;
  range?: string;
  limit: number;
  /** Called for each exchange, so that a retry starts with a fresh receiver. */
  receiver?: () => (piece: Uint8Array) => void;
  enough?: Exchange["enough"];
  /** Whether it is sent without credentials, so that a refusal is the answer. @default false */
  anonymous?: boolean;
}

/**
 * The pull side of the OCI distribution specification for one registry, with authorization, limits, retries and redirects.
 * Every method returns the registry's answer, whatever its status, and throws ExchangeError when there is none.
 *
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md
 */
export class RegistryClient {
  readonly url: URL;
  readonly concurrency: number;
  /** Cached, because URL computes it again on each access. */
  readonly #origin: string;
  readonly #transport: Transport;
  readonly #authorizer: Authorizer;
  readonly #gate: Gate;
  readonly #signal: AbortSignal | undefined;
  readonly #hasCredentials: boolean;
  /** Whether the answer to the ping came from a registry. */
  #pinged = true;
  /** Whether any request was authorized; below, whether any was refused. */
  #admitted = false;
  #refused = false;
  /** Whether any manifest was served; below, whether any was refused as if the Accept header were missing. */
  #served = false;
  #suspected = false;
  /** Consecutive requests without any answer, each after its retries. */
  #silence = 0;

  constructor(options: ClientOptions) {
    const { url, credentials = null, rate, ca, insecureSkipTlsVerify, signal } = options;
    this.url = url;
    this.#origin = url.origin;
    this.concurrency = options.concurrency ?? DEFAULT_CONCURRENCY;
    this.#signal = signal;
    // Each waiting request adds a listener, and there may be more than ten.
    if (signal !== undefined) setMaxListeners(0, signal);
    this.#hasCredentials = credentials !== null;
    this.#gate = options.gate ?? new Gate({ concurrency: this.concurrency, rate, signal });
    const timeout = (options.timeout ?? DEFAULT_TIMEOUT) * 1000;
    const { onExchange } = options;
    this.#transport = new Transport({ timeout, ca, insecureSkipTlsVerify, signal, onExchange });
    this.#authorizer = new Authorizer(url, credentials, this.#transport);
  }

  /** Whether the registry has asked for credentials. */
  get challenged(): boolean {
    return this.#authorizer.challenged;
  }

  get traffic(): Readonly<Traffic> {
    return this.#transport.traffic;
  }

  /** When the registry's certificate expires, in seconds since 1970; null without TLS. */
  get certificateExpiry(): number | null {
    return this.#transport.certificateExpiry(this.url);
  }

  async close(): Promise<void> {
    await this.#transport.close();
  }

  /**
   * Pings the registry, first anonymously, and learns how it wants requests to be authenticated.
   *
   * @throws RegistryError when the registry as a whole is unreachable, untrusted or refuses access
   */
  async ping(): Promise<void> {
    const request: Request = { path: "/v2/", scope: "", limit: LISTING_LIMIT };
    try {
      const answer = await this.#send({ ...request, anonymous: true });
      if (answer.status === 400) throw noRegistry(this.url, "it answers 400");
      if (answer.status === 403) throw credentialsRefused(this.url);
      if (isGatewayError(answer)) throw gatewayFailed(this.url, answer.status);
      this.#pinged = answer.status !== 404;
      const challenges = parseChallenges(answer.headers["www-authenticate"]);
      if (answer.status !== 401) {
        // A registry open to anonymous users may show more to authenticated ones.
        if (this.#hasCredentials && challenges.length > 0) await this.#authorizer.answer(challenges, "", null);
        return;
      }
      const authorization = await this.#authorizer.answer(challenges, "", null);
      // A token service may refuse a token for the registry itself and still issue one for a repository.
      if (authorization !== null || challenges.some(({ scheme }) => scheme === "bearer")) return;
      // Anonymous pulls may be allowed nevertheless.
      this.#refused = true;
      if (this.#hasCredentials) throw credentialsNeeded(this.url);
    } catch (error) {
      throw error instanceof ExchangeError ? registryFailed(this.url, error) : error;
    }
  }

  /** Error to report when the ping succeeded but nothing usable was read; null when something was. */
  get unusable(): RegistryError | null {
    if (this.#suspected && !this.#served) return acceptDropped(this.url);
    if (this.#admitted) return null;
    if (this.#refused) return this.#hasCredentials ? credentialsRefused(this.url) : credentialsNeeded(this.url);
    return this.#pinged ? null : noRegistry(this.url, "it answers 404");
  }

  /** One page of repositories; without `next`, the first one, whose size the registry chooses. */
  catalog(next?: URL): Promise<Answer> {
    const path = next === undefined ? "/v2/_catalog" : next.pathname + next.search;
    return this.#send({ path, scope: CATALOG_SCOPE, limit: LISTING_LIMIT });
  }

  /** One page of a repository's tags. */
  tags(repository: string, next?: URL): Promise<Answer> {
    const path = next === undefined ? `/v2/${repository}/tags/list` : next.pathname + next.search;
    return this.#send({ path, scope: pullScope(repository), limit: LISTING_LIMIT });
  }

  /**
   * A manifest by tag or by digest.
   *
   * @throws RegistryError `accept-dropped` when a reverse proxy strips the Accept header: no answer can be trusted then
   */
  async manifest(repository: string, reference: string): Promise<Answer> {
    const path = `/v2/${repository}/manifests/${reference}`;
    const answer = await this.#send({
      path,
      scope: pullScope(repository),
      accept: MANIFEST_ACCEPT,
      limit: MANIFEST_LIMIT,
    });
    this.#served ||= answer.status === 200;
    const dropped = acceptWasDropped(answer);
    if (dropped === "certainly") throw acceptDropped(this.url);
    this.#suspected ||= dropped === "perhaps";
    return answer;
  }

  /** The manifests whose subject is the digest. */
  referrers(repository: string, digest: Digest, next?: URL): Promise<Answer> {
    const path = next === undefined ? `/v2/${repository}/referrers/${digest}` : next.pathname + next.search;
    return this.#send({ path, scope: pullScope(repository), accept: OCI_INDEX, limit: LISTING_LIMIT });
  }

  blobHead(repository: string, digest: Digest): Promise<Answer> {
    return this.#send({ ...this.#blob(repository, digest), method: "HEAD", limit: 0 });
  }

  /** The last byte of a blob of that size; from a server without range support, the start of the whole blob. */
  blobLastByte(repository: string, digest: Digest, size: number): Promise<Answer> {
    return this.#send({
      ...this.#blob(repository, digest),
      range: `bytes=${size - 1}-${size - 1}`,
      limit: size,
      enough: (status, headers) => status === 200 && Number(headers["content-length"]) > WHOLE_BLOB,
    });
  }

  /** A blob of which only the start is read. */
  blobBeginning(repository: string, digest: Digest): Promise<Answer> {
    const enough = () => true;
    return this.#send({ ...this.#blob(repository, digest), limit: Number.POSITIVE_INFINITY, enough });
  }

  /** A whole blob, piece by piece. @param receiver returns a new consumer of the pieces for each attempt */
  blobWhole(
    repository: string,
    digest: Digest,
    limit: number,
    receiver?: () => (piece: Uint8Array) => void,
  ): Promise<Answer> {
    return this.#send({ ...this.#blob(repository, digest), limit, receiver });
  }

  #blob(repository: string, digest: Digest) {
    return { path: `/v2/${repository}/blobs/${digest}`, scope: pullScope(repository) };
  }

  async #send(request: Request): Promise<Answer> {
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#attempt(request);
      const throttled = isThrottled(outcome);
      // One object behind a broken backend answers 503 forever: no reason to slow everything down.
      if (throttled && (outcome.status === 429 || attempt <= 2)) this.#gate.slowDown();
      const delay = retryDelay(outcome, attempt, Math.random(), Date.now());
      if (delay === null) {
        // The requested wait is longer than a run can afford.
        if (throttled && outcome.status === 429 && attempt === 1) throw rateLimited(this.url, retryAfter(outcome));
        this.#noteSilence(outcome);
        if (outcome instanceof ExchangeError) throw outcome;
        return outcome;
      }
      // A Retry-After applies to all requests.
      if (throttled && retryAfter(outcome) !== null) this.#gate.hold(delay);
      await sleep(delay, undefined, { signal: this.#signal }).catch(() => {
        throw cancelled();
      });
    }
  }

  /** A registry that has gone silent is one failure, not one for each remaining object. */
  #noteSilence(outcome: ExchangeOutcome): void {
    const isError = outcome instanceof ExchangeError;
    const silent = isError ? ["unreachable", "timeout"].includes(outcome.code) : isUnavailable(outcome);
    this.#silence = silent ? this.#silence + 1 : 0;
    if (this.#silence < SILENCE * this.concurrency) return;
    if (isError) throw registryFailed(this.url, outcome);
    throw outcome.status === 429 ? rateLimited(this.url, null) : gatewayFailed(this.url, outcome.status);
  }

  /**
   * One attempt, inside the gate. A layer of promises costs a walk more than judging the answer does, so the rare cases are
   * handled in methods of their own.
   *
   * @throws ExchangeError `cancelled`, or RegistryError
   */
  async #attempt(request: Request): Promise<ExchangeOutcome> {
    try {
      await this.#gate.enter();
      const known = request.anonymous ? null : this.#authorizer.headerFor(request.scope);
      const authorization = known instanceof Promise ? await known : known;
      const first = await this.#exchange(request, authorization);
      const answer = isRedirect(first) ? await this.#follow(request, first, authorization) : first;
      if (request.anonymous || answer.origin !== this.#origin) return answer;
      if (answer.status === 401) return await this.#askAgain(request, answer, authorization);
      this.#admitted ||= this.#pinged || answer.status !== 404;
      return answer;
    } catch (error) {
      if (error instanceof ExchangeError) return error;
      throw this.#signal?.aborted ? cancelled() : error;
    } finally {
      this.#gate.leave();
    }
  }

  /** Answers the challenge of a refusal; returns the refusal itself when there is nothing better to send. */
  async #askAgain(request: Request, refusal: Answer, authorization: string | null): Promise<Answer> {
    this.#refused = true;
    // Basic has no scopes: if even the first request is refused, the credentials themselves are wrong.
    if (authorization?.startsWith("Basic ") && !this.#admitted) throw credentialsRefused(this.url);
    const challenges = parseChallenges(refusal.headers["www-authenticate"]);
    const better = await this.#authorizer.answer(challenges, request.scope, authorization);
    if (better === null) return refusal;
    const first = await this.#exchange(request, better);
    const answer = isRedirect(first) ? await this.#follow(request, first, better) : first;
    this.#admitted ||= answer.status !== 401;
    return answer;
  }

  /** Follows redirects; credentials are sent to the registry only. */
  async #follow(request: Request, redirect: Answer, credentials: string | null): Promise<Answer> {
    let answer = redirect;
    let authorization = credentials;
    for (let redirects = 1; redirects <= MOST_REDIRECTS; redirects++) {
      const next = redirectTarget(answer);
      if (next === null) throw new ExchangeError("redirects", "sent on to no usable address", answer.status);
      if (next.origin !== answer.origin) authorization = null;
      answer = await this.#exchange(request, authorization, addressOf(next));
      if (!isRedirect(answer)) return answer;
    }
    throw new ExchangeError("redirects", `sent on more than ${MOST_REDIRECTS} times`);
  }

  /** @param address where a redirect leads. @default the registry */
  #exchange(request: Request, authorization: string | null, address?: Address): Promise<Answer> {
    const { origin, path } = address ?? { origin: this.#origin, path: request.path };
    const { method = "GET", accept, range, limit, receiver, enough } = request;
    const headers: Record<string, string> = {};
    if (accept !== undefined) headers.accept = accept;
    // A digest covers the stored bytes, not what a proxy turned them into.
    headers["accept-encoding"] = "identity";
    if (range !== undefined) headers.range = range;
    if (authorization !== null) headers.authorization = authorization;
    return this.#transport.exchange({ origin, path, method, headers, limit, onPiece: receiver?.(), enough });
  }
}

/** Whether the answer, after all attempts, says nothing about the requested object. */
const isUnavailable = (answer: Answer): boolean => answer.status === 429 || isGatewayError(answer);

/** The status of a reverse proxy that cannot reach the registry. */
const isGatewayError = ({ status }: Answer): boolean => status >= 502 && status <= 504;

/** The request that failed, as ` (GET https://registry.example.org/v2/)`. */
const asking = ({ request }: ExchangeError): string => (request === null ? "" : ` (${request})`);

const registryFailed = (url: URL, error: ExchangeError): Error => {
  switch (error.code) {
    case "cancelled":
      return error;
    case "untrusted":
      return new RegistryError(
        "unreachable",
        `the certificate of ${url.host} is not trusted: ${error.message}`,
        "give its certificate authority with --ca-file (REGISTRY_CA_FILE for the probe), and ask for a name it certifies",
      );
    case "timeout":
      return new RegistryError(
        "timeout",
        `${url.host} did not answer in time${asking(error)}`,
        "check its address, or raise --timeout",
      );
    case "not-http":
    case "redirects":
    case "too-large":
      return new RegistryError(
        "unreachable",
        `${url.host} is no registry: ${error.message}${asking(error)}`,
        "check address and scheme",
      );
    default:
      return new RegistryError(
        "unreachable",
        `${url.host} cannot be reached: ${error.message}${asking(error)}`,
        "check the address, the port and the scheme, and that the registry runs",
      );
  }
};

const noRegistry = (url: URL, why: string): RegistryError => {
  const hint = "check the address, and whether it speaks http or https";
  return new RegistryError("unreachable", `${url.origin} is no registry: ${why}`, hint);
};

const rateLimited = (url: URL, asked: number | null): RegistryError => {
  const why =
    asked === null ? "however slowly it is asked" : `and asks for no request for ${Math.ceil(asked / 1000)} s`;
  return new RegistryError(
    "rate-limited",
    `${url.host} answers 429, ${why}`,
    "run it again later, or slower from the start with --rate (rate of a probe)",
  );
};

const gatewayFailed = (url: URL, status: number): RegistryError =>
  new RegistryError(
    "unreachable",
    `${url.host} answers ${status}: the proxy in front of the registry cannot reach it`,
    "check that the registry runs",
  );

const credentialsNeeded = (url: URL): RegistryError =>
  new RegistryError(
    "unauthorized",
    `${url.host} needs credentials`,
    "set REG_USER and REG_PASS, use --username and --password-file, or log in with docker login",
  );

const credentialsRefused = (url: URL): RegistryError =>
  new RegistryError("unauthorized", `${url.host} refused the credentials`, "check the user name and the password");

const acceptDropped = (url: URL): RegistryError =>
  new RegistryError(
    "accept-dropped",
    `a proxy in front of ${url.host} strips or rewrites the Accept header, so stored manifests appear missing`,
    "pass the header on unchanged",
  );
