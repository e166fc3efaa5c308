import type * as z from "zod";
import { type RetentionPolicy, retention } from "../../site/retention";
import { StorageRefusal } from "./refusal";

/** Keeps the newest tags of every repository, and those that match the patterns. @throws StorageRefusal `policy` */
export const keepNewest = (newest: number, keep: string[]): RetentionPolicy =>
  parsePolicy({ rules: [{ repositories: "**", keepNewest: newest, ...(keep.length > 0 ? { keep } : {}) }] });

/** @throws StorageRefusal `policy`, with every error in one line */
export const parsePolicy = (json: unknown): RetentionPolicy => {
  const parsed = retention.safeParse(json, { reportInput: true });
  if (parsed.success) return parsed.data;
  throw new StorageRefusal(
    "policy",
    `the policy is refused: ${parsed.error.issues.map(describe).join("; ")}`,
    "correct it and run this again: nothing was changed",
  );
};

const describe = (issue: z.core.$ZodIssue): string => {
  const where = ["policy", ...issue.path.map(String)].join(".");
  if (issue.code === "custom" && issue.params?.unknownFields)
    return `${where} has the ${issue.message.replace("; allowed", ": allowed")}`;
  return `${where} is ${JSON.stringify(issue.input) ?? "missing"}: ${issue.message}`;
};

/** Whether a name matches a pattern: `*` is any text without a slash, `**` any text. */
export const matchesPattern = (pattern: string, name: string): boolean => {
  const source = pattern
    .split(/(\*+)/)
    .map((part) => (part === "*" ? "[^/]*" : part.startsWith("**") ? ".*" : part.replace(/[.\\+?^${}()|[\]]/g, "\\$&")))
    .join("");
  return new RegExp(`^${source}$`).test(name);
};
