import * as z from "zod";
import { isRefused } from "../site/fields";
import { siteSchema } from "../site/schema";
import { type Block, type Document, heading, paragraph, table } from "./document";
import { md, type Prose, plain } from "./prose";

/** Path of the page. It is the same for every site, because it comes from the schema. */
export const SITE_REFERENCE = "site.md";

/** A field of the reference. */
interface SiteField {
  /** `hosts[].ssh.port`; a union member is named by its discriminator: `state (backend "s3").bucket`. */
  readonly path: string;
  readonly needed: Prose;
  /** What is allowed, according to the schema's own error message. */
  readonly allowed: string;
}

type Schema = z.core.$ZodType;

/** The error message of a schema: its own, or that of its first check if it has none. */
const messageOf = ({ _zod: { def } }: Schema): string => {
  const errors = [def, ...(def.checks ?? []).map((check) => check._zod.def)].map(({ error }) => error);
  const write = errors.find((error) => error !== undefined) as z.core.$ZodErrorMap | undefined;
  const message = write?.({ code: "custom", input: undefined });
  return (typeof message === "string" ? message : message?.message) ?? "";
};

const allowed = (schema: Schema): string =>
  schema instanceof z.ZodLiteral && schema.values.size === 1
    ? JSON.stringify([...schema.values][0])
    : messageOf(schema).replace(/^allowed (is|are) /, "");

/** The inner schema of one that only says whether the field is required. */
const unwrapped = (schema: Schema): Schema => {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    return unwrapped(schema.def.innerType);
  return schema instanceof z.ZodPipe ? unwrapped(schema.def.in) : schema;
};

const needed = (schema: Schema): Prose => {
  if (isRefused(schema)) return md`**never**`;
  if (schema instanceof z.ZodOptional) return md`no`;
  if (schema instanceof z.ZodPrefault) return md`no`;
  if (schema instanceof z.ZodDefault) return md`no, ${JSON.stringify(schema.def.defaultValue)}`;
  return md`yes`;
};

/** `(backend "s3")`: the field with a single value that identifies a union member. */
const choice = (option: Schema): string => {
  const shape = option instanceof z.ZodObject ? option.shape : {};
  const [name, value] = Object.entries(shape).find(([, each]) => each instanceof z.ZodLiteral) ?? [];
  return value instanceof z.ZodLiteral ? ` (${name} ${JSON.stringify([...value.values][0])})` : "";
};

const within = (schema: Schema, path: string): SiteField[] => {
  const inner = unwrapped(schema);
  if (inner instanceof z.ZodObject)
    return Object.entries(inner.shape as Record<string, Schema>).flatMap(([name, field]) =>
      fieldsOf(field, path === "" ? name : `${path}.${name}`),
    );
  if (inner instanceof z.ZodArray) {
    const element = unwrapped(inner.def.element);
    // A list of plain values is one field.
    return element instanceof z.ZodObject || element instanceof z.ZodUnion ? within(element, `${path}[]`) : [];
  }
  if (inner instanceof z.ZodUnion) return inner.options.flatMap((option) => within(option, `${path}${choice(option)}`));
  return [];
};

const elementOf = (schema: Schema): string => {
  const inner = unwrapped(schema);
  if (!(inner instanceof z.ZodArray)) return "";
  const element = unwrapped(inner.def.element);
  return element instanceof z.ZodObject || element instanceof z.ZodUnion ? "" : `; of each ${allowed(element)}`;
};

const fieldsOf = (schema: Schema, path: string): SiteField[] => [
  {
    path,
    needed: needed(schema),
    allowed: `${allowed(unwrapped(schema))}${elementOf(schema)}`,
  },
  ...within(schema, path),
];

const section = ([name, schema]: [string, Schema]): Block[] => [
  heading(md`${name}`),
  table(
    [md`field`, md`needed, default`, md`allowed`],
    fieldsOf(schema, name).map((field) => [md`${field.path}`, field.needed, plain(field.allowed)]),
  ),
];

/** Every field of a site, in the schema's own words. */
export const siteReference = (): Document => ({
  path: SITE_REFERENCE,
  title: md`The fields of a site`,
  body: [
    paragraph(
      md`Your editor knows them too, with the reasons. ${"npm run synth"} names every error at once: where it is, what was given, what is allowed, and the hint. A field that is never allowed is named here because people reach for it.`,
    ),
    ...Object.entries(siteSchema.shape).flatMap(section),
  ],
});
