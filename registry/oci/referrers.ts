import type { RegistryClient } from "./client";
import { algorithmOf, type Digest, encodedOf } from "./digest";
import { type CheckFailure, failureOfExchange, failureOfStatus } from "./failure";
import { MalformedListing, Pages } from "./listing";
import { type Descriptor, MalformedManifest, parseManifest } from "./manifest";

/** The manifests that refer to a subject, and the failure if the list is incomplete. */
export interface Referrers {
  descriptors: Descriptor[];
  failure: CheckFailure | null;
}

/**
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#referrers-tag-schema, and cosign's suffixes. Only
 * the algorithms that a registry accepts: a long name such as a branch name is not a digest.
 */
const FALLBACK_TAG = /^(sha(?:256|384|512)-[a-f0-9]{64})(?:\.[\w.-]+)?$/;

/** The fallback tag that lists the referrers of a digest; several digests may share it. */
export const fallbackTag = (subject: Digest): string =>
  `${algorithmOf(subject).slice(0, 32)}-${encodedOf(subject).slice(0, 64)}`;

/** The tag as a fallback tag, without cosign's suffix; null for any other tag. */
export const fallbackTagIn = (tag: string): string | null => FALLBACK_TAG.exec(tag)?.[1] ?? null;

/** A subject has a few signatures and attestations; an endless listing is cut off here. */
const MOST_OF_SUBJECT = 100_000;
/** No repository holds more; an endless chain of referrers of referrers is cut off here. */
export const MOST_REFERRERS = 1_000_000;

/**
 * The referrers API of one registry. The first answer shows whether it is supported: if so, a subject without referrers has an
 * empty list, never 404. If not, nothing more is requested: the referrers of a subject have fallback tags.
 *
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#listing-referrers
 */
export class ReferrersApi {
  readonly #client: RegistryClient;
  #first: Promise<Referrers | null> | null = null;

  constructor(client: RegistryClient) {
    this.#client = client;
  }

  /** The referrers of a subject; null if the registry does not support the API. */
  async of(repository: string, subject: Digest): Promise<Referrers | null> {
    if (this.#first === null) {
      // A reverse proxy that answers an unknown path with a page of its own does not support the API either.
      this.#first = this.#list(repository, subject).then((list) =>
        list?.failure?.reason === "malformed" ? null : list,
      );
      return this.#first;
    }
    return (await this.#first) === null ? null : this.#list(repository, subject);
  }

  /** Null if the registry does not support the API. */
  async #list(repository: string, subject: Digest): Promise<Referrers | null> {
    const descriptors: Descriptor[] = [];
    const pages = new Pages();
    let next: URL | undefined;
    for (;;) {
      try {
        const answer = await this.#client.referrers(repository, subject, next);
        if (answer.status !== 200) {
          const { status } = answer;
          const unknown = (status >= 400 && status < 500 && status !== 429) || status === 501;
          return unknown ? null : { descriptors, failure: failureOfStatus(status) };
        }
        const page = parseManifest(answer.body);
        if (page.kind !== "index") throw new MalformedManifest("the list of referrers is no index");
        descriptors.push(...page.manifests);
        next = pages.after(answer, page.manifests.length > 0) ?? undefined;
        if (next === undefined) return { descriptors, failure: null };
        if (descriptors.length > MOST_OF_SUBJECT) throw new MalformedListing("the list of referrers does not end");
      } catch (error) {
        if (error instanceof MalformedManifest || error instanceof MalformedListing) {
          return { descriptors, failure: { reason: "malformed", status: 200, detail: error.message } };
        }
        return { descriptors, failure: failureOfExchange(error) };
      }
    }
  }
}
