import { messageOf, printError } from "./output";

/** A script in package.json, given its arguments. @returns the exit code */
type Script = (args: readonly string[]) => number | Promise<number>;

/**
 * The exit code of a script. An error is reported in one line, without a stack of our own code, and the code is then 2,
 * or 64 for wrong usage (EX_USAGE, sysexits.h).
 */
export const exitCodeOf = async (script: Script, args: readonly string[]): Promise<number> => {
  try {
    return await script(args);
  } catch (error) {
    const { code, hint } = error as { code?: string; hint?: string };
    const lines = messageOf(error).split("\n");
    printError(lines.length > 1 || hint === undefined ? lines : `${lines[0]}; ${hint}`);
    return code?.startsWith("ERR_PARSE_ARGS") ? 64 : 2;
  }
};

/** Runs a script as the main program of this process. */
export const runScript = async (script: Script): Promise<void> => {
  process.exitCode = await exitCodeOf(script, process.argv.slice(2));
};
