import { find } from "../test/lab/components";
import { startGitea } from "../test/lab/gitea";
import { raceRounds } from "./prune-races";

export const run = async (): Promise<void> => {
  const component = find("gitea");
  if ("missing" in component) {
    process.stdout.write(`skipped: ${component.missing}\n`);
    return;
  }
  await raceRounds({
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
};
