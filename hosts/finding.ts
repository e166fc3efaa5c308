/** Something about a host that is not as the site has it. */
export interface HostFinding {
  readonly what: string;
  readonly expected: string;
  readonly actual: string;
}

/** What was found of one host. */
export interface HostReport {
  readonly host: string;
  readonly findings: readonly HostFinding[];
  /** Why nothing was asked, of a host that is deferred. */
  readonly deferred?: string;
}

/** What a host printed, read: what it says to people, and what it found. */
export interface Findings {
  readonly said: readonly string[];
  readonly findings: readonly HostFinding[];
}

const decoded = (text = ""): string => Buffer.from(text, "base64").toString("utf8");

/** Whether a line is for people, and none of the protocol. */
export const isSaid = (line: string): boolean => !/^findings? /.test(line);

/**
 * Reads the protocol of core.sh: a line "finding", what, expected and actual, the three in base64, for each; at last a line
 * "findings" and their number. Undefined where that did not come, so that not all was checked.
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
