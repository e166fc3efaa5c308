import type { Failure } from "../oci/failure";
import type { Report } from "../oci/walk";
import { markup } from "./markup";

function nameOf({ object, tags, digest, platform }: Failure): string {
  return [object, tags.join(", "), digest, platform].filter((part) => part).join(" ");
}

function testcase(failure: Failure): string {
  const { repository, reason, detail, path } = failure;
  const message = `${reason}: ${detail}`;
  return [
    `    <testcase classname="${markup(repository || "catalog")}" name="${markup(nameOf(failure))}">`,
    `      <failure type="${markup(reason)}" message="${markup(message)}">${markup(path.join("\n"))}</failure>`,
    "    </testcase>",
  ].join("\n");
}

/**
 * The report as JUnit XML: a failed case for each failure, and one case for the walk, an error when it is incomplete.
 *
 * https://github.com/testmoapp/junitxml
 */
export function junit(report: Report): string {
  const { registry, failures, complete, durationSeconds, stopped } = report;
  const time = durationSeconds.toFixed(3);
  const why = stopped === null ? "not everything was reached" : stopped.message;
  const walk = `    <testcase classname="walk" name="reaches everything" time="${time}"`;
  const totals = `tests="${failures.length + 1}" failures="${failures.length}" errors="${complete ? 0 : 1}" time="${time}"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="warden verify" ${totals}>`,
    `  <testsuite name="${markup(registry)}" ${totals}>`,
    complete ? `${walk}/>` : `${walk}>\n      <error type="incomplete" message="${markup(why)}"/>\n    </testcase>`,
    ...failures.map(testcase),
    "  </testsuite>",
    "</testsuites>",
    "",
  ].join("\n");
}
