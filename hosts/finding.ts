/** A difference between a host and the site. */
export interface HostFinding {
  readonly what: string;
  readonly expected: string;
  readonly actual: string;
}

/** The findings on one host. */
export interface HostReport {
  readonly host: string;
  readonly findings: readonly HostFinding[];
  /** Why a deferred host was not inspected. */
  readonly deferred?: string;
}

/** A host's output, parsed: its messages and its findings. */
export interface Findings {
  readonly said: readonly string[];
  readonly findings: readonly HostFinding[];
}

const decoded = (text = ""): string => Buffer.from(text, "base64").toString("utf8");

/** Whether a line is a message rather than part of the protocol. */
export const isSaid = (line: string): boolean => !/^findings? /.test(line);

/**
 * Parses the protocol of core.sh: for each finding a line "finding" with what, expected and actual in base64, and at the end a
 * line "findings" with their number. Undefined if that line is missing, so the inspection was incomplete.
 */
export const findingsIn = (printed: string): Findings | undefined => {
  const lines = printed.split("\n").filter((line) => line !== "");
  const findings = lines
    .filter((line) => line.startsWith("finding "))
    .map((line) => line.split(" "))
    .map(([, what, expected, actual]) => ({
      what: decoded(what),
      expected: decoded(expected),
      actual: decoded(actual),
    }));
  const end = `findings ${findings.length}`;
  return lines.includes(end) ? { said: lines.filter(isSaid), findings } : undefined;
};
