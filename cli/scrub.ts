import { spawnSync } from "node:child_process";
import { setPriority } from "node:os";
import { SingleBar } from "cli-progress";
import { Command, InvalidArgumentError } from "commander";
import { type ScrubReport, scrub } from "../registry/storage/scrub";
import { scrubTable } from "../registry/storage/scrub-table";
import { oneStore } from "../registry/storage/store";
import { print, printError, printJson } from "./output";

interface ScrubCommandOptions {
  state?: string;
  rate: number;
  hours?: number;
  json?: true;
}

const MEBIBYTE = 1024 * 1024;
const HOUR = 3_600_000;

const positive = (text: string): number => {
  const number = Number(text);
  if (Number.isFinite(number) && number > 0) return number;
  throw new InvalidArgumentError("give a number above 0");
};

/** Reads only when the disk is otherwise idle: ionice(1), for this thread and those that it starts. */
const yieldToOthers = (): void => {
  setPriority(19);
  const { status } = spawnSync("ionice", ["-c", "idle", "-p", String(process.pid)], { stdio: "ignore" });
  if (status !== 0)
    printError("warning: there is no ionice here, so that only the rate keeps the disk free for others");
};

const run = async (root: string, { state, rate, hours, json }: ScrubCommandOptions): Promise<void> => {
  const store = oneStore(root);
  const stop = new AbortController();
  const timer = hours === undefined ? undefined : setTimeout(() => stop.abort(), hours * HOUR);
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  yieldToOthers();
  const bar = process.stderr.isTTY ? new SingleBar({ format: "{bar} {percentage} %, {value} of {total} MiB" }) : null;
  bar?.start(0, 0);
  const onProgress = ({ counts }: ScrubReport): void => {
    bar?.setTotal(Math.round(counts.ofBytes / MEBIBYTE));
    bar?.update(Math.round(counts.bytes / MEBIBYTE));
  };
  try {
    const report = { ...(await scrub(store, { rate: rate * MEBIBYTE, state, signal: stop.signal, onProgress })), root };
    bar?.stop();
    if (json) await printJson(report);
    else print(scrubTable(report));
    process.exitCode = report.corrupt.length > 0 ? 1 : 0;
  } finally {
    bar?.stop();
    clearTimeout(timer);
  }
};

/** `warden scrub`: reads every blob on the disk and verifies its digest. */
export const scrubCommand = (): Command =>
  new Command("scrub")
    .description("read every blob on a registry's disk against its name, slowly, and go on where it stopped")
    .argument("<storage root>", "the folder that holds docker/registry/v2")
    .option("--state <folder>", "write down there how far it is, and go on from there")
    .option("--rate <MiB>", "read at most so much in a second", positive, 50)
    .option("--hours <number>", "end after so long; with --state the next run goes on", positive)
    .option("--json", "print the report as one JSON document")
    .addHelpText(
      "after",
      `
Examples:
  warden scrub /srv/registry/data/private                                            all of it, at once
  warden scrub /srv/registry/data/private --state /var/lib/scrub --hours 3           three hours of it, each time`,
    )
    .action(run);
