import { setFlagsFromString } from "node:v8";

/**
 * Keeps the heap near to what lives in it. A walk goes on for long with little that lives, and V8 would let the heap grow to
 * many times of it before it collects; the flag is read at each collection.
 */
export function keepHeapSmall(): void {
  setFlagsFromString("--heap-growing-percent=20");
}
