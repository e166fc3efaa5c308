import { availableParallelism } from "node:os";
import { Command, Option } from "commander";
import { ROLES, type Role } from "../registry/oci/repository";
import { hintForReading } from "../registry/storage/disk-error";
import { isError } from "../registry/storage/finding";
import { type ScanReport, scan } from "../registry/storage/scan";
import { scanTable } from "../registry/storage/scan-table";
import { print, printError, printJson } from "./output";

interface ScanCommandOptions {
  role?: Role;
  hash?: true;
  fixLayerLinks?: true;
  dryRun?: true;
  json?: true;
}

/** More threads would only wait for the same disk. */
const MOST_THREADS = 4;

/** 1 if a finding is an error, even in an incomplete scan; 2 for an incomplete scan without one. */
const exitCode = ({ findings, unreadable, empty }: ScanReport): 0 | 1 | 2 => {
  if (findings.some(isError)) return 1;
  return unreadable.length === 0 && empty === undefined ? 0 : 2;
};

const run = async (root: string, { role, hash, fixLayerLinks, dryRun, json }: ScanCommandOptions): Promise<void> => {
  const report = await scan(root, {
    role,
    hash,
    fixLayerLinks: fixLayerLinks && !dryRun,
    threads: Math.min(availableParallelism(), MOST_THREADS),
  });
  if (json) await printJson(report);
  else print(scanTable(report));
  process.exitCode = exitCode(report);
  const [folder] = report.unreadable;
  const [empty] = report.empty ?? [];
  if (empty !== undefined && process.exitCode === 2) {
    printError(`error: ${empty} holds no repository; check that the registry's disk is mounted there`);
  } else if (folder !== undefined) {
    printError(`error: ${folder} cannot be read; ${hintForReading(folder)}`);
  }
};

/** `warden scan`: what is wrong with a registry's data, read from its disk. */
export const scanCommand = (): Command =>
  new Command("scan")
    .description("look for what is broken in a registry's storage, running or not")
    .argument("<storage root>", "the folder that holds docker/registry/v2, or a folder of such folders")
    .addOption(
      new Option(
        "--role <role>",
        "authoritative registry, or pull-through cache (default: what the files of each store tell)",
      ).choices(ROLES),
    )
    .option("--hash", "hash every blob")
    .option("--fix-layer-links", "remove layer links without data that no manifest needs; nothing else is changed")
    .option("--dry-run", "change nothing, whatever else is asked for")
    .option("--json", "print the report as one JSON document")
    .addHelpText(
      "after",
      `
Examples:
  warden scan /srv/registry/data/private                     while the registry runs
  warden scan /srv/registry/data                             a folder of several stores
  warden scan /srv/registry/data/private --hash              every byte
  warden scan /srv/registry/data/private --fix-layer-links   remove the links that lead nowhere`,
    )
    .action(run);
