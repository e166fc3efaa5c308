import fc from "fast-check";
import { literal } from "../../constructs/literal";

/** How Terraform reads a template without interpolation. */
const readByTerraform = (template: string): string => template.replace(/\$\$\{|%%\{/g, (escaped) => escaped.slice(1));

/** The first unescaped opening brace, which Terraform would evaluate. */
const evaluated = (template: string): RegExpMatchArray | null =>
  template.replace(/\$\$\{|%%\{/g, " ").match(/\$\{|%\{/);

it.each([
  ["${x}", "$${x}"],
  ["%{ if x }", "%%{ if x }"],
  ["$${x}", "$$${x}"],
  ["{$}{%} $ % 100%", "{$}{%} $ % 100%"],
  ['"a"\n\\n ${', '"a"\n\\n $${'],
])("writes %j as %j", (text, template) => {
  expect(literal(text)).toBe(template);
});

it("survives any string, and leaves nothing to evaluate", () => {
  const text = fc
    .array(fc.constantFrom("$", "%", "{", "}", "$${", "%{", '"', "\\", "\n", "é", "x"))
    .map((parts) => parts.join(""));
  fc.assert(
    fc.property(text, (given) => {
      expect(readByTerraform(literal(given))).toBe(given);
      expect(evaluated(literal(given))).toBeNull();
    }),
  );
});
