import * as z from "zod";

/** The path of a field in a value: `hosts.ssh.port`. List indexes are left out, and so are the branches of a union. */
export type FieldPath<Value> = Value extends readonly (infer Element)[]
  ? FieldPath<Element>
  : Value extends object
    ? {
        [Key in keyof Value & string]-?: Key | `${Key}.${FieldPath<NonNullable<Value[Key]>>}`;
      }[keyof Value & string]
    : never;

/** A field, or only its presence: `hosts.resolver?`. In the latter case it may be malformed. */
type Asked<Path extends string> = Path | `${Path}?`;

type Head<Path> = Path extends `${infer First}.${string}` ? First : Path extends `${infer Field}?` ? Field : Path;
type Tail<Path, Key extends string> = Path extends `${Key}.${infer Rest}` ? Rest : never;

/** The part of a value that consists of the fields with these paths. */
export type Picked<Value, Path extends string> = Value extends readonly (infer Element)[]
  ? Picked<Element, Path>[]
  : Value extends object
    ? {
        [Key in keyof Value as Key extends Head<Path> ? Key : never]: Key extends Path
          ? Value[Key]
          : `${Key & string}?` extends Path
            ? unknown
            : Picked<Value[Key], Tail<Path, Key & string>>;
      }
    : Value;

type Schema = z.core.$ZodType;

const headOf = (path: string): string => path.split(".", 1)[0]?.replace(/\?$/, "") ?? "";

/** The paths below a field; undefined if the whole field is meant. */
const below = (paths: readonly string[], field: string): string[] | undefined =>
  paths.includes(field)
    ? undefined
    : paths.filter((path) => path.startsWith(`${field}.`)).map((path) => path.slice(field.length + 1));

const heads = (paths: readonly string[]): string[] => [...new Set(paths.map(headOf))];

const has = (schema: Schema, field: string): boolean => schema instanceof z.ZodObject && field in schema.shape;

/** The part of a schema that concerns the fields with these paths, so that errors in other fields do not matter. */
const narrowed = (schema: Schema, paths: readonly string[]): z.ZodType => {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    return z.optional(narrowed(schema.def.innerType, paths));
  if (schema instanceof z.ZodPipe) return narrowed(schema.def.in, paths);
  if (schema instanceof z.ZodArray) return z.array(narrowed(schema.def.element, paths));
  if (schema instanceof z.ZodUnion) {
    const options = schema.def.options as readonly Schema[];
    const lost = heads(paths).filter((field) => !options.some((option) => has(option, field)));
    if (lost.length > 0) throw new Error(`no choice has the field ${lost.join(", ")}`);
    const known = schema instanceof z.ZodDiscriminatedUnion ? [schema.def.discriminator] : [];
    return z.union(
      options.map((option) => {
        if (!(option instanceof z.ZodObject)) return option as z.ZodType;
        return narrowed(option, [...known, ...paths.filter((path) => has(option, headOf(path)))]);
      }),
    );
  }
  if (!(schema instanceof z.ZodObject)) throw new Error(`a field that has no fields was asked for ${paths.join(", ")}`);
  const shape = schema.shape as Record<string, Schema>;
  return z.object(
    Object.fromEntries(
      heads(paths).map((field) => {
        const inner = shape[field];
        if (inner === undefined) throw new Error(`there is no field ${field}`);
        if (paths.includes(`${field}?`)) return [field, z.unknown().optional()];
        const rest = below(paths, field);
        return [field, rest === undefined ? inner : narrowed(inner, rest)];
      }),
    ),
  );
};

/** What is wrong with a part of the object that a rule is about. */
export interface FieldError {
  /** Relative to the object, for example `["hosts", 1]`. */
  readonly path: readonly PropertyKey[];
  /** One sentence that ends with the hint. */
  readonly message: string;
}

/**
 * A rule over several fields. It lists the fields that it uses, by their names in the schema, and is checked as soon as these
 * are well-formed: an error elsewhere in the same object must not hide it.
 *
 * @param schema of the object that the rule is about
 * @param paths the fields that it uses; one that is not in the schema is a type error. With a trailing question mark, only
 *   the presence of the field is used
 * @param errorsOf what is wrong with the object as a whole, or with parts of it; undefined if nothing is
 */
export const rule = <S extends z.ZodType, const Path extends Asked<FieldPath<z.output<S>>>>(
  schema: S,
  paths: readonly Path[],
  errorsOf: (value: Picked<z.output<S>, Path>) => string | readonly FieldError[] | undefined,
): z.core.$ZodCheck<z.output<S>> => {
  const needs = narrowed(schema, paths);
  const check = new z.core.$ZodCheck({ check: "custom", when: () => true });
  check._zod.check = ({ value, issues }) => {
    const parsed = needs.safeParse(value);
    const found = parsed.success ? errorsOf(parsed.data as Picked<z.output<S>, Path>) : undefined;
    for (const { path, message } of typeof found === "string" ? [{ path: [], message: found }] : (found ?? []))
      issues.push({ code: "custom", input: value, path: [...path], message, inst: check, continue: true });
  };
  return check;
};
