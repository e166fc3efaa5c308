import { spawnSync } from "node:child_process";
import { join } from "node:path";

const ROUNDS = 3000;
const TESTS = [
  "test/lab/random-store.test.ts",
  "test/registry/storage/prune-property.test.ts",
  "test/registry/remote/prune-property.test.ts",
];

/** The properties of manually changed stores, over thousands of stores: CI has time for hundreds. */
export const runBench = async (): Promise<void> => {
  const { status } = spawnSync("npm", ["test", "--", "--runInBand", "--runTestsByPath", ...TESTS], {
    cwd: join(__dirname, ".."),
    env: { ...process.env, WARDEN_ROUNDS: String(ROUNDS) },
    stdio: "inherit",
  });
  if (status !== 0) throw new Error("a property of the store does not hold: the counterexample is above");
};
