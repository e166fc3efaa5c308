import { setTimeout as sleep } from "node:timers/promises";

export interface GateOptions {
  /** How many may be inside at once. */
  concurrency: number;
  /** How many may enter in a second; unlimited by default. */
  rate?: number;
  /** Ends every wait. */
  signal?: AbortSignal;
}

/** The slowest pace that a refusal leads to, in entries a second: at one of them a walk still ends. */
const SLOWEST = 0.5;
/** Refusals of requests that were under way together count as one. Milliseconds. */
const BURST = 1000;
/** What a second without a refusal adds to the pace, in entries a second: one twentieth of what it was when refused, or this. */
const LEAST_STEP = 1;
const STEPS = 20;
/** At so many times of the pace at which it was refused, the limit is no more. */
const RECOVERED = 8;

/**
 * Lets a bounded number in at once, in the order of arrival, and no faster than a rate: that which was given, and that which
 * whoever is asked can take. It halves at each refusal and grows by a constant step from then on (additive increase,
 * multiplicative decrease), so it settles just below the limit without knowing it.
 */
export class Gate {
  /** Milliseconds between two entries. */
  readonly #interval: number;
  readonly #signal: AbortSignal | undefined;
  readonly #waiting: (() => void)[] = [];
  #free: number;
  #next = 0;
  /** Entries a second that are borne; null until a refusal tells that there is a limit. */
  #pace: number | null = null;
  #step = LEAST_STEP;
  #refusedPace = 0;
  #refusedAt = Number.NEGATIVE_INFINITY;
  #grownAt = 0;
  /** Entries of the second that began then, and of the one before: how fast it goes. */
  #second = { start: 0, entries: 0, before: 0 };

  constructor(options: GateOptions) {
    this.#free = options.concurrency;
    this.#interval = options.rate === undefined ? 0 : 1000 / options.rate;
    this.#signal = options.signal;
  }

  /** Waits to be let in. The caller has to leave, even when this fails because the signal has ended a wait inside. */
  async enter(): Promise<void> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    const pause = this.#pause();
    if (pause > 0) await sleep(pause, undefined, { signal: this.#signal });
  }

  /** Counts one that goes at once, because what it goes by would be old after a wait: the next ones wait for it. */
  pass(): void {
    this.#pause();
  }

  leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free++;
  }

  /** Lets nobody else in for so many milliseconds. */
  hold(pause: number): void {
    this.#next = Math.max(this.#next, performance.now() + pause);
  }

  /** Halves the pace, because somebody was refused for asking too often. */
  slowDown(): void {
    const now = performance.now();
    if (now - this.#refusedAt < BURST) return;
    this.#refusedAt = now;
    this.#grownAt = now;
    const { entries, before } = this.#second;
    const pace = this.#pace ?? Math.max(entries, before);
    this.#refusedPace = Math.max(pace, SLOWEST);
    this.#pace = Math.max(pace / 2, SLOWEST);
    this.#step = Math.max(LEAST_STEP, pace / STEPS);
  }

  /** Entries a second that are borne; null while nobody was refused. */
  get pace(): number | null {
    return this.#pace;
  }

  /** How long the next one has to wait inside. Milliseconds. */
  #pause(): number {
    const now = performance.now();
    this.#count(now);
    const start = Math.max(now, this.#next);
    const interval = Math.max(this.#interval, this.#pacedInterval(now));
    if (interval > 0) this.#next = start + interval;
    return start - now;
  }

  #count(now: number): void {
    const second = this.#second;
    if (now - second.start >= 1000) {
      second.before = now - second.start < 2000 ? second.entries : 0;
      second.start = now;
      second.entries = 0;
    }
    second.entries++;
  }

  #pacedInterval(now: number): number {
    if (this.#pace === null) return 0;
    this.#pace += (this.#step * (now - this.#grownAt)) / 1000;
    this.#grownAt = now;
    if (this.#pace < RECOVERED * this.#refusedPace) return 1000 / this.#pace;
    this.#pace = null;
    return 0;
  }
}
