import { dirname, join, relative } from "node:path/posix";
import { fenced } from "../text/markdown";
import type { Prose, Shell } from "./prose";

/** Where a command is typed. */
export interface Place {
  /** Completes a sentence that begins with "On": the workstation, or a host and how to reach it. */
  readonly name: Prose;
  /** Name of the host in the site; undefined for the workstation. */
  readonly host: string | undefined;
}

/** A command in a runbook, with its output. */
export interface Command {
  readonly kind: "command";
  readonly place: Place;
  readonly run: Shell;
  /** Its output when all is well, with "…" for any text; undefined if there is nothing worth reading. */
  readonly expected: string | undefined;
  /** Why it cannot be run in the lab, so that only its syntax is tested; undefined for the others. */
  readonly notRun: string | undefined;
}

export type Block =
  | { readonly kind: "heading"; readonly level: 2 | 3; readonly text: Prose }
  | { readonly kind: "paragraph"; readonly text: Prose }
  | { readonly kind: "list"; readonly ordered: boolean; readonly items: readonly Prose[] }
  | { readonly kind: "table"; readonly header: readonly Prose[]; readonly rows: readonly (readonly Prose[])[] }
  | { readonly kind: "code"; readonly language: string; readonly text: string }
  | { readonly kind: "image"; readonly text: Prose; readonly target: string }
  | Command;

/** A page of docs/. */
export interface Document {
  /** Path below docs/, for example "runbooks/restore.md". */
  readonly path: string;
  readonly title: Prose;
  readonly body: readonly Block[];
}

export const heading = (text: Prose, level: 2 | 3 = 2): Block => ({ kind: "heading", level, text });
export const paragraph = (text: Prose): Block => ({ kind: "paragraph", text });
export const list = (...items: readonly Prose[]): Block => ({ kind: "list", ordered: false, items });
export const steps = (...items: readonly Prose[]): Block => ({ kind: "list", ordered: true, items });
export const table = (header: readonly Prose[], rows: readonly (readonly Prose[])[]): Block => ({
  kind: "table",
  header,
  rows,
});
export const code = (language: string, text: string): Block => ({ kind: "code", language, text });

export const command = (
  place: Place,
  run: Shell,
  { expected, notRun }: { readonly expected?: string; readonly notRun?: string } = {},
): Command => ({ kind: "command", place, run, expected, notRun });

/** The first line of every generated page, which says where to edit instead. */
export const GENERATED_PAGE = "<!-- Generated from the site by `npm run docs`: edit the site, or handbook/. -->";

/** Which pages are generated, and how these link to the others. */
export interface PageSet {
  /** Paths of all files that are generated together with the page. */
  readonly generated: ReadonlySet<string>;
  /** Relative path from the generated pages to the hand-written ones; "" for the same folder. */
  readonly handwritten: string;
}

const ALONE: PageSet = { generated: new Set(), handwritten: "" };

const resolveLinks = (markdown: string, from: string, { generated, handwritten }: PageSet): string =>
  markdown.replace(/\]\(docs:([^)#]*)(#[^)]*)?\)/g, (_, target: string, anchor = "") => {
    const where = generated.has(target) ? target : join(handwritten, target);
    const path = target === from ? "" : relative(dirname(from), where);
    return `](${path}${anchor})`;
  });

const row = (cells: readonly Prose[]): string =>
  `| ${cells.map(({ markdown }) => markdown.replace(/(?<!\\)\|/g, "\\|")).join(" | ")} |`;

const rendered = (block: Block): string => {
  switch (block.kind) {
    case "heading":
      return `${"#".repeat(block.level)} ${block.text.markdown}`;
    case "paragraph":
      return block.text.markdown;
    case "list":
      return block.items
        .map(({ markdown }, index) => `${block.ordered ? `${index + 1}.` : "-"} ${markdown}`)
        .join("\n");
    case "table":
      return [row(block.header), `|${" --- |".repeat(block.header.length)}`, ...block.rows.map(row)].join("\n");
    case "code":
      return fenced(block.language, block.text);
    case "image":
      return `![${block.text.markdown}](docs:${block.target})`;
    case "command":
      return [
        fenced("sh", block.run.text),
        ...(block.expected === undefined ? [] : ["Expected:", fenced("text", block.expected)]),
      ].join("\n\n");
  }
};

/** Says where commands are typed, once for consecutive commands under the same heading. */
const withPlaces = (body: readonly Block[]): string[] => {
  let place: string | undefined;
  return body.flatMap((block) => {
    if (block.kind === "heading") place = undefined;
    if (block.kind !== "command" || block.place.name.markdown === place) return [rendered(block)];
    place = block.place.name.markdown;
    return [`On ${place}:`, rendered(block)];
  });
};

/** A document as Markdown, with a trailing line feed. */
export const render = ({ path, title, body }: Document, surroundings: PageSet = ALONE): string =>
  resolveLinks(`${[GENERATED_PAGE, `# ${title.markdown}`, ...withPlaces(body)].join("\n\n")}\n`, path, surroundings);

/** The commands in a document, in order. */
export const commandsOf = ({ body }: Document): Command[] =>
  body.filter((block): block is Command => block.kind === "command");
