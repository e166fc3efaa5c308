import { spawn, spawnSync } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describeWith } from "./components";
import { type LabRegistry, startRegistry } from "./registry";
import { WARDEN_PROGRAM } from "./warden";

const root = join(__dirname, "../..");
const COMMAND = [WARDEN_PROGRAM, "htpasswd"];
const folder = mkdtempSync(join(tmpdir(), "htpasswd-"));
afterAll(() => rmSync(folder, { recursive: true }));

const line = (args: readonly string[], input = ""): string =>
  spawnSync(process.execPath, [...COMMAND, ...args], { cwd: root, encoding: "utf8", input }).stdout;

/** Types an answer at each prompt. @returns what the terminal shows */
const onTerminal = (command: string, answers: readonly string[]): Promise<{ shown: string; status: number | null }> =>
  new Promise((resolve) => {
    const left = [...answers];
    const child = spawn("script", ["-qec", command, "/dev/null"], {
      cwd: root,
      stdio: ["pipe", "pipe", "ignore"],
      env: { ...process.env, NO_COLOR: "1" },
    });
    let shown = "";
    let asked = 0;
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      shown += text;
      const questions = shown.match(/(password|again): /g)?.length ?? 0;
      for (; asked < questions; asked++) child.stdin.write(left.shift() ?? "");
    });
    child.on("close", (status) => resolve({ shown, status }));
  });

describeWith(["registry"], "the real registry and what warden htpasswd makes", () => {
  let registry: LabRegistry;
  /** The HTTP status of /v2/ with these credentials. */
  const answer = async (user: string, password: string): Promise<number> => {
    const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
    return (await fetch(`${registry.url}/v2/`, { headers: { authorization } })).status;
  };
  const add = (text: string) => appendFileSync(join(dirname(registry.root), "htpasswd"), text);

  beforeAll(async () => {
    registry = await startRegistry({ htpasswd: { username: "first", password: "first", cost: 4 } });
  });
  afterAll(() => registry.stop());

  test("takes an account that is added while it runs, and the one before stays", async () => {
    expect(await answer("first", "first")).toBe(200);
    expect(await answer("jürgen", 'it\'s "$x" ü')).toBe(401);
    add(line(["jürgen"], 'it\'s "$x" ü\n'));
    expect(await answer("jürgen", 'it\'s "$x" ü')).toBe(200);
    expect(await answer("jürgen", 'it\'s "$x" u')).toBe(401);
    expect(await answer("first", "first")).toBe(200);
  });

  test("takes the account of the probe", async () => {
    const file = join(folder, "probe.env");
    add(line(["--probe", "--account-file", file]));
    const [, user = "", password = ""] = /REG_USER=(.*)\nREG_PASS=(.*)\n/.exec(readFileSync(file, "utf8")) ?? [];
    expect(await answer(user, password)).toBe(200);
    expect(await answer(user, "another")).toBe(401);
  });

  test("takes an account whose password was typed, which the terminal does not show", async () => {
    const file = join(folder, "line");
    const command = `${process.execPath} ${COMMAND.join(" ")} typist >${file}`;
    const { shown, status } = await onTerminal(command, ["typed in\r", "typed in\r"]);
    expect(status).toBe(0);
    expect(shown).not.toContain("typed in");
    add(readFileSync(file, "utf8"));
    expect(await answer("typist", "typed in")).toBe(200);
  });

  test.each([
    ["two that differ", ["one\r", "two\r"], /error: the two passwords differ; run it again/],
    ["an interruption", ["one\u0003"], /error: no password was given; run it again/],
    ["the end of the input", ["\u0004"], /error: no password was given; run it again/],
  ])("%s is 2 on a terminal", async (_, answers, message) => {
    const { shown, status } = await onTerminal(`${process.execPath} ${COMMAND.join(" ")} typist`, answers);
    expect(shown).toMatch(message);
    expect(shown).not.toContain("typist:$2b$");
    expect(status).toBe(2);
  });
});
