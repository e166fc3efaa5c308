import { codeSpan } from "../text/markdown";
import { shellWord } from "../text/shell-word";

/** Markdown on one line. Only `md` creates it, so no value of a site is interpreted as markup. */
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

/** Prose with interpolated values: a string becomes a code span, a list is joined by commas, and Prose stays as it is. */
export const md = (parts: TemplateStringsArray, ...values: readonly ProseValue[]): Prose =>
  new Prose(parts.map((part, index) => (index === 0 ? part : `${prose(values[index - 1] ?? "")}${part}`)).join(""));

/** Free text from a site, shown as text rather than code. */
export const plain = (text: string): Prose => new Prose(text.replace(/[\\`*_{}[\]<>#|&~]/g, "\\$&"));

/** A link to another document, by its path below docs/, optionally with a heading after "#". */
export const link = (label: string | Prose, target: string): Prose =>
  new Prose(`[${label instanceof Prose ? label.markdown : plain(label).markdown}](docs:${target})`);

/** Shell text. Only `sh` creates it, so every value of a site is quoted. */
export class Shell {
  constructor(readonly text: string) {}
}

type ShellValue = string | number | Shell | readonly (string | number | Shell)[];

const shell = (value: ShellValue): string => {
  if (value instanceof Shell) return value.text;
  return typeof value === "object" ? value.map(shell).join(" ") : shellWord(String(value));
};

/** A command with interpolated values: each becomes one word, a list several, an empty list none; Shell stays as it is. */
export const sh = (parts: TemplateStringsArray, ...values: readonly ShellValue[]): Shell =>
  new Shell(
    parts.reduce((before, part, index) => {
      const value = values[index - 1] ?? "";
      return Array.isArray(value) && value.length === 0 ? before.trimEnd() + part : before + shell(value) + part;
    }),
  );
