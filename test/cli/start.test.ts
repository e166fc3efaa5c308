import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { exitCodeOf } from "../../cli/script";
import { start } from "../../cli/start";
import { synth } from "../../main";
import { captured, type WardenRun } from "./run-warden";

const root = join(__dirname, "..", "..");
const directory = mkdtempSync(join(tmpdir(), "start-"));
afterAll(() => rmSync(directory, { recursive: true }));

const output = join(directory, "cdktf.out");
const { PATH } = process.env;

/** A PATH with node and, if a script is given, a terraform that runs it. */
const path = (terraform?: string): string => {
  const bin = mkdtempSync(join(directory, "bin-"));
  if (terraform !== undefined) {
    writeFileSync(join(bin, "terraform"), `#!/bin/sh\n${terraform}\n`);
    chmodSync(join(bin, "terraform"), 0o755);
  }
  return `${bin}:${dirname(process.execPath)}:/bin`;
};

delete process.env.WARDEN_SITE;
process.env.CDKTF_OUTDIR = output;
afterEach(() => {
  process.env.PATH = PATH;
});

const runStart = (args: string[], terraform?: string): Promise<WardenRun> => {
  process.env.PATH = path(terraform);
  return captured(() => exitCodeOf(start, args));
};
const runSynth = (...args: string[]): Promise<WardenRun> => captured(() => exitCodeOf(synth, args));

/** The same in a separate process, as npm runs it. */
const startAsProgram = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", "cli/start.ts", ...args], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, PATH: path() },
  });
  return { code: status, out: stdout, err: stderr };
};

const contents = (folder: string): Record<string, string> =>
  existsSync(folder)
    ? Object.fromEntries(
        readdirSync(folder, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => join(entry.parentPath, entry.name))
          .sort()
          .map((file) => [file, readFileSync(file, "utf8")]),
      )
    : {};

const REFERENCE = ["--site", "site/reference.ts"];
const NO_PROVIDER = `case "$1/$PWD" in
init/*monitoring) echo "Error: Failed to query available provider packages" >&2; exit 1;;
plan/*) echo "Plan: 2 to add, 0 to change, 0 to destroy.";;
esac`;

describe("npm start", () => {
  test("reports a stack that cannot be planned, and plans the others", async () => {
    const { code, out, err } = await runStart(REFERENCE, NO_PROVIDER);
    expect(err.trim().split("\n")).toEqual([
      expect.stringMatching(/^monitoring: synthesised, not planned: Failed to query/),
    ]);
    expect(out).toMatch(/^dns +\d+ +2 to add, 0 to change, 0 to destroy /m);
    expect(out).toMatch(/^registry-vm +\d+ +2 to add, 0 to change, 0 to destroy /m);
    expect(out).toMatch(/^monitoring +\d+ +not planned \(provider\) /m);
    expect(out).toMatch(/^deferred {2}truenas .*No route to host/m);
    expect(out).toMatch(/^timers {4}clean-up, caches, scan, scrub, disk on registry-vm$/m);
    expect(code).toBe(0);
    expect(readFileSync(join(output, "stacks/dns/plan.txt"), "utf8")).toContain("2 to add");
  });

  test("makes it an error where it is asked to be strict", async () => {
    expect((await runStart([...REFERENCE, "--strict"], NO_PROVIDER)).code).toBe(2);
  });

  test("fails when a plan fails, and names its error", async () => {
    const { code, err } = await runStart(REFERENCE, '[ "$1" = init ] || { echo "Error: Invalid index" >&2; exit 1; }');
    expect(err).toMatch(/^dns: the plan failed: Invalid index; all of it: .*plan\.txt$/m);
    expect(code).toBe(2);
  });

  test("names the credentials that the state needs once, and plans nothing without them", async () => {
    for (const name of Object.keys(process.env).filter((each) => each.startsWith("AWS_"))) delete process.env[name];
    process.env.AWS_SHARED_CREDENTIALS_FILE = process.env.AWS_CONFIG_FILE = join(directory, "none");
    const { code, err } = await runStart(
      ["--site", "examples/company/site.ts"],
      `echo >>'${join(directory, "asked")}'`,
    );
    expect({ code, asked: existsSync(join(directory, "asked")) }).toEqual({ code: 2, asked: false });
    expect(err).toMatch(/^the state is in the bucket corp-terraform, [^\n]*; set AWS_ACCESS_KEY_ID and [^\n]*\n$/);
  });

  test("synthesises without terraform, and says so in one line", async () => {
    const { code, out, err } = startAsProgram(...REFERENCE);
    expect(err.trim()).toMatch(/^nothing is planned without terraform[^\n]*$/);
    expect(out).toMatch(/^dns +\d+ +not planned /m);
    expect(code).toBe(0);
  });
});

describe("npm run synth", () => {
  test("gives the same bytes twice, and from another directory", async () => {
    rmSync(output, { recursive: true, force: true });
    expect((await runSynth(...REFERENCE)).code).toBe(0);
    const first = contents(output);
    expect(Object.keys(first).filter((file) => file.endsWith("cdk.tf.json"))).toHaveLength(3);
    rmSync(output, { recursive: true });
    const elsewhere = mkdirSync(join(directory, "elsewhere"), { recursive: true }) ?? "";
    const before = process.cwd();
    process.chdir(elsewhere);
    try {
      expect(await runSynth("--site", join(root, "site/reference.ts"))).toEqual({ code: 0, out: "", err: "" });
    } finally {
      process.chdir(before);
    }
    expect(contents(output)).toEqual(first);
  });

  test("leaves cdktf.out as it was when the site is refused", async () => {
    const before = contents(output);
    const bad = join(directory, "bad.json");
    writeFileSync(bad, "{}");
    const { code, out, err } = await runSynth("--site", bad);
    expect(code).toBe(2);
    expect(out).toBe("");
    expect(err).not.toMatch(/^\s+at /m);
    expect(err).toContain("state: given nothing; allowed is the backend ");
    expect(err).toContain(
      "site: there is nothing to deploy; allowed is at least one of hosts, registry and monitoring\n",
    );
    expect(contents(output)).toEqual(before);
  });

  test("refuses an option that it does not know", async () => {
    const { code, err } = await runSynth("--sites", "site/reference.ts");
    expect(code).toBe(64);
    expect(err).toMatch(/^Unknown option '--sites'[^\n]*\n$/);
  });

  test("synthesises the small example", async () => {
    const before = join(directory, "before");
    cpSync(output, before, { recursive: true });
    expect(await runSynth("--site", "examples/small/site.ts")).toEqual({ code: 0, out: "", err: "" });
    expect(contents(output)).not.toEqual(contents(before));
  });
});
