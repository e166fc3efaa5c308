import { Command, CommanderError, Help, type Option } from "commander";
import { version } from "../package.json";
import { messageOf, printError, printJson, printText } from "./output";
import { versionText } from "./version";

/** A command sets process.exitCode to 0 or 1 and throws an OperationalError for 2; commander reports wrong usage. */
const EXIT = { failed: 2, usage: 64 } as const;

const HELP = "warden --help lists the commands and their options";

/**
 * An error that says what the operator can do about it. Every domain has its own class; they are recognized by this
 * shape. Anything else that is thrown is a bug.
 */
interface OperationalError extends Error {
  /** A short word for programs, such as `unreachable`. */
  code: string;
  /** What the operator can do about it. */
  hint: string;
}

const isOperational = (error: unknown): error is OperationalError =>
  error instanceof Error && "hint" in error && typeof error.hint === "string";

const describe = (error: unknown): { code: string; message: string; hint: string } => {
  if (isOperational(error)) return { code: error.code, message: error.message, hint: error.hint };
  const message = `unexpected: ${messageOf(error)}`;
  return { code: "unexpected", message, hint: "run it again with --debug and report what it prints" };
};

/** Numbers several errors, because a line break cannot separate them in one line. */
const inOneLine = (message: string): string => {
  const errors = message.split("\n").filter((line) => line.trim() !== "");
  if (errors.length < 2) return message;
  return `${errors.length} errors: ${errors.map((error, index) => `(${index + 1}) ${error}`).join("; ")}`;
};

/** As in commander, but without the default of repeatable options, which is empty. */
const optionDescription = (option: Option): string => {
  const { defaultValue, description } = option;
  if (Array.isArray(defaultValue) && defaultValue.length === 0) return description;
  return Help.prototype.optionDescription(option);
};

/** All of warden with the given commands. @param args only --version asks git for the commit of a checkout */
export const program = (commands: readonly Command[], [first = ""]: readonly string[] = []): Command => {
  const warden = new Command("warden")
    .description("Finds, explains, heals and prevents the loss of images in container registries")
    .version(/^(-V|--version)$/.test(first) ? versionText() : version)
    .exitOverride()
    // Error messages repeat what was mistyped, which may contain anything.
    .configureOutput({ writeOut: printText, writeErr: (text) => printError(text.trimEnd().split("\n")) })
    .configureHelp({ optionDescription })
    .showHelpAfterError(`(${HELP})`);
  for (const command of commands) {
    command.copyInheritedSettings(warden).option("--debug", "print the stack trace of an error");
    warden.addCommand(command);
  }
  return warden;
};

/**
 * Runs one command.
 *
 * @param args without the program's name
 * @returns the exit code
 */
export const run = async (commands: readonly Command[], args: readonly string[]): Promise<number> => {
  try {
    await program(commands, args).parseAsync(args, { from: "user" });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    const json = args.includes("--json");
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0;
      const message = error.message.replace(/^error: /, "").replace(/\s+/g, " ");
      if (json) await printJson({ error: { code: "usage", message, hint: HELP } });
      return EXIT.usage;
    }
    const described = describe(error);
    // A program that requested JSON reads this instead of the result.
    if (json) await printJson({ error: described });
    const line = `${inOneLine(described.message)}; ${described.hint}`.replace(/\s+/g, " ");
    printError(`error: ${line}`);
    if (args.includes("--debug"))
      printError((error instanceof Error ? (error.stack ?? "") : String(error)).split("\n"));
    return EXIT.failed;
  }
};

/** Runs one command as the main program of this process. */
export const runAsProgram = (commands: readonly Command[]): void => {
  // The reader may close the pipe early, as head does; the rest of the output is discarded.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
  run(commands, process.argv.slice(2)).then((code) => {
    process.exitCode = code;
  });
};
