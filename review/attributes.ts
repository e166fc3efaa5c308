import type { ChangeJson } from "./plan";

/** One side of a change to an attribute. */
export type Shown =
  | { readonly kind: "absent" }
  | { readonly kind: "unknown" }
  | { readonly kind: "sensitive" }
  /** A string, number or boolean, or a map or list without attributes. */
  | { readonly kind: "value"; readonly value: unknown };

export type Path = readonly (string | number)[];

export interface AttributeChange {
  readonly path: Path;
  readonly before: Shown;
  readonly after: Shown;
  /** Whether it forces a replacement. */
  readonly forces: boolean;
}

type Collection = Readonly<Record<string, unknown>> | readonly unknown[];

const isCollection = (value: unknown): value is Collection => typeof value === "object" && value !== null;

const keysOf = (value: unknown): (string | number)[] =>
  Array.isArray(value) ? value.map((_, index) => index) : isCollection(value) ? Object.keys(value) : [];

const at = (value: unknown, key: string | number): unknown =>
  isCollection(value) && Object.hasOwn(value, key) ? (value as Record<string | number, unknown>)[key] : undefined;

/** A mark of true applies to everything below it. */
const markAt = (mark: unknown, key: string | number): unknown => (mark === true ? true : at(mark, key));

const sameKind = (a: unknown, b: unknown): boolean => Array.isArray(a) === Array.isArray(b);

/** Terraform writes an unset attribute as null. */
const isAbsent = (value: unknown): boolean => value === undefined || value === null;

const isEmpty = (value: unknown): boolean => isAbsent(value) || (isCollection(value) && keysOf(value).length === 0);

/** Whether two JSON values are equal, regardless of the order of their keys. */
export const isEqual = (a: unknown, b: unknown): boolean => {
  if (!isCollection(a) || !isCollection(b)) return Object.is(a ?? null, b ?? null);
  const keys = keysOf(a);
  return sameKind(a, b) && keys.length === keysOf(b).length && keys.every((key) => isEqual(at(a, key), at(b, key)));
};

interface Node {
  readonly path: Path;
  readonly before: unknown;
  readonly after: unknown;
  readonly unknown: unknown;
  readonly beforeSensitive: unknown;
  readonly afterSensitive: unknown;
}

const child = (node: Node, key: string | number): Node => ({
  path: [...node.path, key],
  before: at(node.before, key),
  after: at(node.after, key),
  unknown: markAt(node.unknown, key),
  beforeSensitive: markAt(node.beforeSensitive, key),
  afterSensitive: markAt(node.afterSensitive, key),
});

const shown = (value: unknown, sensitive: unknown): Shown => {
  if (isAbsent(value)) return { kind: "absent" };
  return sensitive === true ? { kind: "sensitive" } : { kind: "value", value };
};

type Leaf = Omit<AttributeChange, "forces">;

const leaves = (node: Node): Leaf[] => {
  const { path, before, after, unknown, beforeSensitive, afterSensitive } = node;
  if (unknown === true) return [{ path, before: shown(before, beforeSensitive), after: { kind: "unknown" } }];
  const sensitive = beforeSensitive === true || afterSensitive === true;
  const descend =
    !sensitive &&
    [before, after].every((value) => isAbsent(value) || isCollection(value)) &&
    (isAbsent(before) || isAbsent(after) || sameKind(before, after));
  if (descend) {
    const keys = [...new Set([...keysOf(before), ...keysOf(after), ...keysOf(unknown)])];
    return keys.flatMap((key) => leaves(child(node, key)));
  }
  if (isEqual(before, after) || (isEmpty(before) && isEmpty(after))) return [];
  // If one side is sensitive, the other is hidden too: both may be the same secret.
  return [{ path, before: shown(before, sensitive), after: shown(after, sensitive) }];
};

const startsWith = (path: Path, prefix: Path): boolean =>
  prefix.every((key, index) => String(path[index]) === String(key));

/**
 * The changes to a resource, attribute by attribute, in the order of its schema. Maps and lists are split, so that each file in a
 * map is an attribute of its own.
 */
export const attributeChanges = (change: ChangeJson): AttributeChange[] => {
  const forcing = change.replace_paths ?? [];
  return leaves({
    path: [],
    before: change.before,
    after: change.after,
    unknown: change.after_unknown,
    beforeSensitive: change.before_sensitive,
    afterSensitive: change.after_sensitive,
  }).map((leaf) => ({ ...leaf, forces: forcing.some((path) => startsWith(leaf.path, path)) }));
};

/** Every string and number in a value. */
export const stringsOf = (value: unknown): string[] => {
  if (typeof value === "string") return [value];
  if (typeof value === "number") return [String(value)];
  return keysOf(value).flatMap((key) => stringsOf(at(value, key)));
};

/** Every string and number below a mark of true. */
export const markedStrings = (value: unknown, mark: unknown): string[] =>
  mark === true ? stringsOf(value) : keysOf(value).flatMap((key) => markedStrings(at(value, key), at(mark, key)));

/** `metadata[0].name`; a key that is not an identifier is quoted. */
export const pathText = (path: Path): string =>
  path.reduce<string>((text, key) => {
    if (typeof key === "number") return `${text}[${key}]`;
    if (!/^[A-Za-z_][\w-]*$/.test(key)) return `${text}[${JSON.stringify(key)}]`;
    return text === "" ? key : `${text}.${key}`;
  }, "");
