import { z } from "zod";
import { StorageRefusal } from "./refusal";

const PATTERN =
  'allowed is a pattern such as "v1.*", where * stands for any characters but a slash and ** for any at all';

const pattern = z.string({ error: PATTERN }).regex(/^[\w./*-]+$/, { error: PATTERN });

const count = (least: number, what: string) =>
  z.int({ error: `allowed is ${what}` }).min(least, { error: `allowed is ${what}` });

const rule = z.strictObject({
  /** The repositories it is for. */
  repositories: pattern,
  /** How many tags stay, those that were pushed last. Never 0, so that no repository loses all it has. */
  keepNewest: count(1, "a whole number, 1 or more: a repository never loses every tag"),
  /** Tags that stay whatever their age. Default: none. */
  keep: z.array(pattern, { error: "allowed is a list of patterns" }).optional(),
  /** Tags pushed within so many hours stay. Default: age alone keeps none. */
  keepYoungerThanHours: count(1, "a whole number of hours, 1 or more").optional(),
  /** Manifests that no kept tag leads to stay for so many hours. Default: they go at once. */
  untaggedOlderThanHours: count(1, "a whole number of hours, 1 or more").optional(),
});

const policy = z.strictObject({
  /** Tags that stay in every repository. Default: none. */
  protect: z.array(pattern, { error: "allowed is a list of patterns" }).optional(),
  /** The first that names a repository decides; a repository that none names is left as it is. */
  rules: z.array(rule, { error: "allowed is a list of rules" }).min(1, { error: "allowed is at least one rule" }),
});

/** What a registry keeps. */
export type RetentionPolicy = z.output<typeof policy>;
export type RetentionRule = z.output<typeof rule>;

/** Keeps the newest tags of every repository, and those of the patterns. @throws StorageRefusal `policy` */
export function keepNewest(newest: number, keep: string[]): RetentionPolicy {
  return parsePolicy({ rules: [{ repositories: "**", keepNewest: newest, ...(keep.length > 0 ? { keep } : {}) }] });
}

/** @throws StorageRefusal `policy`, with every mistake in one line */
export function parsePolicy(json: unknown): RetentionPolicy {
  const parsed = policy.safeParse(json, { reportInput: true });
  if (parsed.success) return parsed.data;
  throw new StorageRefusal(
    "policy",
    `the policy is refused: ${parsed.error.issues.map(describe).join("; ")}`,
    "correct it and run this again: nothing was changed",
  );
}

function describe(issue: z.core.$ZodIssue): string {
  const where = ["policy", ...issue.path.map(String)].join(".");
  if (issue.code !== "unrecognized_keys")
    return `${where} is ${JSON.stringify(issue.input) ?? "missing"}: ${issue.message}`;
  const allowed = Object.keys(issue.path.length === 0 ? policy.shape : rule.shape);
  return `${where} has the unknown field ${issue.keys.map((key) => JSON.stringify(key)).join(", ")}: allowed are ${allowed.join(", ")}`;
}

/** Whether a name is one of a pattern's: `*` is any text without a slash, `**` any text. */
export function matchesPattern(pattern: string, name: string): boolean {
  const source = pattern
    .split(/(\*+)/)
    .map((part) => (part === "*" ? "[^/]*" : part.startsWith("**") ? ".*" : part.replace(/[.\\+?^${}()|[\]]/g, "\\$&")))
    .join("");
  return new RegExp(`^${source}$`).test(name);
}
