import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { find } from "../test/lab/components";
import { addTo, DEEDS, emptyTally, race, type Tally } from "../test/lab/races";
import { startRegistry } from "../test/lab/registry";

/** A round is one repository that is cleaned up while three clients push to it; this many are cleaned in one run. */
const AT_ONCE = 5;
const ROUNDS = Number(process.env.WARDEN_ROUNDS || 2000);
/** Rounds of a script that deletes by a list, to show the harm without the checks. */
const BLIND_ROUNDS = Math.ceil(ROUNDS / 10);
/** This registry needs a few milliseconds for the push of a manifest. */
const SETTLE = 250;

const print = (title: string, tally: Tally): void => {
  process.stdout.write(`${title}\n`);
  for (const deed of DEEDS) {
    const { pushes, lost, broken } = tally[deed];
    process.stdout.write(
      `  ${deed.padEnd(28)}${`${pushes} pushes`.padStart(14)}${`${lost} lost`.padStart(12)}${`${broken} broken`.padStart(12)}\n`,
    );
  }
};

/** What becomes of pushes, tag moves and mounts that the registry confirms while it is cleaned up over HTTP. */
export const run = async (): Promise<void> => {
  const component = find("registry");
  if ("missing" in component) {
    process.stdout.write(`skipped: ${component.missing}\n`);
    return;
  }
  const journals = mkdtempSync(join(tmpdir(), "warden-bench-"));
  try {
    for (const [title, rounds, folder] of [
      [`deleting by a list, ${BLIND_ROUNDS} rounds`, BLIND_ROUNDS, null],
      [`warden prune, ${ROUNDS} rounds`, ROUNDS, journals],
    ] as const) {
      const tally = emptyTally();
      let registry = await startRegistry();
      let [spared, problems] = [0, 0];
      try {
        for (let done = 0; done < rounds; done += AT_ONCE) {
          // A growing store makes every round slower than the one before.
          if (done % 500 === 0 && done > 0) {
            await registry.stop();
            registry = await startRegistry();
          }
          const repositories = Array.from({ length: Math.min(AT_ONCE, rounds - done) }, (_, n) => `r${done + n}`);
          const raced = await race({ registry, repositories, journals: folder, random: Math.random, settle: SETTLE });
          addTo(tally, raced.tally);
          spared += raced.report?.spared.length ?? 0;
          problems += raced.report?.problems.length ?? 0;
        }
      } finally {
        await registry.stop();
      }
      print(title, tally);
      if (folder !== null) process.stdout.write(`  spared ${spared}, problems ${problems}\n`);
    }
  } finally {
    rmSync(journals, { recursive: true });
  }
};
