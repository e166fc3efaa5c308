import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import type { z } from "zod";
import { type Site, siteSchema } from "./schema";

/** Everything that is wrong with a site, one line each. */
export class SiteError extends Error {
  readonly code = "bad-site";
  /** What the operator can do about it; each mistake names its own hint. */
  readonly hint = "correct the site, or name another with --site or WARDEN_SITE";

  constructor(readonly mistakes: readonly string[]) {
    super(mistakes.join("\n"));
    this.name = "SiteError";
  }
}

/** `hosts[0].resolver.nameservers`, as one would write it in the site's file. */
const field = (path: readonly PropertyKey[]): string =>
  path.reduce<string>(
    (text, key) => (typeof key === "number" ? `${text}[${key}]` : text === "" ? String(key) : `${text}.${String(key)}`),
    "",
  ) || "site";

const valueAt = (input: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key], input);

const isObject = (value: unknown): boolean => typeof value === "object" && value !== null && !Array.isArray(value);

/** Long values are cut: the path says where to find them. Functions and the like have no JSON form. */
const given = (value: unknown): string => {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
};

const mistake = (input: unknown, issue: z.core.$ZodIssue): string => {
  const value = valueAt(input, issue.path);
  // A rule over an object names what it found; the whole object would drown it.
  const ruleOverObject = issue.code === "custom" && isObject(value);
  return `${field(issue.path)}: ${ruleOverObject ? "" : `given ${given(value)}; `}${issue.message}`;
};

/**
 * Turns an operator's input into a site.
 *
 * @throws SiteError with every mistake, each with its path, what was given, what is allowed and the hint
 */
export const parseSite = (input: unknown): Site => {
  const result = siteSchema.safeParse(input);
  if (result.success) return result.data;
  throw new SiteError(result.error.issues.map((issue) => mistake(input, issue)));
};

const root = resolve(__dirname, "..");

/**
 * The file of the selected site: the argument (`--site`), WARDEN_SITE, `site.ts` at the top of the checkout, or the
 * reference site, in this order. A fork adds `site.ts`, a file that upstream never touches.
 */
export const siteFile = (selected: string | undefined = process.env.WARDEN_SITE): string => {
  if (selected !== undefined && selected !== "") return resolve(selected);
  const own = resolve(root, "site.ts");
  return existsSync(own) ? own : resolve(root, "site/reference.ts");
};

/**
 * Loads and parses a site: a TypeScript or JavaScript module with the site as its default export, or JSON.
 *
 * @throws SiteError also where the file cannot be read
 */
export const loadSite = (file: string = siteFile()): Site => {
  if (!existsSync(file))
    throw new SiteError([
      `site: given ${JSON.stringify(file)}, which does not exist; allowed is a file that exports a site: check --site and WARDEN_SITE`,
    ]);
  let module: unknown;
  try {
    module = createRequire(__filename)(file);
  } catch (error) {
    const reason = error instanceof Error ? error.message.split("\n", 1)[0] : String(error);
    throw new SiteError([
      `site: ${file} cannot be loaded (${reason}); allowed is a module that exports a site by default`,
    ]);
  }
  return parseSite(file.endsWith(".json") ? module : (module as { default?: unknown }).default);
};
