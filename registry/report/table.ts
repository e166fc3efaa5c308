import { columns } from "../../text/columns";
import { plural } from "../../text/plural";
import { type Failure, REASONS } from "../oci/failure";
import type { BrokenImage } from "../oci/images";
import type { Report } from "../oci/walk";
import { shortDigest } from "./names";

/** Longest name of a tag list and of a detail in the table, in characters. */
const WIDEST = 60;

/** 1536 becomes 1.5 KiB. */
export const formatBytes = (bytes: number): string => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
};

const shorten = (text: string): string => (text.length <= WIDEST ? text : `${text.slice(0, WIDEST - 1)}~`);

/** `app:1.0 (+2)`: the repository with its first tag, and how many more reach the object. */
const nameOf = ({ repository, tags }: Pick<Failure, "repository" | "tags">): string => {
  if (repository === "") return "(the catalog)";
  const [first] = tags;
  if (first === undefined) return shorten(repository);
  return `${shorten(`${repository}:${first}`)}${tags.length > 1 ? ` (+${tags.length - 1})` : ""}`;
};

/** Worst first: by reason, then by the number of affected tags, then as in the report. */
export const worstFirst = (failures: readonly Failure[]): Failure[] =>
  [...failures].sort((a, b) => REASONS.indexOf(a.reason) - REASONS.indexOf(b.reason) || b.tags.length - a.tags.length);

/** What to do about the failures, most useful first. */
export const nextCommands = ({ registry, failures }: Report): string[] => {
  const has = (...reasons: Failure["reason"][]): boolean => failures.some(({ reason }) => reasons.includes(reason));
  const next: string[] = [];
  if (has("missing", "server-error", "truncated", "size-mismatch", "digest-mismatch", "malformed")) {
    next.push(`warden diagnose ${registry} <storage root>    finds the cause of each failure and names its repair`);
  }
  if (has("coverage"))
    next.push(`curl -i ${registry}/v2/_catalog    shows which registry answers, and whether it asks for credentials`);
  if (has("unauthorized"))
    next.push("docker login, REG_USER and REG_PASS, or --username    with an account that may pull all of it");
  if (failures.some(({ status }) => status === 429 || status === 503))
    next.push(`warden verify ${registry} --rate 10    stays below the limit that the registry has`);
  if (has("timeout", "unreachable"))
    next.push(`warden verify ${registry} --timeout 120 --concurrency 2    tells slow from lost`);
  return next;
};

/** Failures by repository: the repository with the worst one first, and worst first in each. */
export const byRepository = (failures: readonly Failure[]): Map<string, Failure[]> => {
  const groups = new Map<string, Failure[]>();
  for (const failure of worstFirst(failures)) {
    const group = groups.get(failure.repository);
    if (group === undefined) groups.set(failure.repository, [failure]);
    else group.push(failure);
  }
  return groups;
};

const platformNames = ({ platforms }: BrokenImage, whole: boolean): string => {
  const names = platforms.filter((each) => each.whole === whole).map(({ platform }) => platform ?? "itself");
  if (names.length > 0) return shorten(names.join(" "));
  return platforms.length === 0 && !whole ? "all of it" : "-";
};

/** Which images cannot be pulled, on which platforms: the first question of every reader. */
const imageLines = ({ images }: Report, mostRows: number): string[] => {
  const shown = images.broken.slice(0, mostRows);
  if (shown.length === 0) return [];
  const rows = shown.map((image) => [nameOf(image), platformNames(image, false), platformNames(image, true)]);
  const lines = ["", ...columns([["IMAGE", "CANNOT BE PULLED", "CAN BE PULLED"], ...rows])];
  if (shown.length < images.broken.length) lines.push(moreOf(images.broken.length - shown.length, "image"));
  return lines;
};

const moreOf = (count: number, what: string): string => `... and ${plural(count, `more ${what}`)}`;

const failureLines = ({ failures }: Report, mostRows: number): string[] => {
  if (failures.length === 0) return [];
  const groups = byRepository(failures);
  const shown = [...groups.values()].flat().slice(0, mostRows);
  const rows = shown.map((failure) => [
    failure.reason,
    failure.object,
    nameOf(failure),
    failure.platform ?? "-",
    shortDigest(failure.digest),
    shorten(failure.detail),
  ]);
  const lines = ["", ...columns([["REASON", "OBJECT", "NAME", "PLATFORM", "DIGEST", "DETAIL"], ...rows])];
  if (shown.length < failures.length) lines.push(moreOf(failures.length - shown.length, "failure"));
  // The start of a long list has scrolled off the screen.
  if (shown.length > SCREEN)
    lines.push("", `${plural(failures.length, "failure")} in ${plural(groups.size, "repository", "repositories")}`);
  return lines;
};

/** Rows that fit on the screen together with the start of the report. */
const SCREEN = 20;

/** Reports should stay readable: maximum rows in each list. */
const MOST_ROWS = 1000;

/**
 * The report as text: what was checked, which images cannot be pulled, the failures, what to do next. Lines without line
 * endings.
 */
export const reportTable = (report: Report, mostRows = MOST_ROWS): string[] => {
  const { registry, counts, durationSeconds, failures, images, warnings, blobs, complete, stopped } = report;
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
  if (images.broken.length > 0) {
    const of = plural(images.whole + images.broken.length, "image");
    lines.push(
      `images    ${images.broken.length.toLocaleString("en")} of ${of} cannot be pulled, or not on every platform`,
    );
  }
  if (blobs.because !== null) lines.push(`blobs     by ${blobs.used} instead of ${blobs.asked}: ${blobs.because}`);
  for (const { repository, status } of warnings.slice(0, mostRows)) {
    lines.push(`warning   ${repository} is listed and has no tags (${status}): never tagged, or its tags are lost`);
  }
  const untold = warnings.length - mostRows;
  if (untold > 0) lines.push(`warning   ${plural(untold, "more repository", "more repositories")} without tags`);
  if (stopped !== null) lines.push(`stopped   ${stopped.message}`);
  lines.push(...imageLines(report, mostRows), ...failureLines(report, mostRows));
  const next = nextCommands(report);
  if (next.length > 0) lines.push("", ...next.map((command, at) => `${at === 0 ? "next" : "    "}      ${command}`));
  return lines;
};
