import { managedHosts } from "../../site/schema";
import { referenceSite } from "../sites";
import { answerLine, FakeSsh } from "./fake-ssh";
import { runWarden } from "./run-warden";

// A command that changes anything refuses to run unless the site was chosen explicitly.
process.env.WARDEN_SITE = "site/reference.ts";

const [host] = managedHosts(referenceSite);
if (host === undefined) throw new Error("the reference site has a managed host");

let ssh: FakeSsh;
beforeEach(() => {
  ssh = new FakeSsh();
});
afterEach(() => ssh.remove());

test("prints the host's output, and exits with 0", async () => {
  ssh.answer(host.address, {
    stdout: "pve: with 192.168.1.2 silent, github.com resolved after 2.0 s\npve: dns works\nfindings 0\n",
  });
  expect(await runWarden("dns", "verify", "pve")).toEqual({
    code: 0,
    out: "site: site/reference.ts\npve: with 192.168.1.2 silent, github.com resolved after 2.0 s\npve: dns works\n",
    err: "",
  });
});

test.each([
  [[], "'full'"],
  [["--without-failover-test"], "'quiet'"],
])("%j asks for the check %s", async (options, mode) => {
  ssh.answer(host.address, { stdout: "findings 0\n" });
  await runWarden("dns", "verify", "pve", ...options);
  const [connection] = ssh.connections();
  expect(connection?.args.at(-1)).toBe(`'bash' '-s' '--' 'verify' ${mode} 'findings'`);
  expect(connection?.input).toContain('\nmain "$@"; exit\n');
});

test("prints findings in the form of the contract, whatever they contain, and exits with 1", async () => {
  const actual = 'it\'s "$x"\n\\ ü';
  ssh.answer(host.address, {
    status: 1,
    stdout: `pve: a line\n${answerLine("finding", "github.com", "an address", actual)}findings 1\n`,
  });
  const { code, out } = await runWarden("dns", "verify", "pve", "--json");
  expect({ code, report: JSON.parse(out) }).toEqual({
    code: 1,
    report: { version: 1, host: "pve", findings: [{ what: "github.com", expected: "an address", actual }] },
  });
});

test("prints findings for people", async () => {
  ssh.answer(host.address, {
    status: 1,
    stdout: `pve: a line\n${answerLine("finding", "github.com", "an address", "nothing")}findings 1\n`,
  });
  expect((await runWarden("dns", "verify", "pve")).out).toBe(
    "site: site/reference.ts\npve: a line\npve: 1 finding\n  github.com: expected an address, is nothing\n",
  );
});

test("a host that lacks a tool is 2, with one line", async () => {
  ssh.answer(host.address, { status: 1, stderr: "pve: dig is missing on the host\n" });
  const { code, out, err } = await runWarden("dns", "verify", "pve", "--json");
  expect(code).toBe(2);
  expect(JSON.parse(out)).toMatchObject({
    error: { code: "failed", message: "pve could not be inspected (pve: dig is missing on the host)" },
  });
  expect(err.split("\n")).toHaveLength(2);
});

test("a deferred host is 2: nothing is sent to it", async () => {
  const { code, err } = await runWarden("dns", "verify", "truenas");
  expect(code).toBe(2);
  expect(err).toMatch(/^error: truenas is deferred, unreachable .*; others are "pve", "registry-vm"; /);
  expect(ssh.connections()).toEqual([]);
});

test.each([
  ["no host", ["verify"]],
  ["another action", ["flush", "pve"]],
  ["an unknown option", ["verify", "pve", "--no-failover-test"]],
])("%s: wrong usage", async (_, args) => {
  expect(await runWarden("dns", ...args)).toMatchObject({ code: 64, out: "" });
});
