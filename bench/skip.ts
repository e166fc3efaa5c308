import { type ComponentName, find } from "../test/lab/components";

/** Whether a bench cannot run for want of a component; then it says which one, and how to get it. */
export const isSkipped = (...needed: readonly ComponentName[]): boolean => {
  for (const name of needed) {
    const found = find(name);
    if ("missing" in found) {
      process.stdout.write(`skipped: ${found.missing}\n`);
      return true;
    }
  }
  return false;
};
