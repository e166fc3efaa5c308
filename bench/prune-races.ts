import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ComponentName } from "../test/lab/components";
import type { PushTarget } from "../test/lab/images";
import { addTo, DEEDS, emptyTally, race, type Tally } from "../test/lab/races";
import { isSkipped } from "./skip";

/** A registry, and how often and how fast it is raced. */
export interface RaceSettings {
  component: ComponentName;
  name: string;
  /** A round is one repository that is cleaned up while three clients push to it. */
  rounds: number;
  /** Rounds in one run; with more, the clients have pushed before the last are cleaned. */
  atOnce: number;
  /** Rounds after which a new one is started: a growing store makes every round slower than the one before. */
  renewedAfter: number;
  /** Maximum before each push, so that they last as long as a clean-up. Milliseconds. */
  pause: number;
  /** Longer than it needs for the push of a manifest. Milliseconds. */
  settle: number;
  start(): Promise<{ target: PushTarget; stop(): Promise<void> }>;
  /** The first part of each repository's name. @default none */
  owner?: string;
}

/** What becomes of pushes, tag moves and mounts that a registry confirms while it is cleaned up over HTTP. */
export const raceRounds = async (settings: RaceSettings): Promise<void> => {
  if (isSkipped(settings.component)) return;
  const journals = mkdtempSync(join(tmpdir(), "warden-bench-"));
  // A tenth by a script that deletes by a list, to show the harm without the checks.
  const blind = Math.ceil(settings.rounds / 10);
  try {
    await measure(`${settings.name}: deleting by a list, ${blind} rounds`, { ...settings, rounds: blind }, null);
    await measure(`${settings.name}: warden prune, ${settings.rounds} rounds`, settings, journals);
  } finally {
    rmSync(journals, { recursive: true });
  }
};

const measure = async (
  title: string,
  { rounds, atOnce, renewedAfter, pause, settle, start, owner }: RaceSettings,
  journals: string | null,
): Promise<void> => {
  const tally = emptyTally();
  const problems: string[] = [];
  let spared = 0;
  let registry = await start();
  try {
    for (let done = 0; done < rounds; done += atOnce) {
      if (done % renewedAfter === 0 && done > 0) {
        await registry.stop();
        registry = await start();
      }
      const repositories = Array.from({ length: Math.min(atOnce, rounds - done) }, (_, n) =>
        [owner, `r${done + n}`].filter((part) => part !== undefined).join("/"),
      );
      const raced = await race({
        registry: registry.target,
        repositories,
        journals,
        random: Math.random,
        pause,
        settle,
      });
      addTo(tally, raced.tally);
      spared += raced.report?.spared.length ?? 0;
      problems.push(...(raced.report?.problems ?? []).map(({ repository, message }) => `${repository}: ${message}`));
    }
  } finally {
    await registry.stop();
  }
  print(title, tally);
  if (journals === null) return;
  process.stdout.write(`  spared ${spared}, problems ${problems.length}\n`);
  for (const problem of problems) process.stdout.write(`  ${problem}\n`);
};

const print = (title: string, tally: Tally): void => {
  process.stdout.write(`${title}\n`);
  for (const deed of DEEDS) {
    const { pushes, lost, broken } = tally[deed];
    process.stdout.write(
      `  ${deed.padEnd(28)}${`${pushes} pushes`.padStart(14)}${`${lost} lost`.padStart(12)}${`${broken} broken`.padStart(12)}\n`,
    );
  }
};
