import { type Digest, isDigest } from "./digest";
import { RegistryError } from "./errors";

/** A registry as a whole; `url` is its origin, such as `https://registry.example.org:5000`. */
export interface RegistryTarget {
  kind: "registry";
  url: URL;
}

/** One repository of a registry, with a tag, a digest, or (both null) neither. */
export interface ImageTarget {
  kind: "image";
  url: URL;
  repository: string;
  tag: string | null;
  digest: Digest | null;
}

export type Target = RegistryTarget | ImageTarget;

/** https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#pulling-manifests */
const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

/** Whether the text is a repository name; the specification allows 255 characters for host and name together. */
export const isRepository = (text: unknown): text is string =>
  typeof text === "string" && text.length <= 255 && REPOSITORY.test(text);

export const isTag = (text: unknown): text is string => typeof text === "string" && TAG.test(text);

const badTarget = (text: string, why: string): RegistryError =>
  new RegistryError(
    "bad-input",
    `${JSON.stringify(text)} is not a registry or an image: ${why}`,
    "give http(s)://host[:port], host:port, or host[:port]/repository[:tag|@digest]",
  );

/** Loopback registries default to http, as in every other client. */
const isLoopback = (host: string): boolean =>
  host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);

const parseOrigin = (text: string, given: string): URL => {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw badTarget(given, "its host is not a host name, an address or host:port");
  }
  if (url.username !== "" || url.password !== "") {
    // Not repeated in the message, because it may contain a password.
    throw new RegistryError(
      "bad-input",
      "the registry's url holds credentials",
      "leave them out and set REG_USER and REG_PASS, or use --username and --password-file",
    );
  }
  if (url.hostname === "") throw badTarget(given, "it names no host");
  return url;
};

const parseHost = (authority: string, given: string): URL => {
  const url = parseOrigin(`https://${authority}`, given);
  if (!isLoopback(url.hostname)) return url;
  return parseOrigin(`http://${authority}`, given);
};

/** Whether the first segment of a reference is a host: it has a dot or a port, or is localhost (the rule that Docker uses). */
const looksLikeHost = (segment: string): boolean =>
  segment === "localhost" || segment.includes(".") || segment.includes(":");

const parseImage = (url: URL, path: string, given: string): ImageTarget => {
  const [beforeDigest = "", digest] = path.split(/@(.*)/s, 2);
  const colon = beforeDigest.indexOf(":");
  const repository = colon < 0 ? beforeDigest : beforeDigest.slice(0, colon);
  const tag = colon < 0 ? null : beforeDigest.slice(colon + 1);
  if (!isRepository(repository)) throw badTarget(given, `${JSON.stringify(repository)} is not a repository's name`);
  if (tag !== null && !isTag(tag)) throw badTarget(given, `${JSON.stringify(tag)} is not a tag`);
  if (digest === undefined) return { kind: "image", url, repository, tag, digest: null };
  if (!isDigest(digest)) throw badTarget(given, `${JSON.stringify(digest)} is not a digest`);
  return { kind: "image", url, repository, tag, digest };
};

/**
 * Parses a target given on the command line: `http(s)://host[:port]` or a bare `host[:port]` is a registry,
 * `host[:port]/repository[:tag|@digest]` an image. The scheme is https, except http for loopback.
 *
 * @throws RegistryError `bad-input`
 */
export const parseTarget = (text: string): Target => {
  const given = text.trim();
  if (/^https?:\/\//i.test(given)) {
    const url = parseOrigin(given, given);
    const path = url.pathname.replace(/^\/(?:v2\/?)?/, "");
    if (url.search !== "" || url.hash !== "") throw badTarget(given, "it has a query or a fragment");
    if (path !== "") throw badTarget(given, "a url names a registry, without a path");
    return { kind: "registry", url: new URL(url.origin) };
  }
  const slash = given.indexOf("/");
  if (given === "") throw badTarget(given, "it is empty");
  if (given.includes("://")) throw badTarget(given, "its scheme is not http or https");
  const authority = slash < 0 ? given : given.slice(0, slash);
  if (!looksLikeHost(authority) || /[\s?#\\]/.test(authority)) {
    throw badTarget(given, `${JSON.stringify(authority)} is not a host: it has neither a dot nor a port`);
  }
  const url = parseHost(authority, given);
  if (slash < 0 || slash === given.length - 1) return { kind: "registry", url };
  return parseImage(url, given.slice(slash + 1), given);
};

/** Parses the address of a registry. @throws RegistryError `bad-input` */
export const parseRegistry = (text: string): URL => {
  const target = parseTarget(text);
  if (target.kind === "image") throw badTarget(text, "it names an image where a registry is needed");
  return target.url;
};
