import { createHash } from "node:crypto";
import type { KubernetesObject } from "./kubernetes-object";

/** Something about an object that is not as the site has it. */
export interface ObjectDifference {
  /** The field, for example "spec.schedule". */
  readonly field: string;
  readonly expected: string;
  readonly actual: string;
}

type Fields = Readonly<Record<string, unknown>>;

/** What the API server or Terraform's provider fills in where nothing is said. */
const DEFAULTS: Fields = {
  defaultMode: 420,
  dnsPolicy: "ClusterFirst",
  mountPropagation: "None",
  schedulerName: "default-scheduler",
  terminationGracePeriodSeconds: 30,
  terminationMessagePath: "/dev/termination-log",
  terminationMessagePolicy: "File",
};

/** What the server keeps to itself, and an old name of `serviceAccountName` that it repeats. */
const IGNORED: ReadonlySet<string> = new Set(["apiVersion", "kind", "metadata", "status"]);
const ALIASES: ReadonlySet<string> = new Set(["serviceAccount"]);

/** A longer text was not written by hand. */
const LONGEST_TEXT = 16 * 1024;

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Whether a value says no more than if it were left out. */
const saysNothing = (value: unknown, key: string): boolean => {
  if (value === undefined || value === null || value === false || value === "") return true;
  if (Array.isArray(value)) return value.length === 0;
  if (isFields(value)) return Object.entries(value).every(([inner, each]) => saysNothing(each, inner));
  return ALIASES.has(key) || DEFAULTS[key] === value;
};

const shown = (value: unknown): string => {
  if (value === undefined || value === null) return "nothing";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  if (text.length <= LONGEST_TEXT) return text;
  const digest = createHash("sha256").update(text).digest("hex").slice(0, 12);
  return `${Math.ceil(Buffer.byteLength(text) / 1024)} KiB of SHA-256 ${digest}`;
};

/** The names of a list's members, where each has one of its own. */
const namesOf = (list: readonly unknown[]): readonly string[] | undefined => {
  const names = list.flatMap((each) => (isFields(each) && typeof each.name === "string" ? [each.name] : []));
  return names.length === list.length && new Set(names).size === list.length ? names : undefined;
};

/** A list as a map, by the members' names or by their places. */
const keyed = (list: readonly unknown[], byName: boolean): Fields =>
  Object.fromEntries(list.map((each, index) => [byName ? (each as { name: string }).name : index, each]));

const differencesAt = (expected: unknown, actual: unknown, field: string, key: string): ObjectDifference[] => {
  if (Array.isArray(expected) && Array.isArray(actual)) {
    const byName = namesOf(expected) !== undefined && namesOf(actual) !== undefined;
    return members(keyed(expected, byName), keyed(actual, byName), (member) => `${field}[${member}]`);
  }
  if (isFields(expected) && isFields(actual))
    return members(expected, actual, (member) => (field === "" ? member : `${field}.${member}`));
  if (Object.is(expected, actual) || (saysNothing(expected, key) && saysNothing(actual, key))) return [];
  return [{ field, expected: shown(expected), actual: shown(actual) }];
};

const members = (expected: Fields, actual: Fields, path: (member: string) => string): ObjectDifference[] =>
  [...new Set([...Object.keys(expected), ...Object.keys(actual)])].flatMap((member) =>
    saysNothing(expected[member], member) && saysNothing(actual[member], member)
      ? []
      : differencesAt(expected[member], actual[member], path(member), member),
  );

const content = (object: Fields): Fields =>
  Object.fromEntries(Object.entries(object).filter(([field]) => !IGNORED.has(field)));

/**
 * What of an object in the cluster is not as the site has it, field by field. Labels that somebody adds are theirs; any
 * other field that is not at its default is a difference, also where the site does not mention it.
 *
 * @param actual the object as the API server answers it
 */
export const objectDifferences = (expected: KubernetesObject, actual: KubernetesObject): ObjectDifference[] => {
  const labels = Object.entries(expected.metadata.labels ?? {}).flatMap(([label, value]) =>
    differencesAt(value, actual.metadata.labels?.[label], `metadata.labels[${label}]`, label),
  );
  return [...labels, ...members(content(expected), content(actual), (member) => member)];
};
