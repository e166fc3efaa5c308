import { startGitea } from "../test/lab/gitea";
import { raceRounds } from "./prune-races";

export const runBench = (): Promise<void> =>
  raceRounds({
    component: "gitea",
    name: "Gitea 1.25.5",
    rounds: Number(process.env.WARDEN_ROUNDS || 300),
    atOnce: 1,
    renewedAfter: 100,
    pause: 200,
    settle: 1000,
    owner: "lab",
    start: async () => {
      const gitea = await startGitea();
      return { target: { url: gitea.url, credentials: gitea.user }, stop: () => gitea.stop() };
    },
  });
