import { type Fault, faultOfExchange, faultOfStatus } from "./failure";
import { type Answer, ExchangeError, targetOf } from "./http";

/** What a listing gave until it ended or failed. */
export interface Listing {
  names: string[];
  /** Null when the listing came to its end; what came before the fault is in `names` all the same. */
  fault: Fault | null;
}

/** No registry holds more repositories, and no repository more tags; an endless listing ends here. */
const MOST_NAMES = 1_000_000;
/** A page may be empty, where a policy hides what is on it; so many in a row are a listing without an end. */
const MOST_EMPTY_PAGES = 1000;

/**
 * The next page, from a Link header with `rel="next"` (RFC 8288), resolved against the page it came with. Of an absolute
 * link only path and query count: a registry behind a reverse proxy writes the name that it knows itself by.
 *
 * @returns null on the last page, "unusable" when the link is no address
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

/** Follows the links of a listing as long as something can still come. */
export class Pages {
  /** Links since the last page that brought something. */
  readonly #barren = new Set<string>();

  /**
   * The page after an answer; null after the last one.
   *
   * @param brought whether the answer brought anything new
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

/** The listing has no end; the message says why in one line. */
export class MalformedListing extends Error {
  override readonly name = "MalformedListing";
}

const malformed = (status: number, detail: string): Fault => ({ reason: "malformed", status, detail });

/** The list under a field of the page's JSON object; null counts as empty, as a repository without tags answers it. */
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
 * @param isName whether an entry is a name that may be asked for; others are a fault, and the rest goes on
 * @param page asks for a page; without an argument for the first
 */
export const readListing = async (
  field: string,
  isName: (entry: unknown) => entry is string,
  page: (next?: URL) => Promise<Answer>,
): Promise<Listing> => {
  const names = new Set<string>();
  let fault: Fault | null = null;
  const pages = new Pages();
  let next: URL | undefined;
  const ended = (stop: Fault | null): Listing => ({ names: [...names], fault: stop ?? fault });
  do {
    let answer: Answer;
    try {
      answer = await page(next);
    } catch (error) {
      if (error instanceof ExchangeError && error.fault !== "cancelled") return ended(faultOfExchange(error));
      throw error;
    }
    if (answer.status !== 200) return ended(faultOfStatus(answer.status));
    const list = listIn(answer, field);
    if (list === null) return ended(malformed(200, `the answer is no json object with a list of ${field}`));
    const before = names.size;
    for (const entry of list) {
      if (isName(entry)) names.add(entry);
      else fault ??= malformed(200, `the list of ${field} has an entry that is no name`);
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
