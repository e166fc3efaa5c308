import { createHash } from "node:crypto";
import { isJsonObject, type JsonObject } from "../text/json-object";
import type { KubernetesObject } from "./kubernetes-object";

/** A difference between an object and the site. */
export interface ObjectDifference {
  /** The field, for example "spec.schedule". */
  readonly field: string;
  readonly expected: string;
  readonly actual: string;
}

/** The defaults that the API server or Terraform's provider fills in. */
const DEFAULTS: JsonObject = {
  defaultMode: 420,
  dnsPolicy: "ClusterFirst",
  mountPropagation: "None",
  schedulerName: "default-scheduler",
  terminationGracePeriodSeconds: 30,
  terminationMessagePath: "/dev/termination-log",
  terminationMessagePolicy: "File",
};

/** Fields that the server manages, and the former name of `serviceAccountName`, which it repeats. */
const IGNORED: ReadonlySet<string> = new Set(["apiVersion", "kind", "metadata", "status"]);
const ALIASES: ReadonlySet<string> = new Set(["serviceAccount"]);

/** Longer texts are not hand-written. */
const LONGEST_TEXT = 16 * 1024;

/** Whether a value is equivalent to leaving it out. */
const saysNothing = (value: unknown, key: string): boolean => {
  if (value === undefined || value === null || value === false || value === "") return true;
  if (Array.isArray(value)) return value.length === 0;
  if (isJsonObject(value)) return Object.entries(value).every(([inner, each]) => saysNothing(each, inner));
  return ALIASES.has(key) || DEFAULTS[key] === value;
};

const shown = (value: unknown): string => {
  if (value === undefined || value === null) return "nothing";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  if (text.length <= LONGEST_TEXT) return text;
  const digest = createHash("sha256").update(text).digest("hex").slice(0, 12);
  return `${Math.ceil(Buffer.byteLength(text) / 1024)} KiB of SHA-256 ${digest}`;
};

/** The names of a list's members, if each has a unique one. */
const namesOf = (list: readonly unknown[]): readonly string[] | undefined => {
  const names = list.flatMap((each) => (isJsonObject(each) && typeof each.name === "string" ? [each.name] : []));
  return names.length === list.length && new Set(names).size === list.length ? names : undefined;
};

/** A list as a map, keyed by the members' names or positions. */
const keyed = (list: readonly unknown[], byName: boolean): JsonObject =>
  Object.fromEntries(list.map((each, index) => [byName ? (each as { name: string }).name : index, each]));

const differencesAt = (expected: unknown, actual: unknown, field: string, key: string): ObjectDifference[] => {
  if (Array.isArray(expected) && Array.isArray(actual)) {
    const byName = namesOf(expected) !== undefined && namesOf(actual) !== undefined;
    return members(keyed(expected, byName), keyed(actual, byName), (member) => `${field}[${member}]`);
  }
  if (isJsonObject(expected) && isJsonObject(actual))
    return members(expected, actual, (member) => (field === "" ? member : `${field}.${member}`));
  if (Object.is(expected, actual) || (saysNothing(expected, key) && saysNothing(actual, key))) return [];
  return [{ field, expected: shown(expected), actual: shown(actual) }];
};

const members = (expected: JsonObject, actual: JsonObject, path: (member: string) => string): ObjectDifference[] =>
  [...new Set([...Object.keys(expected), ...Object.keys(actual)])].flatMap((member) =>
    saysNothing(expected[member], member) && saysNothing(actual[member], member)
      ? []
      : differencesAt(expected[member], actual[member], path(member), member),
  );

const content = (object: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(object).filter(([field]) => !IGNORED.has(field)));

/**
 * The differences between an object in the cluster and the site, field by field. Additional labels are ignored; any other field
 * without its default value is a difference, even if the site does not mention it.
 *
 * @param actual the object as returned by the API server
 */
export const objectDifferences = (expected: KubernetesObject, actual: KubernetesObject): ObjectDifference[] => {
  const labels = Object.entries(expected.metadata.labels ?? {}).flatMap(([label, value]) =>
    differencesAt(value, actual.metadata.labels?.[label], `metadata.labels[${label}]`, label),
  );
  return [...labels, ...members(content(expected), content(actual), (member) => member)];
};
