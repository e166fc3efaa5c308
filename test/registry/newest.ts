import type { RetentionPolicy } from "../../site/retention";

/** A policy that keeps the newest tags of every repository. */
export const newest = (keepNewest: number, more: Partial<RetentionPolicy["rules"][number]> = {}): RetentionPolicy => ({
  rules: [{ repositories: "**", keepNewest, ...more }],
});
