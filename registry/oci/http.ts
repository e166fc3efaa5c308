import type { Transform } from "node:stream";
import { createSecureContext, TLSSocket } from "node:tls";
import type { Dispatcher } from "undici";
import { trustedCertificates } from "./certificates";
import { decoderOf } from "./content-encoding";
import { buildConnector, Client } from "./undici";

/**
 * Why an exchange gave no complete answer.
 * - `unreachable`: refused, reset or closed before an answer began, or an unknown host
 * - `timeout`: no byte for the time-out, or an answer so slow that it would never end
 * - `cut`: the answer began and its body ended early
 * - `too-large`: the body exceeds the limit
 * - `not-http`: the answer is not HTTP
 * - `redirects`: too many redirects, or one without a usable target
 * - `untrusted`: the certificate was refused
 * - `cancelled`: we stopped it
 */
export type ExchangeErrorCode =
  | "unreachable"
  | "timeout"
  | "cut"
  | "too-large"
  | "not-http"
  | "redirects"
  | "untrusted"
  | "cancelled";

export class ExchangeError extends Error {
  override readonly name = "ExchangeError";
  /** The method and the url without secrets; null if nothing was requested. */
  request: string | null = null;

  constructor(
    readonly code: ExchangeErrorCode,
    message: string,
    /** The HTTP status, if the answer had begun. */
    readonly status: number | null = null,
    /** Body bytes received. */
    readonly received = 0,
  ) {
    super(message);
  }
}

/** For requests in progress, or started later, when the run is cut short. */
export const cancelled = (): ExchangeError => new ExchangeError("cancelled", "the run was cut short");

/** Where a request goes, as two strings: creating a URL for each request would cost a tenth of a walk's time. */
export interface Address {
  /** Scheme, host and port: `https://registry.example.org:5000`. */
  origin: string;
  /** Path and query, sent as they are. */
  path: string;
}

export interface Exchange extends Address {
  method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  headers?: Record<string, string>;
  body?: string | Uint8Array;
  /** Longest accepted body of a success, in bytes; of an error body the first 64 KiB are read. */
  limit: number;
  /** Receives each piece of a success's body; without it the body is kept and returned. */
  onPiece?: (piece: Uint8Array) => void;
  /** Whether one piece of the body is enough: the exchange then ends as if it were complete. */
  enough?: (status: number, headers: Headers) => boolean;
}

/** Header names are in lower case. */
export type Headers = Record<string, string | string[] | undefined>;

/** The address is the one that was requested. */
export interface Answer extends Address {
  status: number;
  headers: Headers;
  /** Empty if `onPiece` received the body. */
  body: Buffer;
  /** Body bytes received. */
  received: number;
}

/** The target of a link or a location in an answer; null if it is not a valid address. */
export const targetOf = (reference: string, { origin, path }: Address): URL | null => {
  const base = origin + path;
  return URL.canParse(reference, base) ? new URL(reference, base) : null;
};

const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

export const isRedirect = ({ status }: Answer): boolean => REDIRECTS.includes(status);

/** The target of a redirect; null if it is not a usable address. */
export const redirectTarget = (answer: Answer): URL | null => {
  const { location } = answer.headers;
  const target = typeof location === "string" ? targetOf(location, answer) : null;
  return target !== null && ["http:", "https:"].includes(target.protocol) && target.username === "" ? target : null;
};

export const addressOf = ({ origin, pathname, search }: URL): Address => ({ origin, path: pathname + search });

export interface TransportOptions {
  /** Milliseconds without a byte after which an exchange is aborted. */
  timeout: number;
  /** PEM certificates trusted in addition to the well-known ones. */
  ca?: string;
  insecureSkipTlsVerify?: boolean;
  /** Aborts every exchange, in progress or started later. */
  signal?: AbortSignal;
  /** Receives a line for each exchange: method, url without secrets, status, bytes, milliseconds. */
  onExchange?: (line: string) => void;
}

/** What went over the wire. */
export interface Traffic {
  requests: number;
  /** Body bytes received. */
  bytes: number;
}

/** A body may trickle, but once ten times the time-out has passed not slower than this: bytes a second. */
const SLOWEST = 16 * 1024;

const REFUSAL_LIMIT = 64 * 1024;

/** Accepted interim answers (RFC 9110, section 15.2) before the final one. */
const MOST_INTERIM = 100;

/** Error codes of Node and OpenSSL: https://nodejs.org/api/tls.html#x509-certificate-error-codes */
const UNTRUSTED = /CERT|UNABLE_TO_(?:VERIFY|GET_ISSUER)|INVALID_(?:CA|PURPOSE)|HOSTNAME_MISMATCH/;

const codeOf = (error: Error): string => {
  const { code } = error as { code?: unknown };
  return typeof code === "string" ? code : "";
};

/** The first cause with a code: a connection that tried several addresses fails with an aggregate of all causes. */
const firstCause = (error: Error): Error => {
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return error.errors[0];
  return error;
};

const classify = (thrown: Error, status: number | null, received: number): ExchangeError => {
  if (thrown instanceof ExchangeError) return thrown;
  const error = firstCause(thrown);
  const code = codeOf(error);
  const text = error.message || code;
  if (/_TIMEOUT$|^ETIMEDOUT$/.test(code)) return new ExchangeError("timeout", "no byte in time", status, received);
  if (UNTRUSTED.test(code)) return new ExchangeError("untrusted", text);
  if (code === "EPROTO" || code.startsWith("ERR_SSL")) return new ExchangeError("not-http", "it does not speak tls");
  if (status !== null) return new ExchangeError("cut", "the connection ended before the body did", status, received);
  if (code.startsWith("HPE_") || code === "UND_ERR_HEADERS_OVERFLOW") {
    return new ExchangeError("not-http", "the answer is not http");
  }
  return new ExchangeError("unreachable", text);
};

class Receiver implements Dispatcher.DispatchHandler {
  readonly #exchange: Exchange;
  readonly #timeout: number;
  readonly #traffic: Traffic;
  /** Receives the outcome; cleared afterwards, because undici retains hundreds of finished requests. */
  #settle: ((outcome: Answer | ExchangeError) => void) | null;
  #status: number | null = null;
  #headers: Headers = {};
  #received = 0;
  #started = 0;
  #whole = false;
  #interim = 0;
  #decoder: Transform | null = null;
  #pieces: Buffer[] = [];

  constructor(
    exchange: Exchange,
    timeout: number,
    traffic: Traffic,
    settle: ((outcome: Answer | ExchangeError) => void) | null,
  ) {
    this.#exchange = exchange;
    this.#timeout = timeout;
    this.#traffic = traffic;
    this.#settle = settle;
  }

  // By the presence of this method undici recognizes its current handler interface.
  onRequestStart(): void {
    this.#started = performance.now();
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: Headers): void {
    if (status < 200) {
      if (++this.#interim > MOST_INTERIM) controller.abort(new ExchangeError("not-http", "it answers 1xx without end"));
      return;
    }
    this.#status = status;
    this.#headers = headers;
    this.#prepareDecoding(controller);
    const announced = Number(headers["content-length"]);
    if (this.#succeeded && this.#exchange.method !== "HEAD" && announced > this.#exchange.limit) {
      this.#tooLarge(controller, announced);
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, piece: Buffer): void {
    this.#traffic.bytes += piece.length;
    if (this.#decoder === null) this.#take(controller, piece);
    else if (!this.#decoder.write(piece)) {
      controller.pause();
      this.#decoder.once("drain", () => controller.resume());
    }
  }

  /** Processes a decoded piece of the body. */
  #take(controller: Dispatcher.DispatchController, piece: Buffer): void {
    this.#received += piece.length;
    if (this.#succeeded && this.#exchange.onPiece) this.#exchange.onPiece(piece);
    else this.#pieces.push(piece);
    if (this.#succeeded && this.#received > this.#exchange.limit) {
      this.#tooLarge(controller, this.#received);
    } else if (this.#isEnough()) {
      this.#whole = true;
      if (this.#decoder !== null) this.#finish();
      controller.abort(new ExchangeError("cancelled", "enough was seen"));
    } else if (performance.now() - this.#started > 10 * this.#timeout + (this.#received / SLOWEST) * 1000) {
      controller.abort(new ExchangeError("timeout", "the body trickles", this.#status, this.#received));
    }
  }

  onResponseEnd(): void {
    if (this.#decoder === null) this.#finish();
    else this.#decoder.end();
  }

  /** No encoding was requested; a body that has one anyway is decoded. */
  #prepareDecoding(controller: Dispatcher.DispatchController): void {
    const encoding = this.#headers["content-encoding"];
    if (encoding === undefined || this.#status === 206) return;
    // The length is that of the encoded body.
    const { "content-length": _length, ...headers } = this.#headers;
    this.#headers = headers;
    if (this.#exchange.method === "HEAD") return;
    const decoder = decoderOf(encoding);
    if (decoder === "identity") return;
    if (decoder === null) {
      this.#fail(
        controller,
        new ExchangeError("not-http", `its body is encoded as ${encoding}, unasked`, this.#status),
      );
      return;
    }
    this.#decoder = decoder;
    decoder.on("data", (piece: Buffer) => this.#take(controller, piece));
    decoder.on("end", () => this.#finish());
    decoder.on("error", () => {
      this.#fail(controller, new ExchangeError("not-http", `its body is no ${encoding}`, this.#status, this.#received));
    });
  }

  #fail(controller: Dispatcher.DispatchController, error: ExchangeError): void {
    this.#end(error);
    controller.abort(error);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#whole) this.#finish();
    else this.#end(classify(error, this.#status, this.#received));
  }

  get #succeeded(): boolean {
    return this.#status !== null && this.#status >= 200 && this.#status < 300;
  }

  #isEnough(): boolean {
    if (!this.#succeeded) return this.#received >= REFUSAL_LIMIT;
    return this.#exchange.enough?.(this.#status ?? 0, this.#headers) ?? false;
  }

  #finish(): void {
    const { origin, path } = this.#exchange;
    this.#end({
      origin,
      path,
      status: this.#status ?? 0,
      headers: this.#headers,
      body: this.#pieces.length === 1 ? (this.#pieces[0] as Buffer) : Buffer.concat(this.#pieces),
      received: this.#received,
    });
  }

  #end(outcome: Answer | ExchangeError): void {
    this.#settle?.(outcome);
    this.#settle = null;
    this.#pieces = [];
    this.#headers = {};
    this.#decoder?.destroy();
  }

  #tooLarge(controller: Dispatcher.DispatchController, size: number): void {
    const message = `the body has ${size} bytes or more, at most ${this.#exchange.limit} are expected`;
    this.#fail(controller, new ExchangeError("too-large", message, this.#status, this.#received));
  }
}

/** Query parameters that are not secret; a presigned url carries its signature in others. */
const PUBLIC_PARAMETERS: readonly string[] = ["n", "last", "service", "scope", "mount", "from", "digest"];

/** An address without potential secrets in its query. */
const withoutSecrets = ({ origin, path }: Address): string => {
  const [pathname = "", query] = path.split("?", 2);
  if (query === undefined) return origin + pathname;
  const shown = [...new URLSearchParams(query)].map(([name, value]) => {
    return PUBLIC_PARAMETERS.includes(name)
      ? `${name}=${encodeURIComponent(value)}`
      : `${encodeURIComponent(name)}=...`;
  });
  return `${origin}${pathname}?${shown.join("&")}`;
};

const requestOf = (exchange: Exchange): string => `${exchange.method} ${withoutSecrets(exchange)}`;

const lineOf = (exchange: Exchange, outcome: Answer | ExchangeError, milliseconds: number): string => {
  const { status, received } = outcome;
  const ended = outcome instanceof ExchangeError ? ` ${outcome.code}: ${outcome.message}` : "";
  return `${requestOf(exchange)} ${status ?? "-"} ${received} B ${milliseconds.toFixed(0)} ms${ended}`;
};

/** Handles one exchange at a time, and reconnects when needed. */
type Connection = InstanceType<typeof Client>;

/**
 * HTTP/1.1 exchanges over kept-alive connections, without retries, redirects or credentials. An origin gets as many
 * connections as there were concurrent exchanges; the caller limits these.
 */
export class Transport {
  readonly traffic: Traffic = { requests: 0, bytes: 0 };
  readonly #options: TransportOptions;
  readonly #connect: ReturnType<typeof buildConnector>;
  readonly #connections = new Set<Connection>();
  /** The idle connections of each origin, the most recently used one last. */
  readonly #idle = new Map<string, Connection[]>();
  readonly #expiry = new Map<string, number>();
  readonly #destroy = (): Promise<unknown> => {
    return Promise.all([...this.#connections].map((connection) => connection.destroy()));
  };

  constructor(options: TransportOptions) {
    this.#options = options;
    const { timeout, signal } = options;
    const rejectUnauthorized = options.insecureSkipTlsVerify !== true;
    const plain = buildConnector({ timeout });
    let secure: ReturnType<typeof buildConnector> | undefined;
    // Created for the first connection that needs it, then shared: parsing so many certificates takes a while.
    const secured = () => {
      const ca = trustedCertificates(options.ca, process.env);
      const secureContext = rejectUnauthorized ? createSecureContext({ ca }) : undefined;
      return buildConnector({ timeout, rejectUnauthorized, secureContext });
    };
    this.#connect = (request, callback) => {
      if (request.protocol === "https:") secure ??= secured();
      const connect = (request.protocol === "https:" && secure) || plain;
      connect(request, (...result) => {
        const [, socket] = result;
        if (socket instanceof TLSSocket) this.#noteCertificate(request.host ?? request.hostname, socket);
        callback(...result);
      });
    };
    signal?.addEventListener("abort", this.#destroy);
  }

  /** When the certificate of an origin's host expires, in seconds since 1970; null without TLS or before the first request. */
  certificateExpiry(origin: URL): number | null {
    return this.#expiry.get(origin.host) ?? null;
  }

  /** Sends one request and receives its answer, whatever the status. @throws ExchangeError */
  exchange(exchange: Exchange): Promise<Answer> {
    if (this.#options.signal?.aborted) return Promise.reject(cancelled());
    this.traffic.requests++;
    const { origin, path, method, headers, body } = exchange;
    const idle = this.#idleOf(origin);
    const { onExchange } = this.#options;
    const started = onExchange === undefined ? 0 : performance.now();
    return new Promise<Answer>((resolve, reject) => {
      const connection = idle.pop() ?? this.#connectTo(origin);
      const settle = (outcome: Answer | ExchangeError): void => {
        onExchange?.(lineOf(exchange, outcome, performance.now() - started));
        if (outcome instanceof ExchangeError) outcome.request = requestOf(exchange);
        if (outcome instanceof ExchangeError) {
          this.#discard(connection);
          reject(this.#options.signal?.aborted ? cancelled() : outcome);
        } else {
          idle.push(connection);
          resolve(outcome);
        }
      };
      const receiver = new Receiver(exchange, this.#options.timeout, this.traffic, settle);
      try {
        // Without `reset: false` undici would close the connection after each HEAD, in case a body followed.
        connection.dispatch({ path, method, headers, body, reset: false }, receiver);
      } catch (error) {
        settle(classify(error as Error, null, 0));
      }
    });
  }

  /** Closes the connections; no exchange may be in progress. */
  async close(): Promise<void> {
    this.#options.signal?.removeEventListener("abort", this.#destroy);
    await this.#destroy();
  }

  #idleOf(origin: string): Connection[] {
    const known = this.#idle.get(origin);
    if (known !== undefined) return known;
    const none: Connection[] = [];
    this.#idle.set(origin, none);
    return none;
  }

  #connectTo(origin: string): Connection {
    const { timeout } = this.#options;
    const connect = this.#connect;
    // With HTTP/2, the partial answer that reveals a lost blob would be lost along with its stream.
    const connection = new Client(origin, { allowH2: false, headersTimeout: timeout, bodyTimeout: timeout, connect });
    this.#connections.add(connection);
    return connection;
  }

  /** The caller retries on a new connection; undici, which is still reporting the error on this one, has to finish first. */
  #discard(connection: Connection): void {
    this.#connections.delete(connection);
    queueMicrotask(() => void connection.destroy());
  }

  #noteCertificate(host: string, socket: TLSSocket): void {
    // Empty when the TLS session was resumed.
    const expiry = Date.parse(socket.getPeerCertificate().valid_to);
    if (!Number.isNaN(expiry)) this.#expiry.set(host, expiry / 1000);
  }
}
