import type { RegistryClient } from "./client";
import type { Digest } from "./digest";
import { type Fault, faultOfExchange, faultOfStatus } from "./failure";
import { ExchangeError } from "./http";
import { nextPage } from "./listing";
import { type Descriptor, MalformedManifest, parseManifest } from "./manifest";

/** The manifests that refer to a subject, and what kept the list from being whole. */
export interface Referrers {
  descriptors: Descriptor[];
  fault: Fault | null;
}

const NONE: Referrers = { descriptors: [], fault: null };

/** A subject has a few signatures and attestations; an endless listing ends here. */
const MOST_REFERRERS = 100_000;

/**
 * The referrers API of one registry. The first answer tells whether it has one: with it, a subject without referrers is an
 * empty list, never 404. Without it nothing more is asked, and the fallback tags stand among the others.
 *
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#listing-referrers
 */
export class ReferrersApi {
  #first: Promise<Referrers | null> | null = null;

  constructor(private readonly client: RegistryClient) {}

  async of(repository: string, subject: Digest): Promise<Referrers> {
    if (this.#first === null) {
      // A front that answers an unknown path with a page of its own has no such API either.
      this.#first = this.#list(repository, subject).then((list) => (list?.fault?.reason === "malformed" ? null : list));
      return (await this.#first) ?? NONE;
    }
    if ((await this.#first) === null) return NONE;
    return (await this.#list(repository, subject)) ?? NONE;
  }

  /** Null where the registry has no such API. */
  async #list(repository: string, subject: Digest): Promise<Referrers | null> {
    const descriptors: Descriptor[] = [];
    let next: URL | undefined;
    for (;;) {
      try {
        const answer = await this.client.referrers(repository, subject, next);
        if (answer.status !== 200) {
          const { status } = answer;
          const unknown = (status >= 400 && status < 500 && status !== 429) || status === 501;
          return unknown ? null : { descriptors, fault: faultOfStatus(status) };
        }
        const page = parseManifest(answer.body);
        if (page.kind !== "index") throw new MalformedManifest("the list of referrers is no index");
        descriptors.push(...page.manifests);
        const following = nextPage(answer);
        if (following === null) return { descriptors, fault: null };
        if (following === "foreign" || page.manifests.length === 0 || descriptors.length > MOST_REFERRERS) {
          throw new MalformedManifest("the list of referrers does not end");
        }
        next = following;
      } catch (error) {
        if (error instanceof MalformedManifest) {
          return { descriptors, fault: { reason: "malformed", status: 200, detail: error.message } };
        }
        if (error instanceof ExchangeError && error.fault !== "cancelled") {
          return { descriptors, fault: faultOfExchange(error) };
        }
        throw error;
      }
    }
  }
}
