import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compareSync } from "bcryptjs";
import { runWardenWith } from "./run-warden";

const folder = mkdtempSync(join(tmpdir(), "htpasswd-"));
afterAll(() => rmSync(folder, { recursive: true }));

delete process.env.WARDEN_SITE;
const htpasswd = (args: readonly string[], input = "") => runWardenWith(input, "htpasswd", ...args);

const hashOf = (line: string): string => line.trim().split(":")[1] ?? "";

test("prints the line, and says on standard error where to put it", async () => {
  const { code, out, err } = await htpasswd(["alice"], 'it\'s "$x" ü\n');
  expect(code).toBe(0);
  expect(out).toMatch(/^alice:\$2b\$10\$.{53}\n$/);
  expect(compareSync('it\'s "$x" ü', hashOf(out))).toBe(true);
  expect(err).toBe(
    "add the line to /opt/registry/htpasswd on registry-vm, into the same file, mode 0600; the registry reads it at the next request\n  … | ssh root@10.0.20.10 'cat >>/opt/registry/htpasswd'\n",
  );
});

test("--probe makes the account of the probe: a file of mode 0600 has the password, and no output", async () => {
  const file = join(folder, "probe.env");
  const { code, out, err } = await htpasswd(["--probe", "--account-file", file]);
  expect(code).toBe(0);
  expect(out).toMatch(/^registry-probe:\$2b\$04\$.{53}\n$/);
  const [, password = ""] = /^REG_USER=registry-probe\nREG_PASS=(.*)\n$/.exec(readFileSync(file, "utf8")) ?? [];
  expect(Buffer.from(password, "base64url")).toHaveLength(32);
  expect(compareSync(password, hashOf(out))).toBe(true);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(out + err).not.toContain(password);
  expect(err).toContain(
    `kubectl --kubeconfig ~/.kube/config --namespace monitoring create secret generic registry-probe-credentials --from-env-file ${file}\n`,
  );
});

test("--probe never writes to an existing file", async () => {
  const file = join(folder, "mine.env");
  writeFileSync(file, "mine");
  const { code, out, err } = await htpasswd(["--probe", "other", "--account-file", file]);
  expect({ code, out, content: readFileSync(file, "utf8") }).toEqual({ code: 2, out: "", content: "mine" });
  expect(err).toMatch(/^error: the account file .*mine\.env exists; name another/);
});

test.each([
  ["nothing", ""],
  ["an empty line", "\n"],
  ["two lines", "one\ntwo\n"],
  ["more than bcrypt takes", `${"x".repeat(73)}\n`],
])("%s is no password: 2, with one line", async (_, input) => {
  const { code, out, err } = await htpasswd(["alice"], input);
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err).toMatch(/^error: given a password [^\n]*\n$/);
});

test.each([
  ["no user", []],
  ["a user with a colon", ["a:b"]],
  ["two users", ["a", "b"]],
  ["a password as an argument", ["a", "--password", "secret"]],
  ["a file without --probe", ["a", "--account-file", join(folder, "none.env")]],
])("%s: wrong usage", async (_, args) => {
  expect(await htpasswd(args, "password\n")).toMatchObject({ code: 64, out: "" });
  expect(existsSync(join(folder, "none.env"))).toBe(false);
});

test("exits with 2 if the named site cannot be read", async () => {
  expect(await htpasswd(["alice", "--site", join(folder, "none.ts")], "password\n")).toMatchObject({
    code: 2,
    out: "",
  });
});
