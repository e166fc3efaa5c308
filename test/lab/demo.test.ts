import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { describeWith } from "./components";

const root = join(__dirname, "../..");

describeWith(["registry"], "the demo", () => {
  test("makes the incident, finds it, heals it, and prunes without making it again", async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", "examples/demo/demo.ts"], {
      cwd: root,
      // As long as somebody would watch it.
      timeout: 120_000,
    });
    const [, before, made, seen, found, , healed, pruned] = stdout.split(/^\d\. /m);
    expect(before).toContain("nothing broken");
    expect(made).toContain("It deletes 4 manifests without a tag");
    expect(seen).toMatch(/latest: 200/);
    expect(found).toMatch(/result {4}4 failures/);
    expect(healed).toMatch(/remains {3}nothing broken[\s\S]*result {4}nothing broken/);
    expect(pruned).toMatch(/It frees \d+ blobs\.[\s\S]*result {4}nothing broken/);
  }, 150_000);
});
