import { type Answer, ExchangeError } from "./http";

/** How an attempt ended: with an answer, or without one. */
export type ExchangeOutcome = Answer | ExchangeError;

/** Milliseconds: the first pause, doubled for each further one up to the longest. */
const FIRST_PAUSE = 250;
const LONGEST_BACKOFF = 30_000;
/** The longest pause honored from a Retry-After, because someone is waiting for the report. Milliseconds. */
const LONGEST_PAUSE = 300_000;
/** For a healthy registry with a broken object: thousands may be broken, and all a retry needs is a new connection. */
const SHORT_PAUSE = 25;

/**
 * How many attempts an outcome is worth. A 500 is retried once only, because registries also use it for real damage; a
 * truncated body is believed when it repeats on new connections.
 */
const attemptsFor = (outcome: ExchangeOutcome): number => {
  if (outcome instanceof ExchangeError) {
    switch (outcome.code) {
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

/** Whether the request was throttled: 429 (RFC 6585), or 503 as nginx's limit_req answers. */
export const isThrottled = (outcome: ExchangeOutcome): outcome is Answer =>
  !(outcome instanceof ExchangeError) && (outcome.status === 429 || outcome.status === 503);

/** Whether the outcome is about the requested object: a lost blob is cut short, a broken link answers 500. */
const isOfTheObject = (outcome: ExchangeOutcome): boolean =>
  outcome instanceof ExchangeError ? outcome.code === "cut" : outcome.status === 500;

/**
 * The milliseconds that an answer's Retry-After asks for (RFC 9110, section 10.2.3); null without a valid one.
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
 * How long to wait before the next attempt: exponential backoff with jitter, or the Retry-After.
 *
 * @param attempt the number of the attempt that ended, from 1
 * @param random in [0, 1)
 * @param now milliseconds since 1970
 * @returns milliseconds, or null when the outcome is final
 */
export const retryDelay = (outcome: ExchangeOutcome, attempt: number, random: number, now: number): number | null => {
  if (attempt >= attemptsFor(outcome)) return null;
  const asked = outcome instanceof ExchangeError ? null : retryAfter(outcome, now);
  if (asked !== null) return asked > LONGEST_PAUSE ? null : asked + random * FIRST_PAUSE;
  const first = isOfTheObject(outcome) ? SHORT_PAUSE : FIRST_PAUSE;
  return Math.min(first * 2 ** (attempt - 1), LONGEST_BACKOFF) * (0.5 + random / 2);
};
