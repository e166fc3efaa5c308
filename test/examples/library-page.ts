/** The complete program in docs/library.md. */
export const mainOf = (page: string): string => {
  const [, program] = /^```ts\n([\s\S]*?)^```$/m.exec(page) ?? [];
  if (program === undefined) throw new Error("docs/library.md has no program");
  return program;
};
