import { type Command, commandsOf, type Document } from "../../handbook/document";
import { DRILLS } from "../../handbook/drills";
import { expectedPattern } from "./expected";
import type { Outcome } from "./hosts";

/** What an operator types when a page prompts for it: by the variable that receives it. */
export type PromptAnswers = Readonly<Record<string, string>>;

/** A command from a page that was typed, with its result. */
export interface Typed extends Outcome {
  readonly command: Command;
  /** It succeeded, and printed what the page expects. */
  readonly asExpected: boolean;
}

/** Where commands of a page are typed, one after another. */
export interface Typist {
  type(command: Command, answers?: PromptAnswers): Promise<Typed>;
}

/** Compares the result of a command with what its page expects. */
export const typed = (command: Command, { status, output }: Outcome): Typed => ({
  command,
  status,
  output,
  asExpected: status === 0 && (command.expected === undefined || expectedPattern(command.expected).test(output.trim())),
});

/** The commands below a heading of a page, down to the next heading of any level. Throws if there are none. */
export const section = (page: Document, title: string): Command[] => {
  const from = page.body.findIndex((block) => block.kind === "heading" && block.text.markdown === title);
  const rest = page.body.slice(from + 1);
  const to = rest.findIndex((block) => block.kind === "heading");
  const commands = from < 0 ? [] : commandsOf({ ...page, body: rest.slice(0, to < 0 ? undefined : to) });
  if (commands.length === 0) throw new Error(`${page.path} has no command below ${title}`);
  return commands;
};

/** The commands for one branch of the page, selected by a part of their text. Throws if there are none. */
export const those = (commands: readonly Command[], part: RegExp): Command[] => {
  const found = commands.filter(({ run }) => part.test(run.text));
  if (found.length === 0) throw new Error(`no command has ${part}`);
  return found;
};

const shown = ({ command, status, output }: Typed): string => `${command.run.text}\n  status ${status}: ${output}`;

/** An incident that is resolved using only the pages. The tests' output shows what that took. */
export class Drill {
  readonly #title: keyof typeof DRILLS;
  readonly #typist: Typist;
  #commands = 0;
  readonly #began = Date.now();

  constructor(title: keyof typeof DRILLS, typist: Typist) {
    this.#title = title;
    this.#typist = typist;
  }

  /** Types diagnostic commands. @returns results that differ from the page; throws if there are none: the page finds nothing */
  async finds(commands: readonly Command[], answers?: PromptAnswers): Promise<Typed[]> {
    const wrong = (await this.#type(commands, answers)).filter(({ asExpected }) => !asExpected);
    if (wrong.length === 0)
      throw new Error(`the page finds nothing wrong with:\n${commands.map(({ run }) => run.text).join("\n")}`);
    return wrong;
  }

  /** Types commands that fix it, or verify the fix. @returns the last output; throws if one differs from the page */
  async does(commands: readonly Command[], answers?: PromptAnswers): Promise<string> {
    const outcomes = await this.#type(commands, answers);
    const wrong = outcomes.filter(({ asExpected }) => !asExpected);
    if (wrong.length > 0) throw new Error(`not as the page expects:\n${wrong.map(shown).join("\n")}`);
    return outcomes.at(-1)?.output ?? "";
  }

  /** To be called when the incident is over, and that is verified. */
  ends(): void {
    const seconds = Math.round((Date.now() - this.#began) / 1000);
    process.stdout.write(`drill: ${this.#title}: ${this.#commands} commands, ${seconds} s\n`);
    const said = DRILLS[this.#title]?.commands;
    if (said !== this.#commands)
      throw new Error(
        `${this.#title} took ${this.#commands} commands, and handbook/drills.ts says ${said ?? "nothing"}`,
      );
  }

  async #type(commands: readonly Command[], answers?: PromptAnswers): Promise<Typed[]> {
    const outcomes: Typed[] = [];
    for (const command of commands) outcomes.push(await this.#typist.type(command, answers));
    this.#commands += commands.length;
    return outcomes;
  }
}
