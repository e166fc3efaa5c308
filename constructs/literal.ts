/**
 * A string that Terraform does not evaluate. In Terraform's JSON every string is a template, and CDKTF escapes nothing: a `${` or
 * `%{` in a script or a program would be evaluated.
 *
 * https://developer.hashicorp.com/terraform/language/expressions/strings#escape-sequences-1
 */
export const literal = (text: string): string =>
  // A function, because "$$" in a replacement string means a single "$".
  text.replace(/[$%]\{/g, (opening) => `${opening.charAt(0)}${opening}`);
