import type { Span } from "../monitoring/episodes";
import type { Alerted } from "./promtool";

/** The name of an alert, with what distinguishes it from others of that name for the same registry. */
export const alertName = ({ alertname = "", what, task }: Alerted): string =>
  [alertname, what, task].filter((each) => each !== undefined).join(" ");

/**
 * When each alert fired, as spans without a gap.
 *
 * @param every minutes between two evaluations
 * @param nameOf distinguishes one alert from another
 */
export const spansOf = (
  found: ReadonlyMap<number, readonly Alerted[]>,
  every: number,
  nameOf: (alert: Alerted) => string,
): Record<string, Span[]> => {
  const spans: Record<string, Span[]> = {};
  for (const [minute, alerts] of [...found].sort(([a], [b]) => a - b))
    for (const name of new Set(alerts.map(nameOf))) {
      const known = spans[name] ?? [];
      spans[name] = known;
      const last = known.at(-1);
      if (last?.[1] === minute - every) known[known.length - 1] = [last[0], minute];
      else known.push([minute, minute]);
    }
  return spans;
};
