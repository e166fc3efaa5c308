import { messageOf, printError } from "./output";

/** What a script of package.json does with its arguments. @returns the exit code */
type Script = (args: readonly string[]) => number | Promise<number>;

/**
 * The exit code of a script; what it throws is reported in one line each, without a stack of our own code, and is 2, or 64 for
 * wrong usage (EX_USAGE, sysexits.h).
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

/** Runs a script as the program that this process is. */
export const runScript = async (script: Script): Promise<void> => {
  process.exitCode = await exitCodeOf(script, process.argv.slice(2));
};
