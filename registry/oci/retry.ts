import { type Answer, ExchangeError } from "./http";

/** How an attempt ended: with an answer, or with none. */
export type Outcome = Answer | ExchangeError;

/** Milliseconds: the first pause, doubled for each further one up to the longest. */
const FIRST_PAUSE = 250;
const LONGEST_BACKOFF = 30_000;
/** The longest pause that a Retry-After may ask for: somebody waits for the report. Milliseconds. */
const LONGEST_PAUSE = 300_000;
/** Where the registry is well and the object is not: thousands may be broken, and a new connection is what matters. */
const SHORT_PAUSE = 25;

/**
 * How many attempts an outcome is worth. A 500 is tried once more, because a registry answers it for real damage; a cut
 * body is believed when it repeats on new connections.
 */
const attemptsFor = (outcome: Outcome): number => {
  if (outcome instanceof ExchangeError) {
    switch (outcome.fault) {
      case "unreachable":
        return 4;
      case "cut":
        return 3;
      case "timeout":
        return 2;
      default:
        return 1;
    }
  }
  switch (outcome.status) {
    case 429:
      return 12;
    case 503:
      return 6;
    case 408:
    case 502:
    case 504:
      return 4;
    case 500:
      return 2;
    default:
      return 1;
  }
};

/** Whether somebody was asked too often: 429 (RFC 6585), and 503 as nginx's limit_req answers. */
export const isThrottled = (outcome: Outcome): outcome is Answer =>
  !(outcome instanceof ExchangeError) && (outcome.status === 429 || outcome.status === 503);

/** Whether the outcome speaks of the object that was asked for: a lost blob is cut short, a broken link answers 500. */
const isOfTheObject = (outcome: Outcome): boolean =>
  outcome instanceof ExchangeError ? outcome.fault === "cut" : outcome.status === 500;

/**
 * Milliseconds that an answer's Retry-After asks for (RFC 9110, section 10.2.3); null without a readable one.
 *
 * @param now milliseconds since 1970
 */
export const retryAfter = ({ headers }: Pick<Answer, "headers">, now = Date.now()): number | null => {
  const header = headers["retry-after"];
  const text = (Array.isArray(header) ? header[0] : header)?.trim();
  if (!text) return null;
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
};

/**
 * How long to wait before the next attempt: exponential backoff with jitter, or what Retry-After asks for.
 *
 * @param attempt of the attempt that ended, from 1
 * @param random in [0, 1)
 * @param now milliseconds since 1970
 * @returns milliseconds, or null when the outcome stands
 */
export const retryDelay = (outcome: Outcome, attempt: number, random: number, now: number): number | null => {
  if (attempt >= attemptsFor(outcome)) return null;
  const asked = outcome instanceof ExchangeError ? null : retryAfter(outcome, now);
  if (asked !== null) return asked > LONGEST_PAUSE ? null : asked + random * FIRST_PAUSE;
  const first = isOfTheObject(outcome) ? SHORT_PAUSE : FIRST_PAUSE;
  return Math.min(first * 2 ** (attempt - 1), LONGEST_BACKOFF) * (0.5 + random / 2);
};
