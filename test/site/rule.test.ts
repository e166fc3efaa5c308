import * as z from "zod";
import { record } from "../../site/fields";
import { rule } from "../../site/rule";

const fields = record({
  name: z.string(),
  parts: z.array(
    z.discriminatedUnion("kind", [
      record({ kind: z.literal("one"), size: z.number(), only: z.string() }),
      record({ kind: z.literal("other"), size: z.number() }),
    ]),
  ),
  limit: record({ most: z.number() }).optional(),
});

const tooMany = fields.check(
  rule(fields, ["parts.size", "limit.most"], ({ parts, limit }) => {
    const sum = parts.reduce((total, { size }) => total + size, 0);
    return limit !== undefined && sum > limit.most ? `${sum} is more than ${limit.most}` : undefined;
  }),
);

const messages = (schema: z.ZodType, input: unknown): string[] =>
  (schema.safeParse(input).error?.issues ?? []).map(({ path, message }) => `${path.join(".")}: ${message}`);

const one = { kind: "one", size: 3, only: "x" };

test("a rule over fields is not hidden by an error in another field of the same object", () => {
  expect(messages(tooMany, { name: 1, parts: [{ ...one, only: 2 }], limit: { most: 2 } })).toEqual(
    expect.arrayContaining([": 3 is more than 2"]),
  );
});

test("a rule waits until what it looks at is well-formed", () => {
  expect(messages(tooMany, { name: "x", parts: [{ ...one, size: "3" }], limit: { most: 2 } })).toEqual([
    expect.stringMatching(/^parts\.0\.size: /),
  ]);
});

test("a part that is left out is undefined, and a field of one choice alone is looked at there", () => {
  const named = fields.check(
    rule(fields, ["parts.kind", "parts.only", "limit?"], ({ parts, limit }) =>
      parts.flatMap((part, index) =>
        part.kind === "one" && part.only === "" && limit === undefined
          ? [{ path: ["parts", index, "only"], message: "is empty" }]
          : [],
      ),
    ),
  );
  expect(
    messages(named, {
      name: "x",
      parts: [
        { kind: "other", size: 1 },
        { ...one, only: "" },
      ],
    }),
  ).toEqual(["parts.1.only: is empty"]);
  // With a question mark, a field that is present may still be malformed.
  expect(messages(named, { name: "x", parts: [{ ...one, only: "" }], limit: 7 })).toEqual([
    expect.stringMatching(/^limit: /),
  ]);
});

test("a field that the schema does not have breaks the build, and the program at its start", () => {
  // tsc, which is part of the lint, fails where a line below an expectation is accepted.
  // @ts-expect-error a field that was renamed
  expect(() => rule(fields, ["parts.length_"], () => undefined)).toThrow("no choice has the field length_");
  // @ts-expect-error a field that was renamed
  expect(() => rule(fields, ["title"], () => undefined)).toThrow("there is no field title");
  rule(fields, ["limit.most"], (value) => {
    // @ts-expect-error a field that the rule did not request
    expect(value.name).toBeUndefined();
    return undefined;
  });
});
