import { type Findings, findingsIn, type HostFinding, type HostReport, isSaid } from "../hosts/finding";
import { HostError, type HostOutput, runOnHost } from "../hosts/ssh";
import { type Host, isManaged, type ManagedHost } from "../site/host";
import { managedHosts, type Site } from "../site/schema";
import { lineDiff } from "../text/line-diff";
import { plural } from "../text/plural";

const quoted = (names: readonly string[]): string => names.map((name) => JSON.stringify(name)).join(", ");

/**
 * A host of the site, by name.
 *
 * @throws HostError `unknown-host`
 */
export const hostOf = (site: Site, name: string): Host => {
  const found = site.hosts.find((host) => host.name === name);
  if (found !== undefined) return found;
  throw new HostError(
    "unknown-host",
    `unknown host ${JSON.stringify(name)}; known hosts: ${quoted(site.hosts.map((host) => host.name))}`,
    "give one of them, or another site with --site",
  );
};

/**
 * A host that accepts deliveries.
 *
 * @throws HostError `unknown-host`, or `deferred` if the site defers the host
 */
export const managedHost = (site: Site, name: string): ManagedHost => {
  const host = hostOf(site, name);
  if (isManaged(host)) return host;
  throw new HostError(
    "deferred",
    `${name} is deferred, ${host.deferred?.reason}; others are ${quoted(managedHosts(site).map((host) => host.name))}`,
    "give one of them, or lift the deferral in the site",
  );
};

/** Why a script on a host failed: the first line of its error output. */
export const scriptError = ({ stderr }: HostOutput): string =>
  stderr.trim().split("\n", 1)[0] || "the output is incomplete";

/** Passes on each complete line that is a message. */
const linesFor = (onSaid: (line: string) => void): ((text: string) => void) => {
  let waiting = "";
  return (text) => {
    const lines = (waiting + text).split("\n");
    waiting = lines.pop() ?? "";
    for (const line of lines) if (line !== "" && isSaid(line)) onSaid(line);
  };
};

/**
 * The findings of a script on a host; see findingsIn.
 *
 * @param args of the script, such that it collects findings
 * @param onSaid receives each message as it is printed; default: messages are not passed on
 * @throws HostError if not everything could be inspected
 */
export const findingsOn = async (
  host: ManagedHost,
  script: string,
  args: readonly string[],
  onSaid?: (line: string) => void,
): Promise<Findings> => {
  const output = await runOnHost(host, script, { args, onOutput: onSaid && linesFor(onSaid) });
  const found = findingsIn(output.stdout);
  if (found !== undefined) return found;
  throw new HostError(
    "failed",
    `${host.name} could not be inspected (${scriptError(output)})`,
    "correct that on the host, and run it again",
  );
};

const isText = (value: string): boolean => value.includes("\n");

/** A multi-line text as a difference between two versions. */
const difference = (what: string, from: readonly [string, string], to: readonly [string, string]): string[] => [
  `  ${what}:`,
  ...[`--- ${from[0]}`, `+++ ${to[0]}`, ...lineDiff(from[1], to[1]).lines].map((line) => `    ${line}`),
];

const described = ({ what, expected, actual }: HostFinding): string[] =>
  isText(expected) && isText(actual)
    ? difference(what, ["the site", expected], ["the host", actual])
    : [`  ${what}: ${isText(expected) ? "" : `expected ${expected || "nothing"}, `}is ${actual}`];

/** The same, from what the host has to what it will get. */
const changed = ({ what, expected, actual }: HostFinding): string[] => {
  if (isText(expected) && isText(actual)) return difference(what, ["the host", actual], ["the site", expected]);
  return [`  ${what}: is ${actual}${isText(expected) ? "" : `, should be ${expected || "nothing"}`}`];
};

/** The findings on a host as text: a multi-line text is shown as a difference between expected and actual. */
export const hostTable = ({ host, findings, deferred }: HostReport): string[] => {
  if (deferred !== undefined) return [`${host}: deferred: ${deferred}`];
  if (findings.length === 0) return [`${host}: as the site has it`];
  return [`${host}: ${plural(findings.length, "finding")}`, ...findings.flatMap(described)];
};

/** What a delivery would change on a host, as text. */
export const changeTable = (delivery: string, { host, findings }: HostReport): string[] =>
  findings.length === 0
    ? [`${host}: ${delivery} is as the site has it`]
    : [
        `${host}: ${delivery} differs from the site in ${plural(findings.length, "thing")}`,
        ...findings.flatMap(changed),
      ];
