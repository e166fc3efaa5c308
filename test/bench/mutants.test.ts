import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { testsOf } from "../../bench/mutants";
import { OCI_MUTANTS } from "../../bench/oci-mutants.bench";
import { STORE_MUTANTS } from "../../bench/store-mutants.bench";

const root = join(__dirname, "../..");

describe.each([OCI_MUTANTS, STORE_MUTANTS])("the guards of $folder", ({ folder, mutants }) => {
  test.each(mutants)("$file has what the bench takes away, once: $from", (mutant) => {
    const { file, from } = mutant;
    expect(readFileSync(join(root, folder, file), "utf8").split(from)).toHaveLength(2);
    expect(existsSync(join(root, "test", folder, testsOf(mutant)))).toBe(true);
  });
});
