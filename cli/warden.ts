import type { Command } from "commander";
import { isScanThread, serveScan } from "../registry/storage/scan-threads";
import { type DescribedCommand, describeCommand } from "./command-tree";
import { program, run, runAsProgram } from "./run";

/** In the order of the help. Commands are loaded on demand: loading all of them takes longer than a small walk. */
const COMMANDS: Readonly<Record<string, () => Command>> = {
  verify: () => (require("./verify") as typeof import("./verify")).verifyCommand(),
  probe: () => (require("./probe-command") as typeof import("./probe-command")).probeCommand(),
  "plan-report": () => (require("./plan-report") as typeof import("./plan-report")).planReportCommand(),
  docs: () => (require("./docs") as typeof import("./docs")).docsCommand(describeWarden),
  scan: () => (require("./scan") as typeof import("./scan")).scanCommand(),
  scrub: () => (require("./scrub") as typeof import("./scrub")).scrubCommand(),
  diagnose: () => (require("./diagnose") as typeof import("./diagnose")).diagnoseCommand(),
  prune: () =>
    (require("./prune") as typeof import("./prune")).pruneCommand(
      (require("./site-registry") as typeof import("./site-registry")).siteRegistry,
    ),
  repair: () => (require("./repair") as typeof import("./repair")).repairCommand(),
  undelete: () => (require("./undelete") as typeof import("./undelete")).undeleteCommand(),
  workloads: () => (require("./workloads") as typeof import("./workloads")).workloadsCommand(),
  drift: () => (require("./drift") as typeof import("./drift")).driftCommand(),
  deliver: () => (require("./deliver") as typeof import("./deliver")).deliverCommand(),
  rollback: () => (require("./rollback") as typeof import("./rollback")).rollbackCommand(),
  dns: () => (require("./dns") as typeof import("./dns")).dnsCommand(),
  manifests: () => (require("./manifests") as typeof import("./manifests")).manifestsCommand(),
  rules: () => (require("./rules") as typeof import("./rules")).rulesCommand(),
  htpasswd: () => (require("./htpasswd") as typeof import("./htpasswd")).htpasswdCommand(),
  completion: () => (require("./completion") as typeof import("./completion")).completionCommand(describeWarden),
};

/** The named command, or all if none is named: for the help, and for a mistyped name. */
const commands = ([name = ""]: readonly string[]): Command[] => {
  const named = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  return named === undefined ? Object.values(COMMANDS).map((load) => load()) : [named()];
};

/** The program with all of its commands, as data. */
export const describeWarden = (): DescribedCommand => describeCommand(program(commands([])));

/** Runs one of all commands. @param args without the program's name. @returns the exit code */
export const main = (args: readonly string[]): Promise<number> => run(commands(args), args);

// In a bundle there is no main module; a test that imports this file is the main module.
if (isScanThread) serveScan();
else if (require.main === undefined || require.main === module) runAsProgram(commands(process.argv.slice(2)));
