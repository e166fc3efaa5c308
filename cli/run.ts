import { Command, CommanderError } from "commander";
import { version } from "../package.json";

/** A command sets process.exitCode to 0 or 1 and throws an OperationalError for 2; wrong usage is told by commander. */
const EXIT = { failed: 2, usage: 64 } as const;

/**
 * An error that says what the operator can do about it. Every domain has its own class; they are known by this shape.
 * Anything else that is thrown is a fault of ours.
 */
interface OperationalError extends Error {
  /** A short word for programs, such as `unreachable`. */
  code: string;
  /** What the operator can do about it. */
  cure: string;
}

function isOperational(error: unknown): error is OperationalError {
  return error instanceof Error && "cure" in error && typeof error.cure === "string";
}

function describe(error: unknown): { code: string; message: string; cure: string } {
  if (isOperational(error)) return { code: error.code, message: error.message, cure: error.cure };
  const message = `unexpected: ${error instanceof Error ? error.message : String(error)}`;
  return { code: "unexpected", message, cure: "run it again with --debug and report what it prints" };
}

function program(commands: readonly Command[]): Command {
  const warden = new Command("warden")
    .description("Finds, explains, heals and prevents the loss of images in container registries")
    .version(version)
    .exitOverride()
    .showHelpAfterError("(warden --help lists the commands and their options)");
  for (const command of commands) {
    command.copyInheritedSettings(warden).option("--debug", "print the stack trace of an error");
    warden.addCommand(command);
  }
  return warden;
}

/**
 * Runs one command.
 *
 * @param args without the program's name
 * @returns the exit code
 */
export async function run(commands: readonly Command[], args: readonly string[]): Promise<number> {
  try {
    await program(commands).parseAsync(args, { from: "user" });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT.usage;
    const described = describe(error);
    if (args.includes("--json")) process.stdout.write(`${JSON.stringify({ error: described }, null, 2)}\n`);
    const line = `${described.message}; ${described.cure}`.replace(/\s+/g, " ");
    process.stderr.write(`error: ${line}\n`);
    if (args.includes("--debug")) process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    return EXIT.failed;
  }
}
