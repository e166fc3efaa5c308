import fc from "fast-check";
import { type Answer, ExchangeError, type ExchangeErrorCode } from "../../../registry/oci/http";
import { type ExchangeOutcome, retryAfter, retryDelay } from "../../../registry/oci/retry";

const answer = (status: number, headers: Answer["headers"] = {}): Answer => ({
  origin: "http://registry.example",
  path: "/",
  status,
  headers,
  body: Buffer.alloc(0),
  received: 0,
});
const failed = (code: ExchangeErrorCode): ExchangeError => new ExchangeError(code, "");

/** The number of attempts before it gives up. */
const attempts = (outcome: ExchangeOutcome): number => {
  let attempt = 1;
  while (retryDelay(outcome, attempt, 0, 0) !== null) attempt++;
  return attempt;
};

test.each<[string, ExchangeOutcome, number]>([
  ["a success", answer(200), 1],
  ["404", answer(404), 1],
  ["401", answer(401), 1],
  ["500, which real damage answers", answer(500), 2],
  ["502", answer(502), 4],
  ["503", answer(503), 6],
  ["504", answer(504), 4],
  ["429", answer(429), 12],
  ["408", answer(408), 4],
  ["a refused connection", failed("unreachable"), 4],
  ["a body cut short", failed("cut"), 3],
  ["a time-out", failed("timeout"), 2],
  ["a certificate that is not trusted", failed("untrusted"), 1],
  ["too large a body", failed("too-large"), 1],
  ["an interruption", failed("cancelled"), 1],
])("%s is worth its attempts", (_name, outcome, expected) => {
  expect(attempts(outcome)).toBe(expected);
});

test("pauses double, with jitter between a half and the whole", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      fc.integer({ min: 1, max: 3 }),
      (random, attempt) => {
        const whole = 250 * 2 ** (attempt - 1);
        const delay = retryDelay(failed("unreachable"), attempt, random, 0) ?? 0;
        expect(delay).toBeGreaterThanOrEqual(whole / 2);
        expect(delay).toBeLessThanOrEqual(whole);
      },
    ),
  );
});

test("an object that is broken is asked for again at once: there may be thousands", () => {
  for (const outcome of [failed("cut"), answer(500)]) expect(retryDelay(outcome, 1, 1, 0)).toBeLessThanOrEqual(25);
  for (const outcome of [failed("unreachable"), answer(503)]) expect(retryDelay(outcome, 1, 1, 0)).toBe(250);
});

test.each([
  ["seconds", "7", 7_000],
  ["a date", new Date(9_000).toUTCString(), 8_000],
  ["a date in the past", new Date(0).toUTCString(), 0],
  ["nonsense", "soon", null],
  ["nothing", "", null],
])("Retry-After as %s", (_name, header, expected) => {
  expect(retryAfter({ headers: { "retry-after": header } }, 1_000)).toBe(expected);
});

test("no pause is longer than half a minute, unless Retry-After asks for it", () => {
  expect(retryDelay(answer(429), 11, 1, 0)).toBe(30_000);
  expect(retryDelay(answer(429, { "retry-after": "300" }), 11, 0, 0)).toBe(300_000);
  expect(retryDelay(answer(429, { "retry-after": "301" }), 11, 0, 0)).toBeNull();
});

test("Retry-After is kept to, unless it asks for more patience than a run has", () => {
  expect(retryDelay(answer(503, { "retry-after": "5" }), 1, 0, 0)).toBe(5_000);
  expect(retryDelay(answer(503, { "retry-after": "3600" }), 1, 0, 0)).toBeNull();
});
