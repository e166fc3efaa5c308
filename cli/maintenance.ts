import type { Command } from "commander";
import { isScanThread, serveScan } from "../registry/storage/scan-threads";
import { diagnoseCommand } from "./diagnose";
import { pruneCommand } from "./prune";
import { repairCommand } from "./repair";
import { runAsProgram } from "./run";
import { scanCommand } from "./scan";
import { scrubCommand } from "./scrub";
import { undeleteCommand } from "./undelete";
import { verifyCommand } from "./verify";

/** The commands for one registry and its storage: the program warden.mjs on the registry host. */
const commands = (): Command[] => [
  verifyCommand(),
  scanCommand(),
  scrubCommand(),
  diagnoseCommand(),
  pruneCommand(),
  repairCommand(),
  undeleteCommand(),
];

if (isScanThread) serveScan();
else runAsProgram(commands());
