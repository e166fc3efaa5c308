import { quote } from "../text/shell-word";
import { allBelow, type DescribedCommand, type DescribedOption } from "./command-tree";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type ShellName = (typeof SHELLS)[number];

/** The names of the program: the package installs it under both. */
const PROGRAMS = ["warden", "registry-warden"];

const lastWord = (name: string): string => name.split(" ").pop() ?? "";

/** What may follow a command, apart from its options: subcommands, and the values of its arguments. */
const followers = ({ commands, arguments: given }: DescribedCommand): { word: string; description: string }[] => [
  ...commands.map(({ name, description }) => ({ word: lastWord(name), description })),
  ...given.flatMap(({ choices, description }) => choices.map((word) => ({ word, description }))),
];

const words = (command: DescribedCommand): string =>
  [...followers(command).map(({ word }) => word), ...command.options.flatMap(({ names }) => names)].join(" ");

/** One branch of a shell's `case`. */
const arm = (patterns: readonly string[], action: string): string =>
  `    ${patterns.map(quote).join(" | ")}) ${action} ;;`;

/** https://www.gnu.org/software/bash/manual/html_node/Programmable-Completion.html */
const bash = (root: DescribedCommand): string => {
  const commands = allBelow(root);
  const valued = commands.flatMap(({ name, options }) =>
    options
      .filter(({ takesValue }) => takesValue)
      .map(({ names, choices }) => ({ patterns: names.map((form) => `${name} ${form}`), choices })),
  );
  const steps = commands.flatMap((command) =>
    command.commands.map(({ name }) => arm([name], `command=${quote(name)}`)),
  );
  return `# Completion of bash for warden: source <(warden completion bash)
_warden() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} command=${quote(root.name)} word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$command $word" in
${steps.join("\n")}
    esac
  done
  case "$command $previous" in
${valued.map(({ patterns, choices }) => arm(patterns, choices.length === 0 ? "COMPREPLY=(); return" : `mapfile -t COMPREPLY < <(compgen -W ${quote(choices.join(" "))} -- "$current"); return`)).join("\n")}
  esac
  case "$command" in
${commands.map((command) => arm([command.name], `mapfile -t COMPREPLY < <(compgen -W ${quote(words(command))} -- "$current")`)).join("\n")}
  esac
}
complete -o default -F _warden ${PROGRAMS.join(" ")}
`;
};

/** https://zsh.sourceforge.io/Doc/Release/Completion-System.html */
const zsh = (root: DescribedCommand): string => {
  const commands = allBelow(root);
  const steps = commands.flatMap((command) =>
    command.commands.map(({ name }) => arm([name], `command=${quote(name)}`)),
  );
  // A colon separates a word from its description.
  const described = (word: string, description: string): string =>
    quote(`${word.replaceAll(":", "\\:")}:${description}`);
  const candidates = (command: DescribedCommand): string =>
    [
      ...followers(command).map(({ word, description }) => described(word, description)),
      ...command.options.flatMap(({ names, description }) => names.map((form) => described(form, description))),
    ].join(" ");
  const chosen = commands.flatMap(({ name, options }) =>
    options
      .filter(({ takesValue }) => takesValue)
      .map(({ names, choices }) =>
        arm(
          names.map((form) => `${name} ${form}`),
          choices.length === 0 ? "_files; return" : `compadd -- ${choices.map(quote).join(" ")}; return`,
        ),
      ),
  );
  return `#compdef ${PROGRAMS.join(" ")}
# Completion of zsh for warden: warden completion zsh >FOLDER/_warden, with a folder of $fpath. zsh runs it at the first use.
_warden() {
  local command=${quote(root.name)} word
  local -a candidates
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "$command $word" in
${steps.join("\n")}
    esac
  done
  case "$command \${words[CURRENT-1]}" in
${chosen.join("\n")}
  esac
  case "$command" in
${commands.map((command) => arm([command.name], `candidates=(${candidates(command)})`)).join("\n")}
  esac
  _describe command candidates
  _files
}
_warden "$@"
`;
};

/** https://fishshell.com/docs/current/completions.html: in single quotes only the quote and the backslash are special. */
const fishQuote = (text: string): string => `'${text.replace(/[\\']/g, "\\$&")}'`;

const fish = (root: DescribedCommand): string => {
  const condition = ({ name }: DescribedCommand): string => ["__warden_at", ...name.split(" ").slice(1)].join(" ");
  const option = (command: DescribedCommand, { names, takesValue, choices, description }: DescribedOption): string => {
    const forms = names
      .map((form) => (form.startsWith("--") ? `-l ${form.slice(2)}` : `-s ${form.slice(1)}`))
      .join(" ");
    const values = !takesValue ? "" : choices.length === 0 ? " -r" : ` -x -a ${fishQuote(choices.join(" "))}`;
    return `complete -c $program -n ${fishQuote(condition(command))} ${forms}${values} -d ${fishQuote(description)}`;
  };
  const lines = allBelow(root).flatMap((command) => [
    ...followers(command).map(
      ({ word, description }) =>
        `complete -c $program -n ${fishQuote(condition(command))} -f -a ${fishQuote(word)} -d ${fishQuote(description)}`,
    ),
    ...command.options.map((each) => option(command, each)),
  ]);
  return `# Completion of fish for warden: warden completion fish | source
# Whether the words before the cursor lead to this command; without one, whether none is there yet.
function __warden_at
    set -l words (commandline -opc | string match --invert -- '-*')
    if test (count $argv) -eq 0
        test (count $words) -eq 1
    else
        set -l last (math (count $argv) + 1)
        test "$words[2..$last]" = "$argv"
    end
end
for program in ${PROGRAMS.join(" ")}
${lines.map((line) => `    ${line}`).join("\n")}
end
`;
};

/** The completion script of a shell for the commands and options of warden. */
export const completionScript = (shell: ShellName, root: DescribedCommand): string =>
  ({ bash, zsh, fish })[shell](root);
