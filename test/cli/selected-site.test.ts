import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cdktf } from "../../cli/cdktf";
import { exitCodeOf } from "../../cli/script";
import { SHIPPED } from "../sites";
import { captured, runWarden } from "./run-warden";

const root = join(__dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "selected-"));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => delete process.env.WARDEN_SITE);

const REFUSED =
  "error: no site was chosen, and site/reference.ts ships as an example: nothing is changed by it; write yours to site.ts, or name one with --site or WARDEN_SITE; --site site/reference.ts is the example itself\n";

describe("the example that ships", () => {
  test.each([
    ["rollback", "pve"],
    ["deliver", "pve"],
    ["dns", "verify", "pve"],
    ["docs", "--output", join(folder, "docs")],
  ])("changes nothing where nobody chose it: %s", async (...args) => {
    expect(await runWarden(...args)).toEqual({ code: 2, out: "", err: REFUSED });
  });

  test.each([
    ["by --site", ["--site", "site/reference.ts"], undefined],
    ["by WARDEN_SITE", [], "site/reference.ts"],
  ])("writes its documents where it was chosen %s, and names its file", async (name, args, variable) => {
    if (variable !== undefined) process.env.WARDEN_SITE = variable;
    const output = join(folder, name.replaceAll(" ", "-"));
    const { code, err } = await runWarden("docs", "--output", output, ...args);
    expect({ code, err }).toEqual({ code: 0, err: "site: site/reference.ts\n" });
  });

  test("may be viewed without choosing it", async () => {
    expect((await runWarden("rollback", "nope", "--dry-run")).err).toMatch(/^error: unknown host "nope"/);
    expect((await runWarden("dns", "verify", "nope", "--without-failover-test")).err).toMatch(
      /^error: unknown host "nope"/,
    );
  });
});

describe("npm run cdktf", () => {
  const given = join(folder, "given");
  const home = join(folder, "home.json");
  const wrapper = join(folder, "run");

  /** Runs with a stand-in for cdktf-cli that records its arguments. */
  const run = async (args: string[], variable?: string) => {
    if (variable !== undefined) process.env.WARDEN_SITE = variable;
    rmSync(given, { force: true });
    const { code, out, err } = await captured(() => exitCodeOf((all) => cdktf(all, wrapper), args));
    return { code, out, err, given: existsSync(given) ? readFileSync(given, "utf8") : undefined };
  };

  beforeAll(() => {
    writeFileSync(home, JSON.stringify(SHIPPED["hosts-only"]));
    writeFileSync(wrapper, `#!/bin/sh\necho "$WARDEN_SITE: $*" >'${given}'\nexit 3\n`);
    chmodSync(wrapper, 0o755);
  });

  test.each([
    [["deploy", "--site", home, "dns", "--auto-approve"], undefined],
    [["deploy", `--site=${home}`, "dns", "--auto-approve"], undefined],
    [["deploy", "dns", "--auto-approve"], home],
  ])("%j gives every part of it the site that was chosen, names it, and ends as it does", async (args, variable) => {
    expect(await run(args, variable)).toEqual({
      code: 3,
      out: "",
      err: `site: ${home}\n`,
      given: `${home}: deploy dns --auto-approve\n`,
    });
  });

  test.each(["deploy", "destroy", "apply"])("%s refuses the example that nobody chose", async (command) => {
    const { code, err, given } = await run([command, "dns"]);
    expect({ code, given }).toEqual({ code: 2, given: undefined });
    expect(err).toMatch(/^no site was chosen, and [^\n]*\n$/);
  });

  test("requires a file after --site", async () => {
    expect((await run(["deploy", "--site"])).err).toMatch(/^--site needs the file of a site: --site FILE/);
  });

  test("does not interfere with commands that need no site", async () => {
    expect(await run(["--version"])).toEqual({ code: 3, out: "", err: "", given: ": --version\n" });
  });

  test("is started by npm as a program of its own", () => {
    const { WARDEN_SITE: _, ...env } = process.env;
    const command = ["--import", "tsx", "cli/cdktf.ts", "deploy", "dns"];
    const { status, stderr } = spawnSync(process.execPath, command, { cwd: root, encoding: "utf8", env });
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringMatching(/^no site was chosen, /) });
  });
});
