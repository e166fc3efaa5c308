import { type Failure, REASONS } from "../oci/failure";
import type { Report } from "../oci/walk";

/** Longest name of a tag list and of a detail in the table, in characters. */
const WIDEST = 60;

function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

/** 1536 becomes 1.5 KiB. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** What a registry answers must not move the cursor of a terminal. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "?");
}

function shorten(text: string): string {
  return text.length <= WIDEST ? text : `${text.slice(0, WIDEST - 1)}~`;
}

/** The algorithm and the first 12 digits, enough to find it by. */
function shortDigest(digest: string | null): string {
  return digest === null ? "-" : digest.replace(/^([^:]+:[^:]{12}).*$/s, "$1");
}

/** `app:1.0 (+2)`: the repository with its first tag, and how many more reach the object. */
function nameOf({ repository, tags }: Failure): string {
  if (repository === "") return "(the catalog)";
  const [first] = tags;
  if (first === undefined) return shorten(repository);
  return `${shorten(`${repository}:${first}`)}${tags.length > 1 ? ` (+${tags.length - 1})` : ""}`;
}

/** Worst first: by reason, then by how many tags an object takes with it, then as they stand in the report. */
export function worstFirst(failures: readonly Failure[]): Failure[] {
  return [...failures].sort(
    (a, b) => REASONS.indexOf(a.reason) - REASONS.indexOf(b.reason) || b.tags.length - a.tags.length,
  );
}

function columns(rows: readonly string[][]): string[] {
  const widths = rows.reduce<number[]>(
    (widest, row) => row.map((cell, at) => Math.max(widest[at] ?? 0, cell.length)),
    [],
  );
  return rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

/** What to do about the failures, most useful first. */
export function nextCommands({ registry, failures }: Report): string[] {
  const has = (...reasons: Failure["reason"][]): boolean => failures.some(({ reason }) => reasons.includes(reason));
  const next: string[] = [];
  if (has("missing", "server-error", "truncated", "size-mismatch", "digest-mismatch", "malformed")) {
    next.push(`warden diagnose ${registry} <storage root>    finds the cause of each failure and names its repair`);
  }
  if (has("coverage"))
    next.push(`curl -i ${registry}/v2/_catalog    shows which registry answers, and whether it asks for credentials`);
  if (has("unauthorized"))
    next.push("docker login, REG_USER and REG_PASS, or --username    with an account that may pull all of it");
  if (has("timeout", "unreachable"))
    next.push(`warden verify ${registry} --timeout 120 --concurrency 2    tells slow from lost`);
  return next;
}

/** The report for people: what was checked, the failures worst first, what to do next. Lines without a line end. */
export function table(report: Report, mostRows = Number.POSITIVE_INFINITY): string[] {
  const { registry, counts, durationSeconds, failures, complete, stopped } = report;
  const checked = [
    plural(counts.repositories, "repository", "repositories"),
    plural(counts.tags, "tag"),
    plural(counts.indexes, "index", "indexes"),
    plural(counts.manifests, "manifest"),
    plural(counts.blobs, "blob"),
  ];
  const effort = `${durationSeconds.toFixed(1)} s, ${plural(counts.requests, "request")}, ${formatBytes(counts.bytes)}`;
  const found = failures.length === 0 ? "nothing broken" : plural(failures.length, "failure");
  const lines = [
    `registry  ${registry}`,
    `checked   ${checked.join(", ")} (${effort})`,
    `result    ${found}${complete ? "" : ", incomplete: not everything was reached"}`,
  ];
  if (stopped !== null) lines.push(`stopped   ${printable(stopped.message)}`);
  if (failures.length === 0) return lines;

  const shown = worstFirst(failures).slice(0, mostRows);
  const rows = shown.map((failure) => [
    failure.reason,
    failure.object,
    nameOf(failure),
    failure.platform ?? "-",
    shortDigest(failure.digest),
    shorten(failure.detail),
  ]);
  const header = ["REASON", "OBJECT", "NAME", "PLATFORM", "DIGEST", "DETAIL"];
  lines.push("", ...columns([header, ...rows]).map(printable));
  if (shown.length < failures.length) lines.push(`... and ${failures.length - shown.length} more`);
  const next = nextCommands(report);
  if (next.length > 0) lines.push("", ...next.map((command, at) => `${at === 0 ? "next" : "    "}      ${command}`));
  return lines;
}
