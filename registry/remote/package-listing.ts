import { basicHeader } from "../oci/authorization";
import { type Digest, isDigest } from "../oci/digest";
import { RegistryError } from "../oci/errors";
import { Gate } from "../oci/gate";
import { type Answer, Transport } from "../oci/http";
import type { WriterOptions } from "../oci/push";
import { isTag } from "../oci/reference";

/** A repository in the registry's own listing, with the last push of each item, in milliseconds since the epoch. */
export interface Listed {
  tags: Map<string, number>;
  /** Manifests that were pushed by digest, and so may have no tag. */
  digests: Map<Digest, number>;
}

/** The listing of an owner's packages. */
type OwnerPackages = ReadonlyMap<string, Listed> | "refused" | null;

/** Size limit of an answer, in bytes: 50 packages with their owners take some 100 kB. */
const PAGE_LIMIT = 8 * 1024 * 1024;
/** Gitea's default maximum (api.MAX_RESPONSE_ITEMS). */
const PAGE = 50;
/** No owner has more; an endless listing is cut off here. */
const MOST_PAGES = 20_000;

/**
 * An owner's packages as listed by Gitea and Forgejo. This is the only way to find manifests without a tag: the distribution
 * specification has none. https://docs.gitea.com/api/#tag/package/operation/listPackages
 */
export class PackageListing {
  readonly #transport: Transport;
  readonly #origin: string;
  readonly #headers: Record<string, string>;
  readonly #owners = new Map<string, Promise<OwnerPackages>>();

  readonly #gate: Gate;

  constructor({ url, credentials, rate, gate, timeout = 30, ca, insecureSkipTlsVerify }: WriterOptions) {
    this.#origin = url.origin;
    this.#gate = gate ?? new Gate({ concurrency: 1, rate });
    this.#transport = new Transport({ timeout: timeout * 1000, ca, insecureSkipTlsVerify });
    // The API does not accept tokens from the registry's token service.
    this.#headers = credentials?.kind === "password" ? { authorization: basicHeader(credentials) } : {};
  }

  async close(): Promise<void> {
    await this.#transport.close();
  }

  /**
   * The listing of a repository; "refused" if the registry has one but denies access; null if it has none.
   *
   * @throws ExchangeError when there is no answer, RegistryError when the listing ends early
   */
  async of(repository: string): Promise<Listed | "refused" | null> {
    const slash = repository.indexOf("/");
    if (slash < 0) return null;
    const owner = repository.slice(0, slash);
    let listing = this.#owners.get(owner);
    if (listing === undefined) {
      listing = this.#list(owner);
      this.#owners.set(owner, listing);
    }
    const listed = await listing;
    if (listed === null || listed === "refused") return listed;
    return listed.get(repository.slice(slash + 1)) ?? { tags: new Map(), digests: new Map() };
  }

  async #list(owner: string): Promise<OwnerPackages> {
    const packages = new Map<string, Listed>();
    let seen = 0;
    for (let page = 1; page <= MOST_PAGES; page++) {
      const path = `/api/v1/packages/${owner}?type=container&page=${page}&limit=${PAGE}`;
      const answer = await this.#get(path);
      const versions = versionsIn(answer);
      if (versions === null && page > 1) throw endedEarly(this.#origin, answer.status);
      if (versions === null) return [401, 403].includes(answer.status) ? "refused" : null;
      for (const version of versions) note(packages, version);
      seen += versions.length;
      if (versions.length === 0 || seen >= Number(answer.headers["x-total-count"] ?? Number.POSITIVE_INFINITY)) break;
    }
    return packages;
  }

  async #get(path: string): Promise<Answer> {
    try {
      await this.#gate.enter();
      const request = { method: "GET", headers: this.#headers, limit: PAGE_LIMIT } as const;
      return await this.#transport.exchange({ origin: this.#origin, path, ...request });
    } finally {
      this.#gate.leave();
    }
  }
}

const endedEarly = (origin: string, status: number): RegistryError =>
  new RegistryError("unreachable", `${origin} ended its list of packages with ${status}`, "run it again");

interface Version {
  name: string;
  version: string;
  at: number;
}

/** Null if the answer is not such a list. */
const versionsIn = ({ status, body }: Answer): Version[] | null => {
  if (status !== 200) return null;
  try {
    const entries: unknown = JSON.parse(body.toString("utf8"));
    if (!Array.isArray(entries)) return null;
    return entries.flatMap(({ type, name, version, created_at }: Record<string, unknown>) => {
      const at = Date.parse(String(created_at));
      const isUsable = type === "container" && typeof name === "string" && typeof version === "string";
      return isUsable && !Number.isNaN(at) ? [{ name, version, at }] : [];
    });
  } catch {
    return null;
  }
};

const note = (packages: Map<string, Listed>, { name, version, at }: Version): void => {
  const listed = packages.get(name) ?? { tags: new Map(), digests: new Map() };
  packages.set(name, listed);
  if (isDigest(version)) listed.digests.set(version, at);
  else if (isTag(version)) listed.tags.set(version, at);
};
