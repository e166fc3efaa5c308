import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { imagePipelines } from "../../handbook/image-pipeline";
import { parsed, reference, SHIPPED, type WholeInput } from "../sites";
import { describeWith } from "./components";

const workflows = join(__dirname, "../../.github/workflows");

/** The same site, but GitHub's runners build its images. */
const onGithub = (site: WholeInput): WholeInput => {
  const { buildPlugin: _, ...ci } = site.ci;
  return { ...site, ci: { ...ci, system: "github" } };
};

describeWith(
  ["actionlint", "shellcheck"],
  "workflows of GitHub, and the scripts in them",
  ({ actionlint, shellcheck }) => {
    const [program, ...args] = actionlint.command;
    const check = (workflow: string): string => {
      const { stdout, stderr } = spawnSync(
        program,
        [...args, "-no-color", "-oneline", "-shellcheck", shellcheck.command[0], "-"],
        {
          input: workflow,
          encoding: "utf8",
        },
      );
      return stdout + stderr;
    };

    test.each(
      [onGithub(reference), SHIPPED.company as WholeInput].flatMap((site) => [...imagePipelines(parsed(site))]),
    )("%s, which the handbook has for a site, is clean", (_file, workflow) => {
      expect(workflow).toContain("runs-on:");
      expect(check(workflow)).toBe("");
    });

    test.each(readdirSync(workflows))("our own %s is clean", (file) => {
      expect(check(readFileSync(join(workflows, file), "utf8"))).toBe("");
    });

    test("fails where a step misspells a field, and where its script does not quote", () => {
      const step = (text: string): string =>
        `on: push\njobs:\n  image:\n    runs-on: ubuntu-24.04\n    steps:\n      - ${text}\n`;
      expect(check(step("rum: make"))).toContain("step must run script with");
      expect(check(step("run: rm -rf $TMPDIR/x"))).toContain("SC2086");
    });
  },
);
