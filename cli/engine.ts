import { setFlagsFromString } from "node:v8";

/** Tunes V8 for a walk, which runs for long, mostly waits and retains little. Both flags exist in Node 20 to 25. */
export const suitEngineToWalk = (): void => {
  // By default the heap grows to many times its live size before a collection; the flag is read at each collection.
  setFlagsFromString("--heap-growing-percent=20");
  // Undici's parser is WebAssembly. Optimizing it takes 60 ms of CPU time, for which even the walk of a single image
  // would wait at its end, and 15 MiB: even after 15,000 answers this did not pay off.
  setFlagsFromString("--liftoff-only");
};
