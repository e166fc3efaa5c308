import * as z from "zod";
import { siteSchema } from "../../site/schema";

type Schema = z.core.$ZodType;

/** A string of the schema. */
export interface SchemaString {
  /** Its path: `hosts[].ssh.user`; in a union, that of each member. */
  readonly field: string;
  /** Whether the schema of this string alone accepts a value. */
  readonly takes: (value: string) => boolean;
}

const leavesOf = (schema: Schema, path: string): SchemaString[] => {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    return leavesOf(schema.def.innerType, path);
  if (schema instanceof z.ZodPipe) return leavesOf(schema.def.in, path);
  if (schema instanceof z.ZodArray) return leavesOf(schema.def.element, `${path}[]`);
  if (schema instanceof z.ZodRecord) return leavesOf(schema.def.valueType, `${path}.*`);
  if (schema instanceof z.ZodUnion) return schema.def.options.flatMap((option) => leavesOf(option, path));
  if (schema instanceof z.ZodObject)
    return Object.entries(schema.shape as Record<string, Schema>).flatMap(([name, field]) =>
      leavesOf(field, path === "" ? name : `${path}.${name}`),
    );
  return schema instanceof z.ZodString ? [{ field: path, takes: (value) => schema.safeParse(value).success }] : [];
};

/** Every string that a site may contain. A field that several members of a union have is listed several times. */
export const schemaStrings = (): SchemaString[] => leavesOf(siteSchema, "");

/** A string in an actual site. */
export interface Written {
  readonly path: readonly (string | number)[];
  /** As in schemaStrings. */
  readonly field: string;
}

/** Every string in a site, with its field. Keys of free-form labels count as one field together with their values. */
export const writtenStrings = (value: unknown, path: readonly (string | number)[] = []): Written[] => {
  if (typeof value === "string") {
    const field = path.reduce<string>(
      (text, key) => (typeof key === "number" ? `${text}[]` : text === "" ? key : `${text}.${key}`),
      "",
    );
    return [{ path, field: field.replace(/\.labels\.[^.]+(\.[^.]+)*$/, ".labels.*") }];
  }
  if (Array.isArray(value)) return value.flatMap((each, index) => writtenStrings(each, [...path, index]));
  if (typeof value === "object" && value !== null)
    return Object.entries(value).flatMap(([key, each]) => writtenStrings(each, [...path, key]));
  return [];
};
