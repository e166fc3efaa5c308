import { setTimeout as sleep } from "node:timers/promises";

export interface GateOptions {
  /** How many may be inside at once. */
  concurrency: number;
  /** How many may enter a second; unlimited by default. */
  rate?: number;
  /** Ends all waiting. */
  signal?: AbortSignal;
}

/** The lowest rate that throttling leads to, in entries a second: a walk can still finish at this rate. */
const SLOWEST = 0.5;
/** Refusals of requests that were in flight together count as one. Milliseconds. */
const BURST = 1000;
/** Rate added for each second without a refusal, in entries a second: a twentieth of the rate when refused, but at least this. */
const LEAST_STEP = 1;
const STEPS = 20;
/** The limit is dropped at this multiple of the rate at which a request was refused. */
const RECOVERED = 8;

/**
 * Admits a bounded number at once, in the order of arrival, and no faster than the configured rate or than the server
 * tolerates. The rate is halved at each refusal and grows by a constant step from then on (additive increase, multiplicative
 * decrease), so it settles just below the server's limit without knowing it.
 */
export class Gate {
  /** Milliseconds between two entries. */
  readonly #interval: number;
  readonly #signal: AbortSignal | undefined;
  readonly #waiting: (() => void)[] = [];
  #free: number;
  #next = 0;
  /** Tolerated entries a second; null until a refusal shows that there is a limit. */
  #pace: number | null = null;
  #step = LEAST_STEP;
  #refusedPace = 0;
  #refusedAt = Number.NEGATIVE_INFINITY;
  #grownAt = 0;
  /** Entries in the current second and in the one before: the current rate. */
  #second = { start: 0, entries: 0, before: 0 };

  constructor(options: GateOptions) {
    this.#free = options.concurrency;
    this.#interval = options.rate === undefined ? 0 : 1000 / options.rate;
    this.#signal = options.signal;
  }

  /** Waits for admission. The caller must leave, even if this throws because the signal ended the wait. */
  async enter(): Promise<void> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    const pause = this.#pause();
    if (pause > 0) await sleep(pause, undefined, { signal: this.#signal });
  }

  /** Counts an entry that may not wait, because its precondition would be stale by then; the following ones wait longer. */
  pass(): void {
    this.#pause();
  }

  leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free++;
  }

  /** Admits nothing for this many milliseconds. */
  hold(pause: number): void {
    this.#next = Math.max(this.#next, performance.now() + pause);
  }

  /** Halves the rate after a request was throttled. */
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

  /** Tolerated entries a second; null as long as nothing was refused. */
  get pace(): number | null {
    return this.#pace;
  }

  /** How long the next entry has to wait. Milliseconds. */
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
