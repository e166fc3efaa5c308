import { startRegistry } from "../test/lab/registry";
import { raceRounds } from "./prune-races";

export const runBench = (): Promise<void> =>
  raceRounds({
    component: "registry",
    name: "registry 2.8.3",
    rounds: Number(process.env.WARDEN_ROUNDS || 2000),
    atOnce: 5,
    renewedAfter: 500,
    pause: 40,
    settle: 250,
    start: async () => {
      const registry = await startRegistry();
      return { target: registry, stop: () => registry.stop() };
    },
  });
