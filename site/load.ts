import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, extname, join, relative, resolve } from "node:path";
import type { z } from "zod";
import { isJsonObject } from "../text/json-object";
import { type Site, siteSchema } from "./schema";

/** Every error in a site, one line each. */
export class SiteError extends Error {
  readonly code = "bad-site";
  /** What the operator can do about it; each error has its own hint. */
  readonly hint = "correct the site, or name another with --site or WARDEN_SITE";

  constructor(readonly errors: readonly string[]) {
    super(errors.join("\n"));
    this.name = "SiteError";
  }
}

/** `hosts[0].resolver.nameservers`, as written in the site's file. */
const field = (path: readonly PropertyKey[]): string =>
  path.reduce<string>(
    (text, key) => (typeof key === "number" ? `${text}[${key}]` : text === "" ? String(key) : `${text}.${String(key)}`),
    "",
  ) || "site";

const valueAt = (input: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key], input);

/** Long values are truncated: the path says where to find them. Functions and the like have no JSON form. */
const given = (value: unknown): string => {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
};

const errorOf = (input: unknown, issue: z.core.$ZodIssue): string => {
  const value = valueAt(input, issue.path);
  // The message of a rule over an object names what it found; printing the whole object would obscure that.
  const ruleOverObject = issue.code === "custom" && isJsonObject(value);
  return `${field(issue.path)}: ${ruleOverObject ? "" : `given ${given(value)}; `}${issue.message}`;
};

/** The name of a site that has none: it must be the same on every machine. */
const UNNAMED = "site";

/**
 * Turns an operator's input into a site.
 *
 * @param name for a site without one; default: "site"
 * @throws SiteError with every error, each with its path, the given value, what is allowed and the hint
 */
export const parseSite = (input: unknown, name: string = UNNAMED): Site => {
  const result = siteSchema.safeParse(input);
  if (result.success) return { ...result.data, name: result.data.name ?? name };
  throw new SiteError(result.error.issues.map((issue) => errorOf(input, issue)));
};

const root = resolve(__dirname, "..");

/** What a fork adds at the top of its checkout; upstream never has this file. */
const OWN = "site.ts";

/** The site that ships with the product. */
export const REFERENCE = resolve(root, "site/reference.ts");

/** How a site was selected: by --site, by WARDEN_SITE, by the presence of `site.ts`, or by default. */
export type SelectedBy = "option" | "environment" | "own-file" | "nobody";

export interface Selection {
  /** Absolute path. */
  readonly file: string;
  readonly by: SelectedBy;
}

/** Every environment variable with our prefix. */
const VARIABLES = ["WARDEN_SITE", "WARDEN_LAB"];

/** Insertions, deletions and replacements of a character that turn one text into the other. */
const distance = (one: string, other: string): number => {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (const [line, character] of [...one].entries()) {
    const next = [line + 1];
    for (let column = 1; column <= other.length; column++)
      next.push(
        Math.min(
          (row[column] ?? 0) + 1,
          (next[column - 1] ?? 0) + 1,
          (row[column - 1] ?? 0) + (character === other[column - 1] ? 0 : 1),
        ),
      );
    row = next;
  }
  return row.at(-1) ?? 0;
};

const plainName = (name: string): string => name.toUpperCase().replace(/[^A-Z]/g, "");

/** Misspelled variables that were meant to select a site and would be ignored silently. */
const mistypedVariables = (environment: NodeJS.ProcessEnv): string[] =>
  Object.keys(environment)
    .filter((name) => !VARIABLES.includes(name))
    .filter(
      (name) =>
        /^WARDEN_?SITE/i.test(name) || (/^W/i.test(name) && distance(plainName(name), plainName("WARDEN_SITE")) <= 2),
    )
    .map(
      (name) => `site: given the environment variable ${name}, which nothing reads; allowed is WARDEN_SITE: rename it`,
    );

const isOwn = (name: string): boolean => /^sites?\.(ts|mts|cts|tsx|js|mjs|cjs|json)$/i.test(name);

/**
 * The site to use: the argument (`--site`), WARDEN_SITE, `site.ts` at the top of the checkout, or the reference site, in
 * this order.
 *
 * @throws SiteError when the operator seems to mean a site that would not be read
 */
export const selectSite = (
  option?: string,
  { environment = process.env, checkout = root }: { environment?: NodeJS.ProcessEnv; checkout?: string } = {},
): Selection => {
  if (option !== undefined && option !== "") return { file: resolve(option), by: "option" };
  const variable = environment.WARDEN_SITE;
  if (variable !== undefined && variable !== "") return { file: resolve(variable), by: "environment" };
  const files = existsSync(checkout) ? readdirSync(checkout).filter(isOwn) : [];
  const near = files.filter((name) => name !== OWN);
  const errors = [
    ...mistypedVariables(environment),
    ...(files.includes(OWN) ? [] : near).map(
      (name) =>
        `site: found ${name} at the top of the checkout, which is not read; allowed is ${OWN} there: rename it, or name it with --site`,
    ),
  ];
  if (errors.length > 0) throw new SiteError(errors);
  return files.includes(OWN) ? { file: resolve(checkout, OWN), by: "own-file" } : { file: REFERENCE, by: "nobody" };
};

/** The file of the selected site: see selectSite. */
export const siteFile = (option?: string): string => selectSite(option).file;

/** A file's path relative to the working directory. */
export const shownFile = (file: string): string => {
  const path = relative(process.cwd(), file);
  return path.startsWith("..") || path === "" ? file : path;
};

/** `small` for examples/small/site.ts, `home` for sites/home.ts; independent of the machine. */
const nameOf = (file: string): string => {
  const own = basename(file, extname(file));
  const name = own === "site" && dirname(file) !== root ? basename(dirname(file)) : own;
  const label = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 63)
    .replace(/^-+|-+$/g, "");
  return label || UNNAMED;
};

/** The position in the file, if one is known: `site.ts:3:5`. */
const position = (file: string, line: number | string, column: number | string): string =>
  `${shownFile(file)}:${line}:${column}`;

/** Line and column of a character in a text, both from 1. */
const positionIn = (text: string, index: number): [line: number, column: number] => {
  const before = text.slice(0, index).split("\n");
  return [before.length, (before.at(-1) ?? "").length + 1];
};

const readJson = (file: string): unknown => {
  const text = readFileSync(file, "utf8");
  try {
    return JSON.parse(text);
  } catch (error) {
    const [reason = ""] = (error as Error).message.split(/ (?:in JSON )?at position | \(line /);
    const index = /at position (\d+)/.exec((error as Error).message)?.[1];
    const [line, column] = positionIn(text, index === undefined ? text.length : Number(index));
    throw new SiteError([
      `site: ${position(file, line, column)} cannot be loaded (${reason}); allowed is one JSON document`,
    ]);
  }
};

/** The reason as the parser put it, and the position that it names. */
const unreadable = (file: string, error: unknown): SiteError => {
  const message = error instanceof Error ? error.message : String(error);
  const stack = error instanceof Error ? (error.stack ?? "") : "";
  // esbuild, with which tsx reads TypeScript, and swc, with which the tests do.
  const [, source, line, column, reason] = /^\s*(.+):(\d+):(\d+): ERROR: (.+)$/m.exec(message) ?? [];
  const known =
    source !== undefined && line !== undefined && column !== undefined && reason !== undefined
      ? { place: position(resolve(source), line, Number(column) + 1), reason }
      : { place: thrownAt(file, stack) ?? shownFile(file), reason: message.split("\n", 1)[0] ?? "" };
  return new SiteError([
    `site: ${known.place} cannot be loaded (${known.reason}); allowed is a module that exports a site by default`,
  ]);
};

/** The first stack line that is in the file; for a syntax error, the very first line. */
const thrownAt = (file: string, stack: string): string | undefined => {
  const [, line, column] =
    new RegExp(`${file.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")}:(\\d+)(?::(\\d+))?`).exec(stack) ?? [];
  return line === undefined ? undefined : `${shownFile(file)}:${line}${column === undefined ? "" : `:${column}`}`;
};

const exported = (file: string, module: unknown): unknown => {
  const names = isJsonObject(module) ? Object.keys(module) : [];
  const site = (module as { default?: unknown } | undefined)?.default;
  const refuse = (what: string, hint: string): never => {
    throw new SiteError([
      `site: given ${site === undefined ? "nothing" : typeof site}, ${shownFile(file)} ${what}; allowed is a site as the default export: ${hint}`,
    ]);
  };
  if (site === undefined)
    refuse(
      `has no default export${names.length === 0 ? "" : `, only ${names.join(", ")}`}`,
      'write "export default defineSite({ … })"',
    );
  if (typeof site === "function") refuse("exports a function by default", "call it there, and export what it returns");
  if (typeof (site as PromiseLike<unknown>)?.then === "function")
    refuse("exports a promise by default", "read what it waits for with readFileSync, and export the site itself");
  return site;
};

/**
 * Loads and parses a site: a TypeScript or JavaScript module with the site as its default export, or JSON.
 *
 * @throws SiteError also if the file cannot be read
 */
export const loadSite = (file: string = siteFile()): Site => {
  if (!existsSync(file)) throw new SiteError([absent(file)]);
  if (file.endsWith(".json")) return parseSite(readJson(file), nameOf(file));
  let module: unknown;
  try {
    module = createRequire(__filename)(file);
  } catch (error) {
    throw unreadable(file, error);
  }
  return parseSite(exported(file, module), nameOf(file));
};

const absent = (file: string): string => {
  const folder = dirname(file);
  const near = existsSync(folder)
    ? readdirSync(folder).filter((name) => distance(name.toLowerCase(), basename(file).toLowerCase()) <= 2)
    : [];
  const hint =
    near.length === 0
      ? "check --site and WARDEN_SITE"
      : `there is ${near.map((name) => shownFile(join(folder, name))).join(", ")}`;
  return `site: given ${JSON.stringify(shownFile(file))}, which does not exist; allowed is a file that exports a site: ${hint}`;
};
