import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeWith } from "./components";
import { addTo, DEEDS, emptyTally, race } from "./races";
import { startRegistry } from "./registry";

describeWith(["registry"], "pushed to while it is cleaned up over HTTP", () => {
  test("nothing that it has confirmed is broken", async () => {
    const registry = await startRegistry();
    const journals = mkdtempSync(join(tmpdir(), "warden-journals-"));
    try {
      const tally = emptyTally();
      for (let round = 0; round < 4; round++) {
        const repositories = [`app/${round}`, `tool/${round}`, `lib/${round}`];
        const raced = await race({ registry, repositories, journals, random: Math.random, settle: 250 });
        expect(raced.report).toMatchObject({ problems: [], remaining: [] });
        addTo(tally, raced.tally);
      }
      for (const deed of DEEDS) {
        // A name may come, or move, while the registry deletes: the windows that the docs name, each one request wide.
        const lost = ["new tag", "moved tag", "old tag again"].includes(deed) ? expect.any(Number) : 0;
        expect({ deed, ...tally[deed] }).toEqual({ deed, pushes: expect.any(Number), lost, broken: 0 });
      }
    } finally {
      rmSync(journals, { recursive: true });
      await registry.stop();
    }
  }, 180_000);
});
