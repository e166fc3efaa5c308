import { cleanUp } from "../registry/clean-up/clean-up";
import { suitEngineToWalk } from "./engine";
import { messageOf, print, printError } from "./output";

suitEngineToWalk();

/** The program of the CronJob that cleans up a registry over HTTP; configured by environment variables only. */
cleanUp(process.env, print, printError).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    printError(`unexpected: ${messageOf(error)}`);
    process.exitCode = 2;
  },
);
