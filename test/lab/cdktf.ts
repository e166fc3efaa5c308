import { existsSync } from "node:fs";
import { join } from "node:path";

/** Like describeWith, for the pinned cdktf-cli. Installing it takes 420 MB, so a test run never does that on its own. */
export const describeWithCdktf = (title: string, body: () => void): void => {
  if (existsSync(join(__dirname, "../../tools/cdktf/node_modules/.package-lock.json"))) describe(title, body);
  else
    describe.skip(title, () =>
      test("skipped: cdktf-cli: not installed: run tools/cdktf/run --version", () => undefined),
    );
};
