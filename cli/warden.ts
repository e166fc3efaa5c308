import type { Command } from "commander";
import { isScanThread, serveScan } from "../registry/storage/scan-threads";
import { diagnoseCommand } from "./diagnose";
import { dnsCommand } from "./dns";
import { docsCommand } from "./docs";
import { driftCommand } from "./drift";
import { htpasswdCommand } from "./htpasswd";
import { planReportCommand } from "./plan-report";
import { probeCommand } from "./probe-command";
import { pruneCommand } from "./prune";
import { repairCommand } from "./repair";
import { rollbackCommand } from "./rollback";
import { run, start } from "./run";
import { scanCommand } from "./scan";
import { verifyCommand } from "./verify";

function commands(): Command[] {
  return [
    verifyCommand(),
    probeCommand(),
    planReportCommand(),
    docsCommand(),
    scanCommand(),
    diagnoseCommand(),
    pruneCommand(),
    repairCommand(),
    driftCommand(),
    rollbackCommand(),
    dnsCommand(),
    htpasswdCommand(),
  ];
}

/** Runs one command of all. @param args without the program's name. @returns the exit code */
export const main = (args: readonly string[]): Promise<number> => run(commands(), args);

// Inside a bundle there is no main module; a test that imports this file is one.
if (isScanThread) serveScan();
else if (require.main === undefined || require.main === module) start(commands());
