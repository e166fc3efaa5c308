import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, normalize } from "node:path/posix";
import { describeSite } from "../../cli/plan-table";
import { commandsOf } from "../../handbook/document";
import { documentsOf, handbook } from "../../handbook/handbook";
import { parseSite } from "../../site/load";
import { stacksOf } from "../../site/stacks";
import { createApp } from "../../stacks/app";
import { SHIPPED } from "../sites";

const root = join(__dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "shapes-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** What a site of this shape deploys, and what its handbook must not mention. */
const SHAPES: Readonly<Record<string, { stacks: string[]; lacks: RegExp }>> = {
  reference: { stacks: ["dns", "registry-vm", "monitoring"], lacks: /site-docs/ },
  small: { stacks: ["dns", "registry-vm", "monitoring"], lacks: /Woodpecker|off-site|registry-maintenance-/ },
  company: { stacks: ["dns", "registry-vm", "monitoring"], lacks: /Woodpecker|Forgejo/ },
  forgejo: { stacks: ["monitoring"], lacks: /\bssh \w|docker compose|systemctl|npm run cdktf -- deploy dns/ },
  "hosts-only": { stacks: ["dns"], lacks: /kubectl|docker|htpasswd|Alertmanager|Pushgateway|registry-vm|CronJob/ },
  "no-kubernetes": { stacks: ["registry-vm"], lacks: /kubectl|CronJob|deploy dns|\bin the cluster\b|ConfigMap/ },
};

test("every example has a shape here", () => {
  const folders = readdirSync(join(root, "examples")).filter((name) =>
    existsSync(join(root, "examples", name, "site.ts")),
  );
  expect(Object.keys(SHIPPED).sort()).toEqual(Object.keys(SHAPES).sort());
  expect([...folders, "reference"].filter((name) => name !== "library").sort()).toEqual(Object.keys(SHAPES).sort());
});

describe.each(Object.entries(SHAPES))("the site %s", (name, { stacks, lacks }) => {
  const site = parseSite(SHIPPED[name], name);
  const documents = documentsOf(site);
  const pages = handbook(site, [], "../docs");

  test("synthesises the stacks that have content, and no others", () => {
    const output = join(folder, name);
    createApp(site, output).synth();
    expect(stacksOf(site)).toEqual(stacks);
    expect(readdirSync(join(output, "stacks")).sort()).toEqual([...stacks].sort());
    for (const stack of stacks) {
      const text = readFileSync(join(output, "stacks", stack, "cdk.tf.json"), "utf8");
      expect(text).not.toContain(output);
      expect(JSON.stringify(JSON.parse(text).terraform.backend)).toContain(name === "forgejo" ? "forge" : name);
    }
  });

  test("is described by what it has", () => {
    const kinds = describeSite(site).map((line) => line.split(" ", 1)[0]);
    expect(kinds.includes("registry")).toBe(stacks.includes("registry-vm"));
    expect(kinds.includes("host")).toBe(stacks.some((stack) => stack !== "monitoring"));
    expect(kinds.includes("probe")).toBe(site.monitoring !== undefined);
  });

  test("has a handbook without a dead link", () => {
    for (const [path, text] of pages) {
      if (!path.endsWith(".md")) continue;
      for (const [, target = ""] of text.replace(/^```[\s\S]*?^```$/gm, "").matchAll(/\]\(([^)#]*)(?:#[^)]*)?\)/g)) {
        if (target === "" || /^https?:/.test(target)) continue;
        const where = normalize(join(dirname(path), target));
        const alive = where.startsWith("../docs/")
          ? existsSync(join(root, where.slice("../".length)))
          : pages.has(where) || where.startsWith("pictures/");
        expect([path, target, alive]).toEqual([path, target, true]);
      }
    }
  });

  test("has a handbook that mentions nothing that it lacks", () => {
    for (const [path, text] of pages)
      if (path !== "site.md")
        expect([path, lacks.exec(text.replaceAll("../docs/", ""))?.[0]]).toEqual([path, undefined]);
  });

  test("has a page for each alert, and alerts where it is monitored", () => {
    const alerts = [...pages.keys()].filter((path) => path.startsWith("alerts/"));
    expect(alerts.length > 0).toBe(site.monitoring !== undefined);
  });

  test("has commands that bash reads, none of them twice empty", () => {
    const script = documents
      .flatMap((document) => commandsOf(document).map(({ run }) => run.text))
      .map((text, index) => `command${index}() {\n${text}\n}\n`)
      .join("");
    const { status, stderr } = spawnSync("bash", ["-n"], { input: script, encoding: "utf8" });
    expect([status, stderr]).toEqual([0, ""]);
  });

  test("has no section without text, and nothing that is undefined", () => {
    for (const [path, text] of pages) {
      expect([path, text]).not.toEqual([path, expect.stringMatching(/undefined|\[object|NaN/)]);
      if (path.endsWith(".md")) expect([path, /^(#+) .*\n\n(?!\1#)#+ /m.exec(text)?.[0]]).toEqual([path, undefined]);
    }
  });
});

test("each handbook is clean Markdown, by the rules of this repository", () => {
  const written = join(folder, "handbooks");
  for (const [name, site] of Object.entries(SHIPPED))
    for (const [path, text] of handbook(parseSite(site, name), [], "../docs")) {
      if (!path.endsWith(".md")) continue;
      const file = join(written, name, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
  const lint = join(root, "node_modules/markdownlint-cli2/markdownlint-cli2-bin.mjs");
  const args = ["--config", join(root, ".markdownlint-cli2.jsonc"), "--no-globs", "**/*.md"];
  const { stdout, stderr } = spawnSync(process.execPath, [lint, ...args], { cwd: written, encoding: "utf8" });
  expect(stderr).toBe("");
  expect(stdout).toMatch(/^Summary: 0 error\(s\)$/m);
  expect(Number(/^Linting: (\d+) file/m.exec(stdout)?.[1])).toBeGreaterThan(100);
});
