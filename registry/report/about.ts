/** How a report came about. */
export interface About {
  /** The version of the program. */
  warden: string;
  /** When the walk began: ISO 8601, UTC. */
  started: string;
  /** What was asked for, by the names of the options. */
  options: Record<string, unknown>;
}

/** `2026-04-19T03:15:00.000Z by warden 0.1.0, role private, blobs last-byte`: for people, without what was left at nothing. */
export const aboutLine = ({ warden, started, options }: About): string => {
  const given = Object.entries(options).filter(([, value]) => value !== undefined && [value].flat().length > 0);
  return [
    `${started} by warden ${warden}`,
    ...given.map(([name, value]) => `${name} ${[value].flat().join(" ")}`),
  ].join(", ");
};
