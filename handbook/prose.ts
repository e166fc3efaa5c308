import { codeSpan } from "../text/markdown";
import { shellWord } from "../text/shell-word";

/** Markdown on one line. It is made by `md` alone, so that no value of a site is read as markup. */
export class Prose {
  constructor(readonly markdown: string) {}
}

type ProseValue = string | number | Prose | readonly (string | number | Prose)[];

const prose = (value: ProseValue): string => {
  if (value instanceof Prose) return value.markdown;
  if (typeof value === "string") return codeSpan(value);
  if (typeof value === "number") return String(value);
  return value.map(prose).join(", ");
};

/** Prose with values in it: a string becomes a code span, a list is joined by commas, Prose stays. */
export const md = (parts: TemplateStringsArray, ...values: readonly ProseValue[]): Prose =>
  new Prose(parts.map((part, index) => (index === 0 ? part : `${prose(values[index - 1] ?? "")}${part}`)).join(""));

/** Free text of a site, shown as it is and not as code. */
export const plain = (text: string): Prose => new Prose(text.replace(/[\\`*_{}[\]<>#|&~]/g, "\\$&"));

/** A link to another document, by its path below docs/, with a heading of it after "#" where one is meant. */
export const link = (label: string | Prose, target: string): Prose =>
  new Prose(`[${label instanceof Prose ? label.markdown : plain(label).markdown}](docs:${target})`);

/** Shell text. It is made by `sh` alone, so that every value of a site is quoted. */
export class Shell {
  constructor(readonly text: string) {}
}

type ShellValue = string | number | Shell | readonly (string | number | Shell)[];

const shell = (value: ShellValue): string => {
  if (value instanceof Shell) return value.text;
  return typeof value === "object" ? value.map(shell).join(" ") : shellWord(String(value));
};

/** A command with values in it: each becomes one word, a list several, an empty one none at all, Shell stays. */
export const sh = (parts: TemplateStringsArray, ...values: readonly ShellValue[]): Shell =>
  new Shell(
    parts.reduce((before, part, index) => {
      const value = values[index - 1] ?? "";
      return Array.isArray(value) && value.length === 0 ? before.trimEnd() + part : before + shell(value) + part;
    }),
  );
