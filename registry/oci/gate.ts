import { setTimeout as sleep } from "node:timers/promises";

export interface GateOptions {
  /** How many may be inside at once. */
  concurrency: number;
  /** How many may enter in a second; unlimited by default. */
  rate?: number;
  /** Ends every wait. */
  signal?: AbortSignal;
}

/** Lets a bounded number in at once, in the order of arrival, and no faster than a rate. */
export class Gate {
  readonly #interval: number;
  readonly #signal: AbortSignal | undefined;
  readonly #waiting: (() => void)[] = [];
  #free: number;
  #next = 0;

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

  leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free++;
  }

  /** Lets nobody else in for so many milliseconds. */
  hold(pause: number): void {
    this.#next = Math.max(this.#next, performance.now() + pause);
  }

  /** How long the next one has to wait inside. Milliseconds. */
  #pause(): number {
    const now = performance.now();
    const start = Math.max(now, this.#next);
    if (this.#interval > 0) this.#next = start + this.#interval;
    return start - now;
  }
}
