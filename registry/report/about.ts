/** How a report was made. */
export interface About {
  /** The version of the program. */
  warden: string;
  /** When the walk began: ISO 8601, UTC. */
  started: string;
  /** The options that were set, by name. */
  options: Record<string, unknown>;
}

/** `2026-04-19T03:15:00.000Z by warden 0.1.0, role private, blobs last-byte`: human-readable, without unset options. */
export const aboutLine = ({ warden, started, options }: About): string => {
  const given = Object.entries(options).filter(([, value]) => value !== undefined && [value].flat().length > 0);
  return [
    `${started} by warden ${warden}`,
    ...given.map(([name, value]) => `${name} ${[value].flat().join(" ")}`),
  ].join(", ");
};
