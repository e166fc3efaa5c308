import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { copyCheckout } from "./checkout";
import { describeWith } from "./components";
import { npmRegistry } from "./npm-registry";

const guide = readFileSync(join(__dirname, "../../docs/guide.md"), "utf8");

/** Each command of the guide, with the heading of its step. */
const commands = guide
  .split(/^## /m)
  .flatMap((step) =>
    [...step.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(
      ([, text = ""]) => [step.split("\n", 1)[0] ?? "", text.trim()] as const,
    ),
  );

/** Expected output, by a part of the command. Every command must have an entry. */
const SAID: readonly [command: RegExp, output: RegExp][] = [
  [/npm start/, /registry {2}6 services[\s\S]*\ndns .* to add[\s\S]*\ndeploy with: /],
  [/npm run demo/, /The old images are gone, the kept ones are whole\.\n$/],
  [/^sed .* > site\.ts$/, /^$/],
  [/npm run synth/, /^\n> .*\n> .*\n\n$/],
  [/npm run plan$/, /\/etc\/resolv\.conf[\s\S]*\nregistry-vm .* 1 to add/],
  [/plan-report/, /^\*\*Plan: 2 to create\*\*/],
  [/npm run docs/, /wrote site-docs\/runbooks\/box\.md\n/],
];

/** This registry does not exist: the command fails with one line that says so. */
const UNREACHABLE = /verify https:\/\/registry\.example\.org$/;

/** Needs hosts that answer: runbooks.test.ts runs this command against those of the lab. */
const DEPLOY = /^(npm run cdktf -- deploy( \S+)+\n?)+$/;

describeWith(["registry", "terraform"], "the guide, typed as written in a new checkout", ({ terraform }) => {
  npmRegistry("the whole of it", () => {
    const folder = mkdtempSync(join(tmpdir(), "guide-"));
    const checkout = join(folder, "checkout");
    beforeAll(() => copyCheckout(checkout));
    afterAll(() => rmSync(folder, { recursive: true }));

    const { WARDEN_SITE: _, CDKTF_OUTDIR: __, ...environment } = process.env;
    /** A home without any keys. */
    const HOME = join(folder, "home");
    const type = (command: string, more: NodeJS.ProcessEnv = {}) =>
      spawnSync("bash", ["-c", command], {
        cwd: checkout,
        encoding: "utf8",
        timeout: 240_000,
        env: { ...environment, ...more, PATH: `${join(terraform.command[0], "..")}:${environment.PATH}` },
      });

    test.each(commands.filter(([, command]) => !DEPLOY.test(command)))(
      "%s: %s",
      (_, command) => {
        const { status, stdout, stderr } = type(command);
        if (UNREACHABLE.test(command)) {
          expect([status, stdout, stderr]).toEqual([2, "", expect.stringMatching(/^error: .*; .*\n$/)]);
          return;
        }
        const expected = SAID.find(([pattern]) => pattern.test(command))?.[1] ?? "a line in SAID";
        expect([status, stdout, stderr]).toEqual([0, expect.stringMatching(expected), expect.anything()]);
      },
      300_000,
    );

    /** The expected plan summary of each example that the guide names. */
    const EXAMPLES: readonly [name: string, plan: RegExp][] = [
      ["no-kubernetes", /\nregistry-vm .* 1 to add/],
      ["forgejo", /\nmonitoring .*/],
      ["hosts-only", /\ndns .* 2 to add/],
      ["company", /\ndns .* to add[\s\S]*\nregistry-vm .* 1 to add/],
    ];
    const typed = (pattern: RegExp): string => {
      const found = commands.map(([, command]) => command).find((command) => pattern.test(command));
      if (found === undefined) throw new Error(`the guide has no command ${pattern}`);
      return found;
    };

    const [makeKey = ""] = /ssh-keygen -t ed25519 -f \S+(?=`)/.exec(guide) ?? [];

    test("names every other example", () => {
      const named = [...guide.matchAll(/^\| `([\w-]+)` \|/gm)].map(([, name]) => name);
      expect(named).toEqual(EXAMPLES.map(([name]) => name));
    });

    test.each(EXAMPLES)(
      "%s in place of small: from the copy to the plan and the handbook",
      (name, plan) => {
        const local = '{ backend: "local", directory: "state" }';
        const steps = [
          typed(/^sed .* > site\.ts$/).replace("/small/", `/${name}/`),
          `sed -i 's#state: {[^}]*}#state: ${local}#' site.ts`,
          `mkdir -p ~/.ssh && rm -f ~/.ssh/* && ${makeKey} -q -N ''`,
          typed(/npm run synth/),
          typed(/npm run plan$/),
          typed(/npm run docs/),
        ].map((command) => type(command, { HOME }));
        expect(steps.map(({ status, stderr }) => [status, stderr])).toEqual(steps.map(() => [0, expect.anything()]));
        expect(steps[4]?.stdout).toMatch(plan);
        expect(steps[4]?.stdout).toMatch(/\ndeploy with: npm run cdktf -- deploy /);
        expect(steps[5]?.stdout).toMatch(/^wrote site-docs\/README\.md$/m);
      },
      300_000,
    );

    test("the error that it suggests is named in one line", () => {
      const { status, stderr } = type(
        `${typed(/^sed .* > site\.ts$/)} && sed -i 's/"192.0.2.1", //' site.ts && npm run -s synth`,
      );
      expect([status, stderr]).toEqual([2, expect.stringMatching(/^hosts\[0\]\.resolver\.nameservers: .*\n$/)]);
    });

    test("deploys, and holds every step that it promises", () => {
      expect(commands.filter(([, command]) => DEPLOY.test(command))).toHaveLength(2);
      expect(new Set(commands.map(([step]) => step)).size).toBeGreaterThan(6);
    });
  });
});
