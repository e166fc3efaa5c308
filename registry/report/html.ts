import type { Failure } from "../oci/failure";
import type { Report } from "../oci/walk";
import { markup } from "./markup";
import { table, worstFirst } from "./table";

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

/** So many failures are shown open; of more, only those that the reader opens. */
const MOST_OPEN = 10;

/** Shows the failures in whose text every word of the search stands. */
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
  shown.textContent = count + " of " + failures.length + " shown";
};
search?.addEventListener("input", filter);
if (search) filter();`;

/** The tree from the tags down to the broken object. */
function tree({ tags, path, object, platform, reason, digest, repository }: Failure): string {
  const broken = `<span class="bad">${markup(`${object} ${reason}`)}</span>`;
  const node = (content: string, below: string): string => `<ul><li>${content}${below}</li></ul>`;
  const route = [...path].reverse().reduce((below, each) => {
    const isBroken = each === digest;
    const name = `<code>${markup(each)}</code>`;
    return node(isBroken ? `${name} ${broken}${platform ? ` ${markup(platform)}` : ""}` : name, below);
  }, "");
  const top = tags.length > 0 ? tags.map((tag) => `<code>${markup(`${repository}:${tag}`)}</code>`).join(", ") : "";
  const root = top || `<code>${markup(repository || "the catalog")}</code>`;
  return node(path.length === 0 ? `${root} ${broken}` : root, route);
}

function failureItem(failure: Failure, open: boolean): string {
  const { repository, reason, object, platform, tags, detail, status } = failure;
  const name = `${repository || "the catalog"}${tags[0] === undefined ? "" : `:${tags[0]}`}`;
  const more = tags.length > 1 ? ` and ${tags.length - 1} more` : "";
  const facts = `${detail}${status === null ? "" : ` (status ${status})`}`;
  return [
    `<details class="failure"${open ? " open" : ""}>`,
    `<summary><strong class="bad">${markup(reason)}</strong> ${markup(object)} of <code>${markup(name)}</code>${more}${platform ? ` ${markup(platform)}` : ""}</summary>`,
    `<p>${markup(facts)}</p>`,
    tree(failure),
    "</details>",
  ].join("\n");
}

/** The report as one page that needs nothing else: no network, and no script but for the search. */
export function page(report: Report): string {
  const { registry, counts, failures, complete, durationSeconds } = report;
  const verdict =
    failures.length > 0
      ? `<strong class="bad">${failures.length} ${failures.length === 1 ? "failure" : "failures"}</strong>`
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
<dl>
${figures.map(([name, value]) => `<div><dt>${markup(name)}</dt><dd>${markup(String(value))}</dd></div>`).join("\n")}
</dl>
${failures.length > 0 ? '<p><input type="search" placeholder="repository, tag, digest, platform, reason" aria-label="search"> <output></output></p>' : ""}
${worstFirst(failures)
  .map((failure) => failureItem(failure, failures.length <= MOST_OPEN))
  .join("\n")}
<h2>As text</h2>
<pre>${markup(table(report).join("\n"))}</pre>
<script>${SCRIPT}
</script>
</body>
</html>
`;
}
