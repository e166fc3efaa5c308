import { quote } from "../text/shell-word";

type Value = string | readonly string[] | Readonly<{ [key: string]: string }>;

/** Shell variables by name; a list becomes a bash array, a record an associative one. */
export type Settings = Readonly<Record<string, Value>>;

const isList = (value: Value): value is readonly string[] => Array.isArray(value);

const assignment = (name: string, value: Value): string => {
  if (typeof value === "string") return `${name}=${quote(value)}\n`;
  if (isList(value)) return `${name}=(${value.map(quote).join(" ")})\n`;
  const entries = Object.entries(value).map(([key, each]) => `[${quote(key)}]=${quote(each)}`);
  // Global, so that the program can also be sourced from within a function.
  return `declare -gA ${name}=(${entries.join(" ")})\n`;
};

/** In the given order, one on each line; bash(1), "Parameters" and "Arrays". */
export const assignments = (settings: Settings): string =>
  Object.entries(settings)
    .map(([name, value]) => assignment(name, value))
    .join("");
