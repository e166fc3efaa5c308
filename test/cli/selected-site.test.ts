import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runWarden } from "./run-warden";

const root = join(__dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "selected-"));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => delete process.env.WARDEN_SITE);

const REFUSED =
  "error: no site was chosen, and site/reference.ts ships as an example: nothing is changed by it; write yours to site.ts, or name one with --site or WARDEN_SITE; --site site/reference.ts is the example itself\n";

describe("the example that ships", () => {
  test.each([
    ["rollback", "pve"],
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

  test("may be looked at by anybody", async () => {
    expect((await runWarden("rollback", "nope", "--dry-run")).err).toMatch(/^error: given "nope", which is no host/);
    expect((await runWarden("dns", "verify", "nope", "--without-failover-test")).err).toMatch(/^error: given "nope"/);
  });
});

describe("npm run cdktf", () => {
  /** A copy of the program, with a wrapper of cdktf-cli that prints what it is given. */
  const checkout = join(folder, "checkout");

  const cdktf = (args: string[], variable?: string) => {
    const { WARDEN_SITE: _, ...environment } = process.env;
    const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", "cli/cdktf.ts", ...args], {
      cwd: checkout,
      encoding: "utf8",
      env: variable === undefined ? environment : { ...environment, WARDEN_SITE: variable },
    });
    return { status, stdout, stderr };
  };

  beforeAll(() => {
    mkdirSync(join(checkout, "tools/cdktf"), { recursive: true });
    for (const part of ["cli", "site", "registry"]) cpSync(join(root, part), join(checkout, part), { recursive: true });
    symlinkSync(join(root, "node_modules"), join(checkout, "node_modules"));
    cpSync(join(root, "package.json"), join(checkout, "package.json"));
    const site = readFileSync(join(root, "examples/hosts-only/site.ts"), "utf8");
    writeFileSync(join(checkout, "home.ts"), site.replace("../../site/schema", "./site/schema"));
    const wrapper = join(checkout, "tools/cdktf/run");
    writeFileSync(wrapper, '#!/bin/sh\necho "$WARDEN_SITE: $*"\nexit 3\n');
    chmodSync(wrapper, 0o755);
  });

  test.each([
    [["deploy", "--site", "home.ts", "dns", "--auto-approve"], undefined],
    [["deploy", "--site=home.ts", "dns", "--auto-approve"], undefined],
    [["deploy", "dns", "--auto-approve"], "home.ts"],
  ])("%j gives every part of it the site that was chosen, names it, and ends as it does", (args, variable) => {
    expect(cdktf(args, variable)).toEqual({
      status: 3,
      stdout: `${join(checkout, "home.ts")}: deploy dns --auto-approve\n`,
      stderr: "site: home.ts\n",
    });
  });

  test.each(["deploy", "destroy", "apply"])("%s refuses the example that nobody chose", (command) => {
    const { status, stdout, stderr } = cdktf([command, "dns"]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(/^no site was chosen, and [^\n]*\n$/);
  });

  test("asks for the file behind --site", () => {
    expect(cdktf(["deploy", "--site"]).stderr).toMatch(/^--site is given without a file; allowed is /);
  });

  test("leaves what is about no site alone", () => {
    expect(cdktf(["--version"])).toEqual({ status: 3, stdout: ": --version\n", stderr: "" });
  });
});
