import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { comment } from "../../../review/comment";
import { parsePlan } from "../../../review/plan";
import { reviewStacks } from "../../../review/review";
import { screenshot } from "../../pictures/screenshot";

/**
 * Renders the comment on the recorded plans as a reader sees it, into docs/pictures/plan-report.png:
 *
 *     node --import tsx test/review/plans/picture.ts <cmark-gfm> <chromium-headless-shell>
 *
 * The first is GitHub's own renderer; both are Debian packages with these names.
 */
const [, , renderer, browser] = process.argv;
if (renderer === undefined || browser === undefined)
  throw new Error("name the programs cmark-gfm and chromium-headless-shell");

const recorded = (stack: string, name: string, constructs: Record<string, string>) => ({
  stack,
  plan: parsePlan(readFileSync(join(__dirname, `${name}.json`), "utf8"), name),
  constructs: new Map(Object.entries(constructs)),
  compared: undefined,
});

const markdown = comment({
  reviews: reviewStacks([
    recorded("dns", "dns-another-resolver", {
      "terraform_data.pve_C1049555": "dns/pve/Resource/Resource",
      "terraform_data.registry-vm_C812CC3A": "dns/registry-vm/Resource/Resource",
    }),
    recorded("registry-vm", "registry-vm-service-removed", {
      "terraform_data.compose_A6B64D1D": "registry-vm/compose/Resource/Resource",
    }),
    recorded("program", "file-replaced-and-drift", { "local_file.program": "program/Resource" }),
  ]),
  unreviewed: [],
  commit: "0123456789abcdef0123456789abcdef01234567",
});

const STYLE = `
  body { margin: 24px; width: 860px; font: 14px/1.5 "DejaVu Sans", sans-serif; color: #1f2328; }
  h3 { margin: 20px 0 8px; font-size: 17px; } ul { padding-left: 24px; margin: 8px 0; } p { margin: 10px 0; }
  code { font: 12px "DejaVu Sans Mono", monospace; background: #eff1f3; padding: 2px 5px; border-radius: 5px; }
  pre { background: #f6f8fa; padding: 12px; border-radius: 6px; overflow: hidden; } pre code { background: none; padding: 0; }
  table { border-collapse: collapse; } th, td { border: 1px solid #d1d9e0; padding: 4px 12px; }
  .added { color: #116329; background: #dafbe1; display: block; } .removed { color: #82071e; background: #ffebe9; display: block; }
  .hunk { color: #0550ae; display: block; } details { margin: 6px 0; }`;

const coloured = (html: string): string =>
  html.replace(
    /(<code class="language-diff">)([\s\S]*?)(<\/code>)/g,
    (_, open: string, body: string, close: string) => {
      const lines = body
        .trimEnd()
        .split("\n")
        .map((line) => {
          const kind = { "+": "added", "-": "removed", "@": "hunk" }[line.charAt(0)];
          return kind === undefined ? `${line}\n` : `<span class="${kind}">${line}</span>`;
        });
      return `${open}${lines.join("")}${close}`;
    },
  );

const html = execFileSync(renderer, ["--unsafe", "-e", "table", "-e", "tagfilter"], {
  input: markdown,
  encoding: "utf8",
})
  // Collapsed except for the first block, as after one click.
  .replace("<details>", "<details open>");
screenshot(browser, `<style>${STYLE}</style>${coloured(html)}`, "plan-report", 910, 1340);
