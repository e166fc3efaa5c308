import type { Credentials } from "./credentials";
import { RegistryError } from "./errors";
import {
  type Answer,
  addressOf,
  type Exchange,
  ExchangeError,
  isRedirect,
  redirectTarget,
  type Transport,
} from "./http";

/** One challenge of a WWW-Authenticate header; scheme and parameter names in lower case. */
export interface Challenge {
  scheme: string;
  parameters: Record<string, string>;
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const PARAMETER = new RegExp(`^\\s*(${TOKEN})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|(${TOKEN}))\\s*(?:,|$)`);
const SCHEME = new RegExp(`^[\\s,]*(${TOKEN})(?:\\s+|$|,)`);

/** Parses every challenge of a header that may span several lines (RFC 9110, section 11.6.1); stops at the first bad one. */
export const parseChallenges = (header: string | string[] | undefined): Challenge[] => {
  let rest = (Array.isArray(header) ? header.join(", ") : (header ?? "")).slice(0, 16 * 1024);
  const challenges: Challenge[] = [];
  for (let scheme = SCHEME.exec(rest); scheme !== null; scheme = SCHEME.exec(rest)) {
    rest = rest.slice(scheme[0].length);
    const parameters: Record<string, string> = {};
    for (let found = PARAMETER.exec(rest); found !== null; found = PARAMETER.exec(rest)) {
      rest = rest.slice(found[0].length);
      const [, name = "", quoted, plain = ""] = found;
      parameters[name.toLowerCase()] = quoted?.replace(/\\(.)/g, "$1") ?? plain;
    }
    challenges.push({ scheme: (scheme[1] ?? "").toLowerCase(), parameters });
  }
  return challenges;
};

/** What a request asks to do: `repository:library/alpine:pull`, `registry:catalog:*`, or empty for the registry itself. */
export type Scope = string;

/** https://distribution.github.io/distribution/spec/auth/scope/ */
export const CATALOG_SCOPE: Scope = "registry:catalog:*";

export const pullScope = (repository: string): Scope => `repository:${repository}:pull`;

interface IssuedToken {
  header: Promise<string | null>;
  /** In milliseconds on the clock of performance.now(); known once the token has arrived. */
  expires: number;
}

/** Lifetime of a token when the service states none, in seconds. */
const DEFAULT_LIFETIME = 60;
/** Tokens are renewed this long before they expire, in seconds. */
const MARGIN = 10;
const TOKEN_ANSWER_LIMIT = 1024 * 1024;
const MOST_TOKENS = 1000;
const MOST_SCOPES = 16;
const MOST_REDIRECTS = 5;
const VISIBLE_ASCII = /^[\x21-\x7e]+$/;

/** How the registry wants requests to be authenticated; learned from its challenges. */
type Scheme = { kind: "none" } | { kind: "basic" } | { kind: "bearer"; realm: URL; service: string | undefined };

/** Extracts the token from an answer of the token service; null when it contains none. */
const tokenIn = (answer: Answer): { token: string; lifetime: number } | null => {
  if (answer.status !== 200) return null;
  let json: unknown;
  try {
    json = JSON.parse(answer.body.toString("utf8"));
  } catch {
    return null;
  }
  const { token, access_token, expires_in } = (json ?? {}) as Record<string, unknown>;
  const value = token || access_token;
  if (typeof value !== "string" || !VISIBLE_ASCII.test(value)) return null;
  const lifetime = typeof expires_in === "number" && expires_in > 0 ? expires_in : DEFAULT_LIFETIME;
  return { token: value, lifetime };
};

/** Whether credentials sent to a service may follow its redirect. */
const mayGoOn = (service: URL, from: URL, to: URL): boolean => {
  if (from.protocol === "https:" && to.protocol !== "https:") return false;
  return to.hostname === service.hostname || to.hostname.endsWith(`.${service.hostname}`);
};

/** The header for an account with a password: RFC 7617. */
export const basicHeader = ({ username, password }: Credentials & { kind: "password" }): string =>
  `Basic ${Buffer.from(`${username}:${password}`, "utf8").toString("base64")}`;

/**
 * Knows what to send in the Authorization header of one registry: nothing, Basic (RFC 7617), or a token of its token
 * service for each scope, renewed before it expires.
 *
 * https://distribution.github.io/distribution/spec/auth/token/ and .../auth/oauth/
 */
export class Authorizer {
  readonly #registry: URL;
  readonly #credentials: Credentials | null;
  readonly #transport: Transport;
  /** Whether the registry has asked for credentials. */
  challenged = false;
  /** Whether the token service has given a token. */
  #accepted = false;
  #scheme: Scheme = { kind: "none" };
  readonly #basicHeader: string | null;
  readonly #tokens = new Map<Scope, IssuedToken>();
  /** The scopes named in the registry's challenges for each of our scopes: their names differ between implementations. */
  readonly #named = new Map<Scope, readonly Scope[]>();

  constructor(registry: URL, credentials: Credentials | null, transport: Transport) {
    this.#registry = registry;
    this.#credentials = credentials;
    this.#transport = transport;

    this.#basicHeader = credentials?.kind === "password" ? basicHeader(credentials) : null;
  }

  /**
   * The header for a scope, as far as the registry's challenges are known; null to send none.
   *
   * @throws ExchangeError when the token service gives no answer, RegistryError `unauthorized` when it refuses the credentials
   */
  headerFor(scope: Scope): Promise<string | null> | string | null {
    switch (this.#scheme.kind) {
      case "none":
        return null;
      case "basic":
        return this.#basicHeader;
      case "bearer":
        return this.#token(scope, this.#scheme);
    }
  }

  /**
   * Learns from a 401 what to send instead.
   *
   * @param rejected what the refused request had sent
   * @returns null when there is nothing better to send and the refusal is final
   * @throws as headerFor
   */
  async answer(challenges: Challenge[], scope: Scope, rejected: string | null): Promise<string | null> {
    this.challenged = true;
    const scheme = this.#choose(challenges);
    if (scheme === null) return null;
    this.#scheme = scheme;
    if (scheme.kind === "bearer") {
      this.#noteScopes(scope, challenges);
      const issued = this.#tokens.get(scope);
      // Another request may have renewed the token already.
      if (issued && (await issued.header) === rejected) this.#tokens.delete(scope);
    }
    const header = await this.headerFor(scope);
    return header === rejected ? null : header;
  }

  #noteScopes(scope: Scope, challenges: Challenge[]): void {
    const named = challenges.find(({ scheme }) => scheme === "bearer")?.parameters.scope ?? "";
    const others = named.split(" ").filter((each) => each !== "" && each !== scope);
    if (this.#named.size >= MOST_TOKENS) this.#named.clear();
    if (others.length > 0) this.#named.set(scope, others.slice(0, MOST_SCOPES));
  }

  #choose(challenges: Challenge[]): Scheme | null {
    const bearer = challenges.find(({ scheme }) => scheme === "bearer");
    const realm = bearer && this.#realm(bearer.parameters.realm);
    if (realm) return { kind: "bearer", realm, service: bearer.parameters.service };
    return challenges.some(({ scheme }) => scheme === "basic") ? { kind: "basic" } : null;
  }

  #realm(text: string | undefined): URL | null {
    if (text === undefined || !URL.canParse(text, this.#registry.href)) return null;
    const realm = new URL(text, this.#registry);
    return ["http:", "https:"].includes(realm.protocol) ? realm : null;
  }

  #token(scope: Scope, scheme: Scheme & { kind: "bearer" }): Promise<string | null> {
    const known = this.#tokens.get(scope);
    if (known && known.expires > performance.now()) return known.header;
    if (this.#tokens.size >= MOST_TOKENS) this.#tokens.clear();
    const issued: IssuedToken = { expires: Number.POSITIVE_INFINITY, header: Promise.resolve(null) };
    issued.header = this.#request(scope, scheme).then(
      (given) => {
        const lifetime = given === null ? DEFAULT_LIFETIME : given.lifetime;
        issued.expires = performance.now() + Math.max(lifetime - MARGIN, lifetime / 2) * 1000;
        return given === null ? null : `Bearer ${given.token}`;
      },
      (error: unknown) => {
        this.#tokens.delete(scope);
        throw error;
      },
    );
    this.#tokens.set(scope, issued);
    return issued.header;
  }

  /** Credentials for a registry reached over TLS are never sent to a token service without TLS. */
  #maySendCredentialsTo(realm: URL): boolean {
    return realm.protocol === "https:" || this.#registry.protocol === "http:";
  }

  async #request(scope: Scope, { realm, service }: Scheme & { kind: "bearer" }) {
    const trusted = this.#maySendCredentialsTo(realm);
    const scopes = [scope, ...(this.#named.get(scope) ?? [])].filter((each) => each !== "");
    const parameters = new URLSearchParams();
    if (service !== undefined) parameters.set("service", service);
    if (this.#credentials?.kind === "identity-token" && trusted) {
      parameters.set("grant_type", "refresh_token");
      parameters.set("refresh_token", this.#credentials.token);
      parameters.set("client_id", "registry-warden");
      if (scopes.length > 0) parameters.set("scope", scopes.join(" "));
      const headers = { "content-type": "application/x-www-form-urlencoded" };
      return this.#ask(realm, { method: "POST", headers, body: `${parameters}` }, true);
    }
    const url = new URL(realm);
    for (const [name, value] of parameters) url.searchParams.set(name, value);
    for (const each of scopes) url.searchParams.append("scope", each);
    const basic = trusted ? this.#basicHeader : null;
    if (basic !== null && this.#credentials?.kind === "password") {
      url.searchParams.set("account", this.#credentials.username);
    }
    const headers: Record<string, string> = basic === null ? {} : { authorization: basic };
    return this.#ask(url, { method: "GET", headers }, basic !== null);
  }

  /**
   * Sends a request to the token service and follows its redirects. Credentials follow only to the same host or a subdomain
   * of it, as in Docker's own client, and never from https to http; a request with credentials in its body is not redirected.
   */
  async #follow(service: URL, request: Pick<Exchange, "method" | "headers" | "body">): Promise<Answer> {
    let url = service;
    let { headers } = request;
    for (let redirects = 0; ; redirects++) {
      const answer = await this.#transport.exchange({
        ...request,
        ...addressOf(url),
        headers,
        limit: TOKEN_ANSWER_LIMIT,
      });
      if (!isRedirect(answer)) return answer;
      const next = redirectTarget(answer);
      if (next === null || redirects === MOST_REDIRECTS) return answer;
      if (!mayGoOn(service, url, next)) {
        if (request.body !== undefined) return answer;
        headers = {};
      }
      url = next;
    }
  }

  async #ask(service: URL, request: Pick<Exchange, "method" | "headers" | "body">, withCredentials: boolean) {
    const answer = await this.#follow(service, request);
    // A service that accepted the credentials before is refusing the scope.
    if (answer.status === 401 && withCredentials && !this.#accepted) {
      throw new RegistryError(
        "unauthorized",
        `the token service ${service.host} refused the credentials`,
        "check the user name and the password",
      );
    }
    // Unable rather than unwilling: the caller may retry.
    if (answer.status === 429 || answer.status >= 500) {
      throw new ExchangeError("unreachable", `the token service answered ${answer.status}`);
    }
    const token = tokenIn(answer);
    this.#accepted ||= token !== null;
    return token;
  }
}
