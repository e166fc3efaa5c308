import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compareSync } from "bcryptjs";

const root = join(__dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "htpasswd-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A process of its own, because it reads its standard input. */
const htpasswd = (args: readonly string[], input = "") => {
  const { WARDEN_SITE: _, ...env } = process.env;
  const command = ["--import", "tsx", "cli/warden.ts", "htpasswd", ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { cwd: root, encoding: "utf8", input, env });
  return { status, stdout, stderr };
};
const hashOf = (line: string): string => line.trim().split(":")[1] ?? "";

test("prints the line, and on standard error where it goes", () => {
  const { status, stdout, stderr } = htpasswd(["alice"], 'it\'s "$x" ü\n');
  expect(status).toBe(0);
  expect(stdout).toMatch(/^alice:\$2b\$10\$.{53}\n$/);
  expect(compareSync('it\'s "$x" ü', hashOf(stdout))).toBe(true);
  expect(stderr).toBe(
    "add the line to /opt/registry/htpasswd on registry-vm, into the same file, mode 0600; the registry reads it at the next request\n  … | ssh root@10.0.20.10 'cat >>/opt/registry/htpasswd'\n",
  );
});

test("--probe makes the account of the probe: a file of mode 0600 has the password, and no output", () => {
  const file = join(folder, "probe.env");
  const { status, stdout, stderr } = htpasswd(["--probe", "--account-file", file]);
  expect(status).toBe(0);
  expect(stdout).toMatch(/^registry-probe:\$2b\$04\$.{53}\n$/);
  const [, password = ""] = /^REG_USER=registry-probe\nREG_PASS=(.*)\n$/.exec(readFileSync(file, "utf8")) ?? [];
  expect(Buffer.from(password, "base64url")).toHaveLength(32);
  expect(compareSync(password, hashOf(stdout))).toBe(true);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(stdout + stderr).not.toContain(password);
  expect(stderr).toContain(
    `kubectl --kubeconfig ~/.kube/config --namespace monitoring create secret generic registry-probe-credentials --from-env-file ${file}\n`,
  );
});

test("--probe never writes into a file that is there", () => {
  const file = join(folder, "mine.env");
  writeFileSync(file, "mine");
  const { status, stdout, stderr } = htpasswd(["--probe", "other", "--account-file", file]);
  expect({ status, stdout, content: readFileSync(file, "utf8") }).toEqual({ status: 2, stdout: "", content: "mine" });
  expect(stderr).toMatch(
    /^error: given .*mine\.env for the account, which exists; allowed is a new file; name another/,
  );
});

test.each([
  ["nothing", ""],
  ["an empty line", "\n"],
  ["two lines", "one\ntwo\n"],
  ["more than bcrypt takes", `${"x".repeat(73)}\n`],
])("%s is no password: 2, with one line", (_, input) => {
  const { status, stdout, stderr } = htpasswd(["alice"], input);
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(stderr).toMatch(/^error: given a password [^\n]*\n$/);
});

test.each([
  ["no user", []],
  ["a user with a colon", ["a:b"]],
  ["two users", ["a", "b"]],
  ["a password as an argument", ["a", "--password", "secret"]],
  ["a file without --probe", ["a", "--account-file", join(folder, "none.env")]],
])("%s: wrong usage", (_, args) => {
  expect(htpasswd(args, "password\n")).toMatchObject({ status: 64, stdout: "" });
  expect(existsSync(join(folder, "none.env"))).toBe(false);
});

test("a site that is named and cannot be read is 2", () => {
  expect(htpasswd(["alice", "--site", join(folder, "none.ts")], "password\n")).toMatchObject({ status: 2, stdout: "" });
});
