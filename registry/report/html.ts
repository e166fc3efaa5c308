import { markup } from "../../text/markup";
import { plural } from "../../text/plural";
import type { Failure } from "../oci/failure";
import type { BrokenImage } from "../oci/images";
import type { Report } from "../oci/walk";
import { type About, aboutLine } from "./about";
import { shortDigest } from "./names";
import { byRepository, reportTable } from "./table";

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --bad: #c62828; --good: #2e7d32; --soft: #8882; }
@media (prefers-color-scheme: dark) { :root { --bad: #ef9a9a; --good: #a5d6a7; } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; }
.bad { color: var(--bad); } .good { color: var(--good); }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)); gap: .5rem; }
dl div { background: var(--soft); border-radius: .4rem; padding: .4rem .7rem; }
dt { font-size: .8rem; opacity: .8; } dd { margin: 0; font-size: 1.2rem; font-variant-numeric: tabular-nums; }
input { box-sizing: border-box; font: inherit; padding: .4rem .7rem; width: 100%; }
details { border-top: 1px solid var(--line); padding: .4rem 0; }
summary { cursor: pointer; overflow-wrap: anywhere; }
ul { list-style: none; margin: .2rem 0 .2rem .4rem; padding-left: 1rem; border-left: 1px solid var(--line); }
code, pre { font: 13px/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { background: var(--soft); border-radius: .4rem; overflow-x: auto; padding: .7rem; }
[hidden] { display: none; }`;

/** Up to this many failures are expanded; if there are more, all are collapsed. */
const MOST_OPEN = 10;
/** As many as a browser can handle in one page; the others are only counted. */
const MOST_SHOWN = 2000;
/** Maximum number of tags shown for an object. */
const MOST_TAGS = 20;

/** Shows the failures whose text contains every word of the search. */
const SCRIPT = `
const search = document.querySelector("input");
const failures = [...document.querySelectorAll("details.failure")];
const shown = document.querySelector("output");
const filter = () => {
  const words = search.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let count = 0;
  for (const failure of failures) {
    const text = failure.textContent.toLowerCase();
    failure.hidden = !words.every((word) => text.includes(word));
    if (!failure.hidden) count++;
  }
  for (const group of document.querySelectorAll("details.repository"))
    group.hidden = group.querySelector("details.failure:not([hidden])") === null;
  shown.textContent = count + " of " + failures.length + " shown";
};
search?.addEventListener("input", filter);
if (search) filter();`;

/** The tree from the tags down to the broken object. */
const tree = ({ tags, path, object, platform, reason, digest, repository }: Failure): string => {
  const broken = `<span class="bad">${markup(`${object} ${reason}`)}</span>`;
  const node = (content: string, below: string): string => `<ul><li>${content}${below}</li></ul>`;
  const route = [...path].reverse().reduce((below, each) => {
    const isBroken = each === digest;
    const name = `<code>${markup(each)}</code>`;
    return node(isBroken ? `${name} ${broken}${platform ? ` ${markup(platform)}` : ""}` : name, below);
  }, "");
  const named = tags.slice(0, MOST_TAGS).map((tag) => `<code>${markup(`${repository}:${tag}`)}</code>`);
  if (tags.length > MOST_TAGS) named.push(`${tags.length - MOST_TAGS} more`);
  const top = named.join(", ");
  const root = top || `<code>${markup(repository || "the catalog")}</code>`;
  return node(path.length === 0 ? `${root} ${broken}` : root, route);
};

const failureItem = (failure: Failure, open: boolean): string => {
  const { repository, reason, object, platform, tags, detail, status, digest } = failure;
  const name = `${repository || "the catalog"}${tags[0] === undefined ? "" : `:${tags[0]}`}`;
  const more = tags.length > 1 ? ` and ${tags.length - 1} more` : "";
  const facts = `${detail}${status === null ? "" : ` (status ${status})`}`;
  return [
    `<details class="failure"${open ? " open" : ""}>`,
    `<summary><strong class="bad">${markup(reason)}</strong> ${markup(object)} of <code>${markup(name)}</code>${more}${platform ? ` ${markup(platform)}` : ""}${digest === null ? "" : ` <code>${markup(shortDigest(digest))}</code>`}</summary>`,
    `<p>${markup(facts)}</p>`,
    tree(failure),
    "</details>",
  ].join("\n");
};

/** The failures of one repository, under a collapsible heading. */
const group = (name: string, failures: readonly Failure[], shown: number, open: boolean): string => {
  const count = `${plural(failures.length, "failure")}`;
  return [
    `<details class="repository" open>`,
    `<summary><strong>${markup(name || "the catalog")}</strong>: ${count}</summary>`,
    ...failures.slice(0, shown).map((failure) => failureItem(failure, open)),
    shown < failures.length ? `<p>${failures.length - shown} more are not shown.</p>` : "",
    "</details>",
  ].join("\n");
};

/** The failures by repository, as many as a browser can handle. */
const groups = (failures: readonly Failure[]): string => {
  let left = MOST_SHOWN;
  const parts: string[] = [];
  let hidden = 0;
  for (const [name, each] of byRepository(failures)) {
    if (left === 0) {
      hidden++;
      continue;
    }
    const shown = Math.min(left, each.length);
    left -= shown;
    parts.push(group(name, each, shown, failures.length <= MOST_OPEN));
  }
  if (hidden > 0) parts.push(`<p>${hidden} more ${hidden === 1 ? "repository is" : "repositories are"} not shown.</p>`);
  if (failures.length > MOST_OPEN) parts.push(`<p>${failures.length} failures in all.</p>`);
  return parts.join("\n");
};

const imageRow = ({ repository, tags, digest, platforms }: BrokenImage): string => {
  const more = tags.length > 1 ? ` and ${tags.length - 1} more` : "";
  const name = tags[0] === undefined ? `${repository}@${digest}` : `${repository}:${tags[0]}`;
  const parts = platforms.map(({ platform, whole }) => {
    return `<span class="${whole ? "good" : "bad"}">${markup(platform ?? "itself")} ${whole ? "whole" : "broken"}</span>`;
  });
  const nothing = '<span class="bad">all of it broken</span>';
  return `<li><code>${markup(name)}</code>${more}: ${parts.length === 0 ? nothing : parts.join(", ")}</li>`;
};

/** Which images cannot be pulled, on which platforms. */
const imageList = ({ whole, broken }: Report["images"]): string => {
  if (broken.length === 0) return "";
  const hidden = broken.length - MOST_SHOWN;
  return [
    `<h2>${broken.length} of ${whole + broken.length} images cannot be pulled, or not on every platform</h2>`,
    "<ul>",
    ...broken.slice(0, MOST_SHOWN).map(imageRow),
    "</ul>",
    hidden > 0 ? `<p>${hidden} more are not shown.</p>` : "",
    "<h2>Broken objects</h2>",
  ].join("\n");
};

/** The report as one self-contained page: no network access, and no script except for the search. */
export const htmlPage = (report: Report, about: About): string => {
  const { registry, counts, failures, images, complete, durationSeconds } = report;
  const verdict =
    failures.length > 0
      ? `<strong class="bad">${plural(failures.length, "failure")}</strong>`
      : '<strong class="good">nothing broken</strong>';
  const figures = Object.entries({ ...counts, seconds: durationSeconds.toFixed(1) });
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>${markup(registry)}</title>
<style>${STYLE}
</style>
</head>
<body>
<h1>${markup(registry)}</h1>
<p>${verdict}${complete ? "" : ', <strong class="bad">incomplete</strong>: not everything was reached'}</p>
<p>${markup(aboutLine(about))}</p>
<dl>
${figures.map(([name, value]) => `<div><dt>${markup(name)}</dt><dd>${markup(String(value))}</dd></div>`).join("\n")}
</dl>
${imageList(images)}
${failures.length > 0 ? '<p><input type="search" placeholder="repository, tag, digest, platform, reason" aria-label="search"> <output></output></p>' : ""}
${groups(failures)}
<h2>As text</h2>
<pre>${markup(reportTable(report, MOST_SHOWN).join("\n"))}</pre>
<script>${SCRIPT}
</script>
</body>
</html>
`;
};
