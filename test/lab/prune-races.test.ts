import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeWith } from "./components";
import { startGitea } from "./gitea";
import type { PushTarget } from "./images";
import { addTo, DEEDS, emptyTally, race } from "./races";
import { startRegistry } from "./registry";

type Started = PushTarget & { stop(): Promise<void> };

const giteaAsTarget = async (): Promise<Started> => {
  const gitea = await startGitea();
  return { url: gitea.url, credentials: gitea.user, stop: () => gitea.stop() };
};

describe.each<["registry" | "gitea", start: () => Promise<Started>, names: string[], pause: number]>([
  ["registry", startRegistry, ["app", "tool", "lib"], 40],
  ["gitea", giteaAsTarget, ["app"], 200],
])("%s", (component, start, names, pause) => {
  describeWith([component], "pushed to while it is cleaned up over HTTP", () => {
    test("nothing that it has confirmed is broken", async () => {
      const registry = await start();
      const journals = mkdtempSync(join(tmpdir(), "warden-journals-"));
      try {
        const tally = emptyTally();
        for (let round = 0; round < 4; round++) {
          const repositories = names.map((name) => `lab/${name}-${round}`);
          const raced = await race({ registry, repositories, journals, random: Math.random, pause, settle: 250 });
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
});
