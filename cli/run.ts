import { Command, CommanderError, Help, type Option } from "commander";
import { version } from "../package.json";
import { messageOf, printError, printJson, printText } from "./output";
import { versionText } from "./version";

/** A command sets process.exitCode to 0 or 1 and throws an OperationalError for 2; wrong usage is reported by commander. */
const EXIT = { failed: 2, usage: 64 } as const;

const HELP = "warden --help lists the commands and their options";

/**
 * An error that says what the operator can do about it. Every domain has its own class; they are known by this shape.
 * Anything else that is thrown is a fault of ours.
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

/** Several mistakes are numbered: a line end is no separator in one line. */
const inOneLine = (message: string): string => {
  const mistakes = message.split("\n").filter((line) => line.trim() !== "");
  if (mistakes.length < 2) return message;
  return `${mistakes.length} mistakes: ${mistakes.map((mistake, index) => `(${index + 1}) ${mistake}`).join("; ")}`;
};

/** As commander has it, but for the default of what can be repeated, which is nothing. */
const optionDescription = (option: Option): string => {
  const { defaultValue, description } = option;
  if (Array.isArray(defaultValue) && defaultValue.length === 0) return description;
  return Help.prototype.optionDescription(option);
};

/** All of warden with the commands that are given. @param args only --version asks git for the commit of a checkout */
export const program = (commands: readonly Command[], [first = ""]: readonly string[] = []): Command => {
  const warden = new Command("warden")
    .description("Finds, explains, heals and prevents the loss of images in container registries")
    .version(/^(-V|--version)$/.test(first) ? versionText() : version)
    .exitOverride()
    // What was mistyped is repeated, and may hold anything.
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
    // What a program that asked for JSON reads instead of the result.
    if (json) await printJson({ error: described });
    const line = `${inOneLine(described.message)}; ${described.hint}`.replace(/\s+/g, " ");
    printError(`error: ${line}`);
    if (args.includes("--debug"))
      printError((error instanceof Error ? (error.stack ?? "") : String(error)).split("\n"));
    return EXIT.failed;
  }
};

/** Runs one command as the program that this process is. */
export const start = (commands: readonly Command[]): void => {
  // Whoever reads the output may have seen enough of it, as head has; what is left goes nowhere.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
  run(commands, process.argv.slice(2)).then((code) => {
    process.exitCode = code;
  });
};
