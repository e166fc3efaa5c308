import { probe } from "../registry/probe/probe";
import { suitEngineToWalk } from "./engine";
import { messageOf, print, printError } from "./output";

suitEngineToWalk();

/** The program of the CronJob: configured by environment variables only (see probeSettings), it writes nothing to disk. */
probe(process.env, print, printError).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    printError(`unexpected: ${messageOf(error)}`);
    process.exitCode = 2;
  },
);
