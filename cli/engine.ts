import { setFlagsFromString } from "node:v8";

/** Suits V8 to a walk, which goes on for long, waits most of the time and keeps little. Both flags are there from Node 20 to 25. */
export const suitEngineToWalk = (): void => {
  // The heap would grow to many times of what lives in it before it is collected; the flag is read at each collection.
  setFlagsFromString("--heap-growing-percent=20");
  // Undici's parser is WebAssembly. To optimise it takes 60 ms of a core, for which even a walk of one image would wait at
  // its end, and 15 MiB: 15,000 answers did not earn them.
  setFlagsFromString("--liftoff-only");
};
