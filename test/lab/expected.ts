/** The output that a runbook expects, as a pattern: "…" matches any text. */
export const expectedPattern = (expected: string): RegExp =>
  new RegExp(
    `^${expected
      .split("…")
      .map((part) => part.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"))
      .join("[\\s\\S]*")}$`,
  );
