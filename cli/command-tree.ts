import type { Command } from "commander";

/** An option as described in the help. */
export interface DescribedOption {
  /** As in the help: `-n, --newest <n>`. */
  readonly flags: string;
  /** Every form of it: `--newest`, `-n`. */
  readonly names: readonly string[];
  readonly takesValue: boolean;
  /** The allowed values; empty if any is. */
  readonly choices: readonly string[];
  readonly description: string;
}

export interface DescribedArgument {
  readonly name: string;
  /** The values that are allowed; empty where any is. */
  readonly choices: readonly string[];
  readonly description: string;
}

/** A command as plain data, for completions, the reference and the manual page. */
export interface DescribedCommand {
  /** `warden dns verify`. */
  readonly name: string;
  readonly description: string;
  /** As in the help: `<host> [delivery]`. */
  readonly usage: string;
  readonly arguments: readonly DescribedArgument[];
  readonly options: readonly DescribedOption[];
  /** The examples in the help: the command, and what it does. */
  readonly examples: readonly { readonly run: string; readonly does: string }[];
  readonly commands: readonly DescribedCommand[];
}

/** The complete help, because only that includes what `addHelpText` adds. */
const helpOf = (command: Command): string => {
  const parts: string[] = [];
  command.configureOutput({ writeOut: (part) => void parts.push(part) }).outputHelp();
  return parts.join("");
};

const examplesOf = (command: Command): DescribedCommand["examples"] => {
  const [, text = ""] = helpOf(command).split("\nExamples:\n");
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const [run = "", does = ""] = line.trim().split(/ {2,}/);
      return { run, does };
    });
};

/** Describes a command and everything below it. @param parent `warden` for the top-level commands */
export const describeCommand = (command: Command, parent?: string): DescribedCommand => {
  const name = parent === undefined ? command.name() : `${parent} ${command.name()}`;
  return {
    name,
    description: command.description(),
    usage: command.registeredArguments
      .map((argument) => {
        const word = `${argument.name()}${argument.variadic ? "..." : ""}`;
        return argument.required ? `<${word}>` : `[${word}]`;
      })
      .join(" "),
    arguments: command.registeredArguments.map((argument) => ({
      name: argument.name(),
      choices: argument.argChoices ?? [],
      description: argument.description,
    })),
    options: command.options
      .filter(({ hidden }) => !hidden)
      .map((option) => ({
        flags: option.flags,
        names: [option.long, option.short].filter((form) => form != null),
        takesValue: option.required || option.optional,
        choices: option.argChoices ?? [],
        description: option.description,
      })),
    examples: examplesOf(command),
    commands: command.commands.map((each) => describeCommand(each, name)),
  };
};

/** A command and everything below it. */
export const allBelow = (command: DescribedCommand): DescribedCommand[] => [
  command,
  ...command.commands.flatMap(allBelow),
];
