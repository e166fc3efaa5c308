import { compareText } from "../../text/compare-text";
import type { RegistryClient } from "./client";
import { type Digest, matches } from "./digest";
import { drain } from "./drain";
import { ExchangeError } from "./http";
import { type Manifest, parseManifest, platformName } from "./manifest";

/**
 * When an image was created, in milliseconds since 1970; null if it does not say, as for a signature; "hidden" if a failure
 * prevents it from being read.
 */
export type Created = number | null | "hidden";

/** Configs are small. Bytes. */
const CONFIG_LIMIT = 1024 * 1024;
/** Indexes nested deeper than this are not searched for a date. */
const DEEPEST = 3;

/** A date as written in manifests and configs, in milliseconds since 1970; null if it is not a valid date. */
export const dateOf = (value: unknown): number | null => {
  const date = typeof value === "string" ? Date.parse(value) : Number.NaN;
  return Number.isNaN(date) ? null : date;
};

/**
 * The newest tags: those with the latest dates, then those without a date, highest names first. Tags whose date is hidden
 * do not count towards the limit, so that a broken one is never skipped.
 */
export const pickNewest = (tags: readonly { tag: string; created: Created }[], count: number): string[] => {
  const hidden = tags.filter(({ created }) => created === "hidden");
  const ranked = tags.filter(({ created }) => created !== "hidden");
  // Numbers in names are compared as numbers: v9 before v10.
  const byName = new Intl.Collator("en", { numeric: true });
  const time = ({ created }: { created: Created }): number => (typeof created === "number" ? created : -Infinity);
  ranked.sort((a, b) => {
    if (time(a) !== time(b)) return time(a) < time(b) ? 1 : -1;
    return byName.compare(b.tag, a.tag) || compareText(b.tag, a.tag);
  });
  return [...hidden, ...ranked.slice(0, count)].map(({ tag }) => tag);
};

class Dates {
  readonly #client: RegistryClient;
  readonly #repository: string;
  /** Whether configs may be requested: a pull-through cache would fetch and store them. */
  readonly #readConfigs: boolean;
  /**
   * By depth and reference. A promise waits only for those one level deeper, so that not even indexes that hold one another,
   * as a damaged registry may serve them, wait for themselves.
   */
  readonly #known = new Map<string, Promise<Created>>();

  constructor(client: RegistryClient, repository: string, readConfigs: boolean) {
    this.#client = client;
    this.#repository = repository;
    this.#readConfigs = readConfigs;
  }

  of(reference: string, depth = 0): Promise<Created> {
    const key = `${depth} ${reference}`;
    let created = this.#known.get(key);
    if (created === undefined) {
      created = this.#read(reference, depth);
      this.#known.set(key, created);
    }
    return created;
  }

  async #read(reference: string, depth: number): Promise<Created> {
    try {
      const answer = await this.#client.manifest(this.#repository, reference);
      if (answer.status !== 200) return "hidden";
      return await this.#createdOf(parseManifest(answer.body), depth);
    } catch (error) {
      if (isEnd(error)) throw error;
      return "hidden";
    }
  }

  async #createdOf(manifest: Manifest, depth: number): Promise<Created> {
    const annotated = dateOf(manifest.annotations?.["org.opencontainers.image.created"]);
    if (annotated !== null || manifest.kind === "schema1") return annotated;
    if (manifest.kind === "image")
      return manifest.config === null ? null : this.#createdInConfig(manifest.config.digest);
    if (depth >= DEEPEST) return null;
    let created: Created = null;
    for (const child of manifest.manifests.filter((entry) => platformName(entry) !== null)) {
      created = await this.of(child.digest, depth + 1);
      if (typeof created === "number") return created;
    }
    return created;
  }

  async #createdInConfig(digest: Digest): Promise<Created> {
    return this.#readConfigs ? createdInConfig(this.#client, this.#repository, digest) : null;
  }
}

/** When an image was created, according to its config. @throws when the config is not JSON, or there is no answer */
export const createdInConfig = async (client: RegistryClient, repository: string, digest: Digest): Promise<Created> => {
  const { status, body } = await client.blobWhole(repository, digest, CONFIG_LIMIT);
  if (status !== 200 || !matches(body, digest)) return "hidden";
  const config: unknown = JSON.parse(body.toString("utf8"));
  return dateOf((config as { created?: unknown } | null)?.created);
};

/** Whether the error ends the run rather than just this request. */
export const isEnd = (error: unknown): boolean => {
  if (error instanceof ExchangeError) return error.code === "cancelled";
  return error instanceof Error && error.name === "RegistryError";
};

/** Finds a repository's newest tags by the creation dates of their images. @throws as RegistryClient when the run ends */
export const newestTags = async (
  client: RegistryClient,
  repository: string,
  tags: readonly string[],
  count: number,
  readConfigs: boolean,
): Promise<string[]> => {
  if (tags.length <= count) return [...tags];
  const dates = new Dates(client, repository, readConfigs);
  const dated: { tag: string; created: Created }[] = [];
  await drain([...tags], client.concurrency, async (tag) => {
    dated.push({ tag, created: await dates.of(tag) });
  });
  return pickNewest(dated, count);
};
