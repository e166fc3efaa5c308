import { Argument, Command } from "commander";
import type { DescribedCommand } from "./command-tree";
import { completionScript, SHELLS, type ShellName } from "./completion-scripts";
import { printDocument } from "./output";

/** `warden completion`. @param describe describes the whole program, which only this command needs */
export const completionCommand = (describe: () => DescribedCommand): Command =>
  new Command("completion")
    .description("print the script that teaches a shell the commands and options")
    .addArgument(new Argument("<shell>", "the shell").choices(SHELLS))
    .addHelpText(
      "after",
      `
Examples:
  warden completion bash   source <(warden completion bash), in .bashrc
  warden completion zsh    into a file _warden in a folder of $fpath
  warden completion fish   into ~/.config/fish/completions/warden.fish`,
    )
    .action((shell: ShellName) => printDocument(completionScript(shell, describe())));
