import { setTimeout as sleep } from "node:timers/promises";
import { Authorizer, parseChallenges, type Scope } from "./authorization";
import type { RegistryAccess } from "./client";
import type { Credentials } from "./credentials";
import type { Digest } from "./digest";
import { Gate } from "./gate";
import { type Answer, type Exchange, Transport, targetOf } from "./http";
import { MANIFEST_ACCEPT } from "./manifest";
import { retryDelay } from "./retry";

export interface WriterOptions extends RegistryAccess {
  credentials: Credentials | null;
}

/** The registry did not answer with success. */
export class WriteRefused extends Error {
  override readonly name = "WriteRefused";

  constructor(
    readonly status: number,
    what: string,
    body: Buffer = Buffer.alloc(0),
  ) {
    super(`${what} answered ${status}${codesOf(body)}`);
  }
}

/** A good size for the pieces of an upload, in bytes; each is held in memory. */
export const UPLOAD_PIECE = 8 * 1024 * 1024;

const ANSWER_LIMIT = 1024 * 1024;

/** https://www.rfc-editor.org/rfc/rfc6585#section-4 */
const TOO_SOON = 429;

/** The result of a deletion request. */
interface DeletionResult {
  status: number;
  unsupported: boolean;
  again: number | null;
}

/** The transport sends any method, but its type lists only those in use. */
const PATCH = "PATCH" as string as Exchange["method"];

/**
 * The push side of the OCI distribution specification, one request at a time. Every method throws ExchangeError when
 * there is no answer and RegistryError when the credentials are refused.
 *
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#push
 */
export class RegistryWriter {
  readonly url: URL;
  readonly #transport: Transport;
  readonly #authorizer: Authorizer;
  readonly #gate: Gate;
  readonly #signal: AbortSignal | undefined;

  constructor({ url, credentials, rate, gate, timeout = 30, ca, insecureSkipTlsVerify, signal }: WriterOptions) {
    this.url = url;
    this.#signal = signal;
    this.#gate = gate ?? new Gate({ concurrency: 1, rate, signal });
    this.#transport = new Transport({ timeout: timeout * 1000, ca, insecureSkipTlsVerify, signal });
    this.#authorizer = new Authorizer(url, credentials, this.#transport);
  }

  async close(): Promise<void> {
    await this.#transport.close();
  }

  /** The status with which the registry answers an upload request; an upload that it starts is canceled, and its id returned. */
  async tryUpload(repository: string): Promise<{ status: number; id: string | null }> {
    const { status, upload } = await this.#beginAndEnd(repository, "");
    return { status, id: upload && (/\/([\w-]+)(?:\?|$)/.exec(upload)?.[1] ?? null) };
  }

  /** Uploads a blob; the registry verifies its digest. @param pieces its bytes, in order. @throws WriteRefused */
  async pushBlob(repository: string, digest: Digest, pieces: Iterable<Uint8Array>): Promise<void> {
    const begun = await this.#send(repository, { method: "POST", path: `/v2/${repository}/blobs/uploads/` });
    let upload = uploadOf(begun);
    if (begun.status !== 202 || upload === null) throw new WriteRefused(begun.status, "the upload", begun.body);
    let sent = 0;
    for (const piece of pieces) {
      const headers = {
        "content-type": "application/octet-stream",
        "content-range": `${sent}-${sent + piece.length - 1}`,
      };
      const answer = await this.#send(repository, { method: PATCH, path: upload, body: piece, headers });
      upload = uploadOf(answer);
      if (answer.status !== 202 || upload === null) throw new WriteRefused(answer.status, "the upload", answer.body);
      sent += piece.length;
    }
    const end = new URL(upload, this.url);
    end.searchParams.set("digest", digest);
    const answer = await this.#send(repository, { method: "PUT", path: `${end.pathname}${end.search}` });
    if (answer.status !== 201) throw new WriteRefused(answer.status, `the blob ${digest}`, answer.body);
  }

  /** @param reference a tag or the manifest's digest. @throws WriteRefused */
  async pushManifest(repository: string, reference: string, bytes: Uint8Array, mediaType: string): Promise<void> {
    const path = `/v2/${repository}/manifests/${reference}`;
    const answer = await this.#send(repository, {
      method: "PUT",
      path,
      body: bytes,
      headers: { "content-type": mediaType },
    });
    if (answer.status !== 201) throw new WriteRefused(answer.status, `the manifest ${reference}`, answer.body);
  }

  /** Whether a manifest is served. */
  async serves(repository: string, digest: Digest): Promise<boolean> {
    const path = `/v2/${repository}/manifests/${digest}`;
    const answer = await this.#send(repository, { method: "HEAD", path, headers: { accept: MANIFEST_ACCEPT } });
    return answer.status === 200;
  }

  /**
   * Deletes a manifest and every tag that points at it or, on registries that support it (from 3.0.0), a single tag.
   *
   * @returns the status: 202 when it is deleted, 404 when it is not there; and whether the registry says that it does not support
   *   the deletion: 405, or the code UNSUPPORTED. It neither waits for its turn nor retries, because the caller's checks would
   *   be stale by then: `again` is the milliseconds after which to check and try again, null if the status is final
   */
  async remove(repository: string, reference: string, attempt = 1): Promise<DeletionResult> {
    const path = `/v2/${repository}/manifests/${reference}`;
    const answer = await this.#send(repository, { method: "DELETE", path });
    const { status, body } = answer;
    const unsupported = status >= 400 && (status === 405 || codesOf(body).includes("UNSUPPORTED"));
    const again = status === TOO_SOON ? retryDelay(answer, attempt, Math.random(), Date.now()) : null;
    return { status, unsupported, again };
  }

  /** Mounts a blob in the repository itself, so that it stays when the manifests naming it go. @returns whether it is mounted */
  async hold(repository: string, digest: Digest): Promise<boolean> {
    const query = new URLSearchParams({ mount: digest, from: repository });
    return (await this.#beginAndEnd(repository, `?${query}`)).status === 201;
  }

  /** Starts an upload and cancels it. @returns where it would have continued */
  async #beginAndEnd(repository: string, query: string): Promise<{ status: number; upload: string | null }> {
    const path = `/v2/${repository}/blobs/uploads/${query}`;
    const answer = await this.#send(repository, { method: "POST", path });
    const upload = uploadOf(answer);
    if (upload !== null) await this.#send(repository, { method: "DELETE", path: upload });
    return { status: answer.status, upload };
  }

  async #send(
    repository: string,
    request: Pick<Exchange, "method" | "body"> & { path: string; headers?: Record<string, string> },
  ): Promise<Answer> {
    const scope = writeScope(repository, request.method);
    const authorization = await this.#authorizer.headerFor(scope);
    const answer = await this.#exchange(request, authorization);
    if (answer.status !== 401) return answer;
    const challenges = parseChallenges(answer.headers["www-authenticate"]);
    const better = await this.#authorizer.answer(challenges, scope, authorization);
    return better === null ? answer : this.#exchange(request, better);
  }

  async #exchange(
    request: Pick<Exchange, "method" | "body" | "headers"> & { path: string },
    authorization: string | null,
  ): Promise<Answer> {
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#attempt(request, authorization);
      // A throttled request was not carried out.
      if (answer.status === TOO_SOON) this.#gate.slowDown();
      const isRepeated = answer.status === TOO_SOON && request.method !== "DELETE";
      const delay = isRepeated ? retryDelay(answer, attempt, Math.random(), Date.now()) : null;
      if (delay === null) return answer;
      await sleep(delay, undefined, { signal: this.#signal });
    }
  }

  async #attempt(
    { path, headers, ...request }: Pick<Exchange, "method" | "body" | "headers"> & { path: string },
    authorization: string | null,
  ): Promise<Answer> {
    const exchange = () =>
      this.#transport.exchange({
        ...request,
        origin: this.url.origin,
        path,
        headers: authorization === null ? headers : { ...headers, authorization },
        limit: ANSWER_LIMIT,
      });
    if (request.method === "DELETE") {
      this.#gate.pass();
      return exchange();
    }
    try {
      await this.#gate.enter();
      return await exchange();
    } finally {
      this.#gate.leave();
    }
  }
}

/** https://distribution.github.io/distribution/spec/auth/scope/ */
const writeScope = (repository: string, method: Exchange["method"]): Scope =>
  `repository:${repository}:${method === "DELETE" ? "pull,push,delete" : "pull,push"}`;

/** Where an upload continues; null if there is none, or it is not on this registry. */
const uploadOf = (answer: Answer): string | null => {
  const { location } = answer.headers;
  const upload = typeof location === "string" ? targetOf(location, answer) : null;
  if (answer.status !== 202 || upload === null) return null;
  // Behind a reverse proxy the registry may name its internal host: only the path counts.
  return `${upload.pathname}${upload.search}`;
};

/** The codes of an error answer, as ` (BLOB_UNKNOWN)`; empty if there are none. */
const codesOf = (body: Buffer): string => {
  try {
    const { errors } = JSON.parse(body.toString("utf8")) as { errors: { code: string }[] };
    const codes = errors.map(({ code }) => code).filter((code) => /^[A-Z_]{1,40}$/.test(code));
    return codes.length > 0 ? ` (${[...new Set(codes)].join(", ")})` : "";
  } catch {
    return "";
  }
};
