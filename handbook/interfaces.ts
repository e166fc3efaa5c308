import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  CLEAN_UP_METRICS,
  HOST_METRICS,
  MAINTENANCE_METRICS,
  METRICS,
  PUSHGATEWAY_METRICS,
} from "../monitoring/metrics";
import { CLEAN_UP_VARIABLES } from "../registry/clean-up/environment";
import { PROBE_VARIABLES } from "../registry/probe/environment";
import { type Block, type Document, heading, paragraph, table } from "./document";
import { md, plain } from "./prose";

export const INTERFACES = "interfaces.md";

const ROOT = join(__dirname, "..");

/** The JSON documents: the command that prints each, and the types that make it up. */
const DOCUMENTS: readonly { readonly command: string; readonly file: string; readonly types: readonly string[] }[] = [
  { command: "warden verify --json", file: "registry/oci/walk.ts", types: ["Report"] },
  { command: "warden scan --json", file: "registry/storage/scan.ts", types: ["ScanReport"] },
  { command: "warden diagnose --json", file: "registry/diagnose.ts", types: ["DiagnosisReport"] },
  { command: "warden prune --json", file: "registry/storage/prune.ts", types: ["PruneReport"] },
  {
    command: "warden prune REGISTRY --json",
    file: "registry/remote/prune.ts",
    types: ["RemotePruneReport"],
  },
  { command: "warden prune --undo JOURNAL --json", file: "registry/remote/undo.ts", types: ["RemoteUndoReport"] },
  { command: "warden repair --json", file: "registry/storage/repair.ts", types: ["RepairReport"] },
  { command: "warden workloads --json", file: "registry/workloads/report.ts", types: ["WorkloadsReport"] },
  { command: "warden drift --json, warden dns verify --json", file: "hosts/finding.ts", types: ["HostReport"] },
];

interface JsonField {
  readonly path: string;
  readonly type: string;
  readonly meaning: string;
}

/** A member of an object type, as in its source. */
interface Member {
  readonly name: string;
  readonly type: string;
  readonly meaning: string;
}

interface Declaration {
  readonly file: string;
  readonly inherited: readonly string[];
  /** For an interface the text between its braces, for an alias its definition. */
  readonly text: string;
  readonly isInterface: boolean;
}

const COMMENT = /^\s*\/\*\*([\s\S]*?)\*\//;
const MEMBER = /^\s*(?:readonly )?(\w+\??): /;

/** The text up to the terminating semicolon, ignoring those within braces. */
const statementIn = (text: string): string => {
  let depth = 0;
  for (const [at, character] of [...text].entries()) {
    if ("{([".includes(character)) depth++;
    if ("})]".includes(character)) depth--;
    if (character === ";" && depth === 0) return text.slice(0, at);
  }
  return text;
};

/** The members of an object type, from the text between its braces. Not a parser: formatted code has only one shape. */
const membersIn = (inside: string): Member[] => {
  const members: Member[] = [];
  let rest = inside;
  let meaning = "";
  while (rest.trim() !== "") {
    const comment = COMMENT.exec(rest);
    const member = MEMBER.exec(rest);
    if (comment !== null) {
      meaning = (comment[1] ?? "")
        .replace(/^\s*\* ?/gm, "")
        .replace(/\s+/g, " ")
        .trim();
      rest = rest.slice(comment[0].length);
    } else if (member !== null) {
      const type = statementIn(rest.slice(member[0].length));
      members.push({ name: member[1] ?? "", type: type.trim(), meaning });
      rest = rest.slice(member[0].length + type.length + 1);
      meaning = "";
    } else throw new Error(`a type of a JSON document cannot be read from: ${rest.trim().slice(0, 80)}`);
  }
  return members;
};

/** Reads the fields of types from their sources, recursively. */
class Types {
  readonly #sources = new Map<string, string>();

  fieldsOf(file: string, name: string, path = "", within: readonly string[] = []): JsonField[] {
    const found = this.#declaration(file, name);
    if (found === undefined || within.includes(name)) return [];
    const inner = [...within, name];
    if (!found.isInterface) return this.#below(found.file, found.text, path, inner);
    const inherited = found.inherited.flatMap((each) => this.fieldsOf(found.file, each, path, inner));
    return [...inherited, ...this.#fields(found.file, found.text, path, inner)];
  }

  #fields(file: string, inside: string, path: string, within: readonly string[]): JsonField[] {
    return membersIn(inside).flatMap(({ name, type, meaning }) => {
      const isList = /\[\]$/.test(type);
      const below = this.#below(file, type, `${path}${name}${isList ? "[]" : ""}.`, within);
      const shown = below.length === 0 ? this.#text(file, type) : isList ? "list" : "object";
      return [{ path: `${path}${name}`, type: shown, meaning }, ...below];
    });
  }

  /** The fields below a type: of an object, of the elements of a list, or of a nullable type. */
  #below(file: string, type: string, path: string, within: readonly string[]): JsonField[] {
    const bare = type
      .replace(/^readonly /, "")
      .replace(/ \| null$/, "")
      .replace(/\[\]$/, "")
      .trim();
    if (/^\{[\s\S]*\}$/.test(bare)) return this.#fields(file, bare.slice(1, -1), path, within);
    return /^\w+$/.test(bare) ? this.fieldsOf(file, bare, path, within) : [];
  }

  /** A type in JSON terms: an alias is replaced with its definition, and a union is listed value by value. */
  #text(file: string, type: string): string {
    const values = /^\(typeof (\w+)\)\[number\]$/.exec(type)?.[1];
    if (values !== undefined) return this.#valuesOf(file, values);
    if (type.includes("|"))
      return type
        .replace(/\/\*[\s\S]*?\*\//g, "")
        .split("|")
        .map((each) => this.#text(file, each.trim()))
        .filter(Boolean)
        .join(" | ");
    if (/\[\]$/.test(type)) return `list of ${this.#text(file, type.replace(/^readonly /, "").replace(/\[\]$/, ""))}`;
    if (type.startsWith("`")) return "string";
    const found = /^\w+$/.test(type) ? this.#declaration(file, type) : undefined;
    return found === undefined || found.isInterface ? type : this.#text(found.file, found.text);
  }

  #valuesOf(file: string, name: string): string {
    const list = new RegExp(`const ${name} = \\[([^\\]]*)\\]`).exec(this.#source(file))?.[1] ?? "";
    return [...list.replace(/\/\*[\s\S]*?\*\//g, "").matchAll(/"[^"]*"/g)].map(([value]) => value).join(" | ");
  }

  #declaration(file: string, name: string): Declaration | undefined {
    const source = this.#source(file);
    const declared = new RegExp(
      `^(?:export )?interface ${name}(?: extends ([\\w, ]+))? \\{\\n([\\s\\S]*?)^\\}`,
      "m",
    ).exec(source);
    if (declared !== null) {
      const inherited = (declared[1] ?? "").split(", ").filter((each) => each !== "");
      return { file, inherited, text: declared[2] ?? "", isInterface: true };
    }
    const alias = new RegExp(`^(?:export )?type ${name} =([\\s\\S]*)`, "m").exec(source)?.[1];
    if (alias !== undefined) return { file, inherited: [], text: statementIn(alias).trim(), isInterface: false };
    const from = new RegExp(`^import [^;]*\\b${name}\\b[^;]* from "(\\.[^"]+)"`, "m").exec(source)?.[1];
    return from === undefined ? undefined : this.#declaration(join(file, "..", `${from}.ts`), name);
  }

  #source(file: string): string {
    const known = this.#sources.get(file) ?? readFileSync(join(ROOT, file), "utf8");
    this.#sources.set(file, known);
    return known;
  }
}

const described = (entries: Readonly<Record<string, string>>, header: string): Block =>
  table(
    [plain(header), plain("meaning")],
    Object.entries(entries).map(([name, meaning]) => [md`${name}`, plain(meaning)]),
  );

const documents = (types: Types): Block[] =>
  DOCUMENTS.flatMap(({ command, file, types: names }) => [
    heading(md`${command}`),
    table(
      [md`field`, md`type`, md`meaning`],
      names
        .flatMap((name) => types.fieldsOf(file, name))
        .map(({ path, type, meaning }) => [md`${path}`, md`${type}`, plain(meaning)]),
    ),
  ]);

/** The interfaces for other programs; none if the sources are not available, from which the page is made. */
export const interfaces = (): Document[] => {
  if (!existsSync(join(ROOT, "registry/oci/walk.ts"))) return [];
  const types = new Types();
  return [
    {
      path: INTERFACES,
      title: md`JSON documents, metrics and the variables of the CronJobs`,
      body: [
        paragraph(
          md`Each JSON document begins with ${'"version": 1'}. Fields may be added under it; none is renamed. Where a command could not do its work it is ${'{ "version": 1, "error": { "code", "message", "hint" } }'}, with the exit code 2, or 64 for wrong usage. Lists are sorted. ${"warden drift --json"} without a host prints a list of such documents, one a host.`,
        ),
        paragraph(
          md`${"warden verify --json"} adds ${"warden"} (the version), and ${"options"} (what was asked for, by the names of the options).`,
        ),
        ...documents(types),
        heading(md`Metrics of the probe`),
        described(METRICS, "metric"),
        paragraph(md`The Pushgateway adds to each group:`),
        described(PUSHGATEWAY_METRICS, "metric"),
        heading(md`Metrics of the maintenance`),
        described(MAINTENANCE_METRICS, "metric"),
        paragraph(
          md`Each managed host reports of itself, with the labels ${"host"}, and ${"delivery"} or ${"resolver"}:`,
        ),
        described(HOST_METRICS, "metric"),
        heading(md`Metrics of the clean-up over HTTP`),
        described(CLEAN_UP_METRICS, "metric"),
        heading(md`Variables of the probe`),
        described(PROBE_VARIABLES, "variable"),
        heading(md`Variables of the clean-up over HTTP`),
        described(CLEAN_UP_VARIABLES, "variable"),
      ],
    },
  ];
};
