import { type Digest, isDigest } from "../oci/digest";
import { isRepository, isTag } from "../oci/reference";

/** An image reference as a container runtime interprets it. */
export interface ImageReference {
  /** In lower case, with the port unless that is 443: `registry.example.org:5000`. */
  host: string;
  repository: string;
  /** Null only if there is a digest, which takes precedence. */
  tag: string | null;
  digest: Digest | null;
}

const DOCKER_HUB = "docker.io";

/** Longer than that of any registry. Characters. */
const LONGEST = 1024;

const HOST = /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])(?::\d{1,5})?$/;

/** A registry's name as in image references: without case and HTTPS's default port. Null if it is not a host. */
export const registryName = (host: string): string | null => {
  const name = host.toLowerCase();
  return HOST.test(name) ? name.replace(/:443$/, "") : null;
};

export const isRegistryName = (text: unknown): text is string =>
  typeof text === "string" && registryName(text) !== null;

/** The names under which image references know a registry: the given ones, else that of its address. */
export const registryNames = (given: readonly string[], url: URL): string[] =>
  given.length > 0 ? given.map((name) => registryName(name) ?? name) : [registryNameOf(url)];

/** The name of the registry at an address. */
export const registryNameOf = ({ protocol, hostname, port }: URL): string =>
  `${hostname.toLowerCase()}:${port || (protocol === "http:" ? "80" : "443")}`.replace(/:443$/, "");

/**
 * Parses the image of a container: the first part is a host if it contains a dot, a port or a capital letter, or is `localhost`;
 * otherwise the image is on Docker Hub. Without tag and digest, the tag is `latest`.
 *
 * https://github.com/distribution/reference (used by kubelet and every runtime)
 *
 * @returns null for a reference that no runtime could pull
 */
export const parseImageReference = (text: unknown): ImageReference | null => {
  if (typeof text !== "string" || text.length > LONGEST) return null;
  const slash = text.indexOf("/");
  const first = slash < 0 ? "" : text.slice(0, slash);
  const isHost = /[.:A-Z]/.test(first) || first === "localhost";
  const host = isHost ? registryName(first) : DOCKER_HUB;
  if (host === null) return null;
  const image = parseName(isHost ? text.slice(slash + 1) : text);
  if (image === null) return null;
  if (host !== DOCKER_HUB && host !== `index.${DOCKER_HUB}`) return { host, ...image };
  const repository = image.repository.includes("/") ? image.repository : `library/${image.repository}`;
  return { host: DOCKER_HUB, ...image, repository };
};

const parseName = (text: string): Omit<ImageReference, "host"> | null => {
  const at = text.indexOf("@");
  const digest = at < 0 ? null : text.slice(at + 1);
  const [repository = "", tag, ...more] = (at < 0 ? text : text.slice(0, at)).split(":");
  if (more.length > 0 || !isRepository(repository)) return null;
  if (tag !== undefined && !isTag(tag)) return null;
  if (digest !== null) return isDigest(digest) ? { repository, tag: null, digest } : null;
  return { repository, tag: tag ?? "latest", digest: null };
};

/** The image that a node reports as running. */
export interface RunningImage {
  digest: Digest;
  /** Whether the digest is that of a manifest, which can be requested from a registry; otherwise it may be that of a config. */
  isManifest: boolean;
}

/**
 * Parses the `imageID` of a container's status: `registry.example.org/app@sha256:…`, with the prefix `docker-pullable://` from
 * dockershim, or a bare digest if the node knows no registry for the image.
 *
 * @returns null if nothing is running yet
 */
export const parseImageId = (text: unknown): RunningImage | null => {
  if (typeof text !== "string" || text.length > LONGEST) return null;
  const id = text.replace(/^[a-z-]+:\/\//, "");
  const at = id.lastIndexOf("@");
  const digest = id.slice(at + 1);
  return isDigest(digest) ? { digest, isManifest: at >= 0 } : null;
};
