import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { type ClientOptions, RegistryClient } from "../../../registry/oci/client";
import { sha256 } from "../../../registry/oci/digest";
import type { Descriptor } from "../../../registry/oci/manifest";
import { type Report, type WalkOptions, walk } from "../../../registry/oci/walk";
import type { SyntheticManifest } from "../../lab/images";
import { listenOnLoopback } from "../../loopback";

/** A request as received by the server. */
export interface Seen {
  method: string;
  path: string;
  headers: IncomingMessage["headers"];
}

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

interface StoredBody {
  bytes: Buffer;
  mediaType: string;
}

interface Repository {
  tags: Map<string, string>;
  manifests: Map<string, StoredBody>;
  blobs: Map<string, Buffer>;
}

/** Answers with JSON. */
export const json = (
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void => {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
    ...headers,
  });
  response.end(text);
};

/** A registry in this process that behaves well unless a test says otherwise, and records its requests. */
export class FakeRegistry {
  readonly seen: Seen[] = [];
  /** Names on a page of the catalog and of tags; null for all on one page. */
  pageSize: number | null = null;
  /** Whether it has the referrers API; its answers are worked out from what was pushed. */
  hasReferrers = false;
  /** Whether its error for a tag that leads nowhere names the manifest, as distribution 2 does. */
  namesRevisions = false;
  /** Whether it stores what is pushed; otherwise it answers pushes with 404. */
  takesPushes = false;
  readonly #repositories = new Map<string, Repository>();
  /** Pieces of the only upload in progress. */
  #uploads: Buffer[] = [];
  readonly #overrides: { pattern: RegExp; handler: Handler }[] = [];
  readonly #server: Server;
  /** Once it listens. */
  #host = "";
  readonly #sockets = new Set<Socket>();
  /** What it deletes; other deletions are answered with 405. */
  deletes: { digests: boolean; tags: boolean } = { digests: false, tags: false };
  /** Connections that clients have opened. */
  connections = 0;

  constructor() {
    this.#server = createServer((request, response) => this.#handle(request, response));
    this.#server.on("connection", (socket) => {
      this.connections++;
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  static async start(): Promise<FakeRegistry> {
    const registry = new FakeRegistry();
    registry.#host = await listenOnLoopback(registry.#server);
    return registry;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  get host(): string {
    return this.#host;
  }

  get url(): URL {
    return new URL(`http://${this.host}`);
  }

  /** The requests whose path matches. */
  asked(pattern: RegExp): Seen[] {
    return this.seen.filter(({ path }) => pattern.test(path));
  }

  push(name: string, manifest: SyntheticManifest, ...tags: string[]): this {
    const repository = this.repository(name);
    for (const blob of manifest.blobs) repository.blobs.set(blob.descriptor.digest, blob.bytes);
    for (const child of manifest.manifests) this.push(name, child);
    const { digest, mediaType } = manifest.descriptor;
    repository.manifests.set(digest, { bytes: manifest.bytes, mediaType });
    for (const tag of tags) repository.tags.set(tag, digest);
    return this;
  }

  repository(name: string): Repository {
    let repository = this.#repositories.get(name);
    if (repository === undefined) {
      repository = { tags: new Map(), manifests: new Map(), blobs: new Map() };
      this.#repositories.set(name, repository);
    }
    return repository;
  }

  /** Handles requests whose path and query match; later handlers come first. */
  on(pattern: RegExp | string, handler: Handler): this {
    const escaped =
      pattern instanceof RegExp ? pattern : new RegExp(`^${pattern.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`);
    this.#overrides.unshift({ pattern: escaped, handler });
    return this;
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const { method = "", url: path = "", headers } = request;
    this.seen.push({ method, path, headers });
    const override = this.#overrides.find(({ pattern }) => pattern.test(path));
    if (override) override.handler(request, response);
    else this.serve(request, response);
  }

  /** The answer of a registry that behaves well. */
  serve(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "", this.url);
    if (["POST", "PATCH", "PUT"].includes(request.method ?? "")) this.#take(request, response, url);
    else if (url.pathname === "/v2/") json(response, 200, {});
    else if (url.pathname === "/v2/_catalog") {
      this.#page(response, url, [...this.#repositories.keys()].sort(), (repositories) => ({ repositories }));
    } else this.#repository(request, response, url);
  }

  #take(request: IncomingMessage, response: ServerResponse, url: URL): void {
    const [, name = "", kind, reference = ""] =
      /^\/v2\/(.+)\/(manifests|blobs\/uploads)\/(.*)$/.exec(url.pathname) ?? [];
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      if (!this.takesPushes) return json(response, 404, { errors: [{ code: "NAME_UNKNOWN" }] });
      const { tags, manifests, blobs } = this.repository(name);
      const bytes = Buffer.concat(pieces);
      const digest = sha256(bytes);
      const named = url.searchParams.get("digest");
      if (kind === "manifests") {
        if (!hasParts(bytes, this.repository(name)))
          return json(response, 400, { errors: [{ code: "MANIFEST_BLOB_UNKNOWN" }] });
        manifests.set(digest, { bytes, mediaType: request.headers["content-type"] ?? "" });
        if (reference !== digest) tags.set(reference, digest);
      } else if (named === null) this.#uploads = request.method === "POST" ? [] : [...this.#uploads, bytes];
      else blobs.set(named, Buffer.concat(this.#uploads));
      const done = kind === "manifests" || named !== null;
      json(response, done ? 201 : 202, {}, { location: `/v2/${name}/blobs/uploads/one` });
    });
  }

  #repository(request: IncomingMessage, response: ServerResponse, url: URL): void {
    const path = /^\/v2\/(.+)\/(manifests|blobs|tags|referrers)\/([^/]+)$/.exec(url.pathname);
    const [, name = "", kind, reference = ""] = path ?? [];
    const repository = this.#repositories.get(name);
    if (repository === undefined) json(response, 404, { errors: [{ code: "NAME_UNKNOWN" }] });
    else if (kind === "tags") {
      this.#page(response, url, [...repository.tags.keys()].sort(), (tags) => ({ name, tags }));
    } else if (kind === "manifests" && request.method === "DELETE") this.#delete(response, repository, reference);
    else if (kind === "manifests") this.#manifest(response, repository, reference);
    else if (kind === "blobs") this.#blob(request, response, repository.blobs.get(reference));
    else this.#referrers(response, repository, reference);
  }

  #page(response: ServerResponse, url: URL, names: string[], body: (names: string[]) => unknown): void {
    const last = url.searchParams.get("last");
    const rest = last === null ? names : names.filter((name) => name > last);
    const page = rest.slice(0, this.pageSize ?? rest.length);
    const end = page.at(-1);
    const more = page.length < rest.length && end !== undefined;
    const headers: Record<string, string> = more
      ? { link: `<${url.pathname}?last=${encodeURIComponent(end)}&n=${this.pageSize}>; rel="next"` }
      : {};
    json(response, 200, body(page), headers);
  }

  #manifest(response: ServerResponse, { tags, manifests }: Repository, reference: string): void {
    const digest = tags.get(reference) ?? reference;
    const stored = manifests.get(digest);
    if (stored === undefined) {
      const detail = tags.has(reference) && this.namesRevisions ? { Revision: digest } : undefined;
      json(response, 404, { errors: [{ code: "MANIFEST_UNKNOWN", detail }] });
      return;
    }
    response.writeHead(200, {
      "content-type": stored.mediaType,
      "content-length": stored.bytes.length,
      "docker-content-digest": digest,
    });
    response.end(stored.bytes);
  }

  /** A deletion by digest removes all tags of the manifest. */
  #delete(response: ServerResponse, { tags, manifests }: Repository, reference: string): void {
    const isDigest = reference.includes(":");
    if (!(isDigest ? this.deletes.digests : this.deletes.tags)) {
      json(response, 405, { errors: [{ code: "UNSUPPORTED" }] });
      return;
    }
    const isThere = isDigest ? manifests.delete(reference) : tags.delete(reference);
    for (const [tag, digest] of tags) if (isDigest && digest === reference) tags.delete(tag);
    response.writeHead(isThere ? 202 : 404).end();
  }

  #blob(request: IncomingMessage, response: ServerResponse, bytes: Buffer | undefined): void {
    if (bytes === undefined) {
      json(response, 404, { errors: [{ code: "BLOB_UNKNOWN" }] });
      return;
    }
    const [, from] = /^bytes=(\d+)-\d+$/.exec(request.headers.range ?? "") ?? [];
    if (from === undefined) {
      response.writeHead(200, { "content-length": bytes.length });
      response.end(request.method === "HEAD" ? undefined : bytes);
    } else if (Number(from) >= bytes.length) {
      response.writeHead(416, { "content-range": `bytes */${bytes.length}` });
      response.end();
    } else {
      const piece = bytes.subarray(Number(from), Number(from) + 1);
      response.writeHead(206, {
        "content-length": piece.length,
        "content-range": `bytes ${from}-${from}/${bytes.length}`,
      });
      response.end(piece);
    }
  }

  #referrers(response: ServerResponse, { manifests }: Repository, subject: string): void {
    if (!this.hasReferrers) {
      json(response, 404, {});
      return;
    }
    const found = [...manifests].filter(([, { bytes }]) => JSON.parse(bytes.toString()).subject?.digest === subject);
    json(response, 200, {
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.index.v1+json",
      manifests: found.map(([digest, { bytes, mediaType }]) => ({ digest, mediaType, size: bytes.length })),
    });
  }
}

/** Whether everything that a manifest names exists: otherwise registries reject it. */
const hasParts = (bytes: Buffer, repository: Repository): boolean => {
  const { manifests = [], config, layers = [] } = JSON.parse(bytes.toString()) as Record<string, Descriptor[]>;
  const blobs = [...(config === undefined ? [] : [config].flat()), ...layers];
  return (
    manifests.every(({ digest }) => repository.manifests.has(digest)) &&
    blobs.every(({ digest }) => repository.blobs.has(digest))
  );
};

/** Walks a registry with the defaults of `warden verify`. */
export const verify = async (
  url: URL,
  options: Partial<WalkOptions> = {},
  clientOptions: Partial<ClientOptions> = {},
): Promise<Report> => {
  const client = new RegistryClient({ url, timeout: 5, signal: options.signal, ...clientOptions });
  try {
    return await walk(client, {
      role: "private",
      blobs: "last-byte",
      catalog: true,
      repositories: [],
      selection: { kind: "all" },
      credentialsGiven: false,
      ...options,
    });
  } finally {
    await client.close();
  }
};
