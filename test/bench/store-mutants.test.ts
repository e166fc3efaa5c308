import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { MUTANTS } from "../../bench/store-mutants.bench";

const root = join(__dirname, "../..");

test.each(MUTANTS)("the guard that the bench takes away is in $file: $from", ({ file, from, tests }) => {
  expect(readFileSync(join(root, "registry/storage", file), "utf8")).toContain(from);
  expect(existsSync(join(root, "test/registry/storage", tests))).toBe(true);
});
