import { suitEngineToWalk } from "./engine";
import { messageOf, print, printError } from "./output";

/** The work of a CronJob's program, configured by environment variables only. @returns the exit code */
type Job = (
  environment: NodeJS.ProcessEnv,
  out: (line: string) => void,
  err: (line: string) => void,
) => Promise<number>;

/** Runs the work of a CronJob's program as this process. A bug is one line and exit code 2 too. */
export const runJob = (job: Job): void => {
  suitEngineToWalk();
  job(process.env, print, printError).then(
    (code) => {
      process.exitCode = code;
    },
    (error: unknown) => {
      printError(`unexpected: ${messageOf(error)}`);
      process.exitCode = 2;
    },
  );
};
