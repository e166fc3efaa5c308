import { code, type Document, heading, paragraph, table } from "../handbook/document";
import { md, plain } from "../handbook/prose";
import { allBelow, type DescribedCommand } from "./command-tree";

/** The exit codes, which are the same for all commands. */
export const EXIT_CODES: readonly (readonly [number, string])[] = [
  [0, "all well"],
  [1, "there are findings, or failures"],
  [2, "it could not do its work: one line on standard error says why, and what to do"],
  [64, "wrong usage"],
];

const synopsis = ({ name, usage, options, commands }: DescribedCommand): string =>
  [name, options.length > 0 ? "[options]" : "", commands.length > 0 ? "<command>" : usage].filter(Boolean).join(" ");

/** The page of docs/ with every command and its options. */
export const commandReference = (root: DescribedCommand): Document => ({
  path: "commands.md",
  title: md`Commands`,
  body: [
    paragraph(
      md`Run as ${"npm run -s warden -- …"} in a checkout, as ${"node warden.mjs …"} or ${"npx registry-warden …"} anywhere else. ${"--help"} says the same of one command, ${"warden completion bash"} teaches a shell all of it.`,
    ),
    table(
      [md`Exit code`, md`Meaning`],
      EXIT_CODES.map(([exitCode, meaning]) => [md`${exitCode}`, plain(meaning)]),
    ),
    ...allBelow(root)
      .slice(1)
      .filter(({ commands }) => commands.length === 0)
      .flatMap((command) => [
        heading(plain(command.name)),
        paragraph(plain(`${command.description}.`)),
        code("text", synopsis(command)),
        ...(command.arguments.length + command.options.length === 0
          ? []
          : [
              table(
                [md`Option`, md`Meaning`],
                [
                  ...command.arguments.map(({ name, description }) => [md`${`<${name}>`}`, plain(description)]),
                  ...command.options.map(({ flags, description, choices }) => [
                    md`${flags}`,
                    plain(choices.length === 0 ? description : `${description} (${choices.join(", ")})`),
                  ]),
                ],
              ),
            ]),
        ...(command.examples.length === 0
          ? []
          : [
              code(
                "sh",
                command.examples.map(({ run, does }) => (does === "" ? run : `${run}   # ${does}`)).join("\n"),
              ),
            ]),
      ]),
  ],
});

/** groff_man(7): a backslash is special, and so are a dot or a quote at the start of a line. */
const roff = (text: string): string =>
  text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^([.'])/gm, "\\&$1");

/** The manual page warden(1). */
export const manualPage = (root: DescribedCommand, version: string): string => {
  const option = (flags: string, description: string): string[] => [".TP", `.B ${roff(flags)}`, roff(description)];
  return [
    '.\\" Generated from the commands of warden.',
    `.TH WARDEN 1 "" "registry-warden ${version}" "User Commands"`,
    ".SH NAME",
    `warden \\- ${roff(root.description)}`,
    ".SH SYNOPSIS",
    ".B warden",
    ".I command",
    "[options]",
    ".SH COMMANDS",
    ...allBelow(root)
      .slice(1)
      .filter(({ commands }) => commands.length === 0)
      .flatMap((command) => [
        `.SS ${roff(synopsis(command))}`,
        roff(`${command.description}.`),
        ...command.arguments.flatMap(({ name, description }) => option(`<${name}>`, description)),
        ...command.options.flatMap(({ flags, description }) => option(flags, description)),
        ...command.examples.flatMap(({ run, does }) => [
          ".PP",
          ".nf",
          roff(`  ${run}`),
          ".fi",
          ...(does === "" ? [] : [roff(does)]),
        ]),
      ]),
    ".SH EXIT STATUS",
    ...EXIT_CODES.flatMap(([exitCode, meaning]) => option(String(exitCode), meaning)),
    "",
  ].join("\n");
};
