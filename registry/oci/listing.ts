import { type CheckFailure, failureOfExchange, failureOfStatus } from "./failure";
import { type Answer, targetOf } from "./http";

/** The entries of a listing until it ended or failed. */
export interface Listing {
  names: string[];
  /** Null when the listing was read to its end; entries before a failure are in `names` nevertheless. */
  failure: CheckFailure | null;
}

/** No registry holds more repositories, and no repository more tags; an endless listing is cut off here. */
const MOST_NAMES = 1_000_000;
/** A page may be empty when a policy hides its entries; this many in a row are treated as an endless listing. */
const MOST_EMPTY_PAGES = 1000;

/**
 * The next page, from a Link header with `rel="next"` (RFC 8288), resolved against the current page. Only path and query of
 * an absolute link are used: behind a reverse proxy a registry may write its internal host name.
 *
 * @returns null on the last page, "unusable" when the link is not a valid address
 */
export const nextPage = (answer: Pick<Answer, "headers" | "origin" | "path">): URL | "unusable" | null => {
  const header = answer.headers.link;
  for (const link of (Array.isArray(header) ? header : [header ?? ""]).join(",").matchAll(/<([^>]*)>([^<]*)/g)) {
    const [, target = "", parameters = ""] = link;
    if (!/;\s*rel\s*=\s*"?next"?/i.test(parameters)) continue;
    const url = targetOf(target, answer);
    if (url === null || !["http:", "https:"].includes(url.protocol)) return "unusable";
    return new URL(answer.origin + url.pathname + url.search);
  }
  return null;
};

/** Follows the links of a listing as long as new entries can come. */
export class Pages {
  /** Links since the last page with new entries. */
  readonly #barren = new Set<string>();

  /**
   * The page after an answer; null after the last one.
   *
   * @param brought whether the answer contained anything new
   * @throws MalformedListing
   */
  after(answer: Answer, brought: boolean): URL | null {
    const next = nextPage(answer);
    if (next === null) return null;
    if (next === "unusable") throw new MalformedListing("the link to the next page is no address");
    if (brought) this.#barren.clear();
    if (this.#barren.has(next.href)) throw new MalformedListing("the pages go round in a circle");
    if (this.#barren.size >= MOST_EMPTY_PAGES) throw new MalformedListing("the pages go on without bringing anything");
    this.#barren.add(next.href);
    return next;
  }
}

/** The listing is endless or its link unusable; the message gives the reason in one line. */
export class MalformedListing extends Error {
  override readonly name = "MalformedListing";
}

const malformed = (status: number, detail: string): CheckFailure => ({ reason: "malformed", status, detail });

/** The list in a field of the page's JSON object; null counts as empty, as in the answer for a repository without tags. */
const listIn = (answer: Answer, field: string): unknown[] | null => {
  try {
    const json: unknown = JSON.parse(answer.body.toString("utf8"));
    const list = typeof json === "object" && json !== null ? (json as Record<string, unknown>)[field] : undefined;
    if (list === null) return [];
    return Array.isArray(list) ? list : null;
  } catch {
    return null;
  }
};

/**
 * Reads a listing page by page until its end.
 *
 * @param field of each page's JSON object that holds the list
 * @param isName whether an entry is a valid name; others are reported as a failure, and reading continues
 * @param page requests a page; the first one when called without an argument
 */
export const readListing = async (
  field: string,
  isName: (entry: unknown) => entry is string,
  page: (next?: URL) => Promise<Answer>,
): Promise<Listing> => {
  const names = new Set<string>();
  let failure: CheckFailure | null = null;
  const pages = new Pages();
  let next: URL | undefined;
  const ended = (last: CheckFailure | null): Listing => ({ names: [...names], failure: last ?? failure });
  do {
    let answer: Answer;
    try {
      answer = await page(next);
    } catch (error) {
      return ended(failureOfExchange(error));
    }
    if (answer.status !== 200) return ended(failureOfStatus(answer.status));
    const list = listIn(answer, field);
    if (list === null) return ended(malformed(200, `the answer is no json object with a list of ${field}`));
    const before = names.size;
    for (const entry of list) {
      if (isName(entry)) names.add(entry);
      else failure ??= malformed(200, `the list of ${field} has an entry that is no name`);
    }
    try {
      next = pages.after(answer, names.size > before) ?? undefined;
    } catch (error) {
      if (error instanceof MalformedListing) return ended(malformed(200, error.message));
      throw error;
    }
    if (next === undefined) return ended(null);
  } while (names.size < MOST_NAMES);
  return ended(malformed(200, `the list of ${field} has more than ${MOST_NAMES} names`));
};
