import { markup } from "../../text/markup";
import type { Failure } from "../oci/failure";
import type { BrokenImage } from "../oci/images";
import type { Report } from "../oci/walk";
import type { About } from "./about";

/** Maximum number of cases of each kind, because readers of such files keep them in memory. */
const MOST_CASES = 5000;

/** `latest (+2)`: the first tag, and how many more there are. */
const tagsOf = ({ tags }: { tags: readonly string[] }): string =>
  `${tags[0] ?? ""}${tags.length > 1 ? ` (+${tags.length - 1})` : ""}`;

const testcase = (
  classname: string,
  name: string,
  failed: { type: string; message: string; text?: string } | null,
): string => {
  const start = `    <testcase classname="${markup(classname)}" name="${markup(name)}"`;
  if (failed === null) return `${start}/>`;
  const { type, message, text = "" } = failed;
  return [
    `${start}>`,
    `      <failure type="${markup(type)}" message="${markup(message)}">${markup(text)}</failure>`,
    "    </testcase>",
  ].join("\n");
};

const failureCase = (failure: Failure): string => {
  const { repository, object, reason, detail, path, digest, platform } = failure;
  const name = [object, tagsOf(failure), digest, platform].filter((part) => part).join(" ");
  return testcase(repository || "catalog", name, {
    type: reason,
    message: `${reason}: ${detail}`,
    text: path.join("\n"),
  });
};

/** One case for each platform of an image that cannot be pulled, so that the intact ones are reported too. */
const imageCases = (image: BrokenImage): string[] => {
  const { repository, digest, platforms } = image;
  const name = `image ${tagsOf(image) || digest}`;
  const broken = { type: "unpullable", message: "it cannot be pulled" };
  if (platforms.length === 0) return [testcase(repository, name, broken)];
  return platforms.map(({ platform, whole }) => {
    return testcase(repository, platform === null ? name : `${name} ${platform}`, whole ? null : broken);
  });
};

const property = (name: string, value: unknown): string =>
  `      <property name="${markup(name)}" value="${markup([value].flat().join(" "))}"/>`;

/** The first cases, and one more that says how many were left out. */
const cut = (cases: string[], count: number, what: string): string[] => {
  if (count <= MOST_CASES) return cases;
  const message = `${count - MOST_CASES} more of ${count} ${what}`;
  return [...cases, testcase("report", message, { type: "cut", message })];
};

/**
 * The report as JUnit XML: a case for the walk, an error when it is incomplete; a case for each platform of each image that
 * cannot be pulled everywhere; a failed case for each failure.
 *
 * https://github.com/testmoapp/junitxml
 */
export const junit = (report: Report, { warden, started, options }: About): string => {
  const { registry, failures, images, complete, durationSeconds, stopped } = report;
  const time = durationSeconds.toFixed(3);
  const why = stopped === null ? "not everything was reached" : stopped.message;
  const walk = `    <testcase classname="walk" name="reaches everything" time="${time}"`;
  const ofImages = cut(images.broken.slice(0, MOST_CASES).flatMap(imageCases), images.broken.length, "images");
  const ofFailures = cut(failures.slice(0, MOST_CASES).map(failureCase), failures.length, "failures");
  const cases = [...ofImages, ...ofFailures];
  const failed = cases.filter((each) => each.includes("<failure ")).length;
  const totals = `tests="${cases.length + 1}" failures="${failed}" errors="${complete ? 0 : 1}" time="${time}"`;
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="warden verify" ${totals}>`,
    `  <testsuite name="${markup(registry)}" timestamp="${markup(started)}" ${totals}>`,
    "    <properties>",
    property("warden", warden),
    property("failures", failures.length),
    ...given.map(([name, value]) => property(name, value)),
    "    </properties>",
    complete ? `${walk}/>` : `${walk}>\n      <error type="incomplete" message="${markup(why)}"/>\n    </testcase>`,
    ...cases,
    "  </testsuite>",
    "</testsuites>",
    "",
  ].join("\n");
};
