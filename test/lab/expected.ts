/** The output that a runbook expects, as a pattern: "…" stands for anything. */
export const expectedPattern = (expected: string): RegExp =>
  new RegExp(
    `^${expected
      .split("…")
      .map((part) => part.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"))
      .join("[\\s\\S]*")}$`,
  );
