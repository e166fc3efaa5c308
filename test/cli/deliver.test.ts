import { registryHost } from "../../site/schema";
import { referenceSite } from "../sites";
import { answerLine, FakeSsh } from "./fake-ssh";
import { runWarden } from "./run-warden";

// A command that changes anything refuses to run unless the site was chosen explicitly.
process.env.WARDEN_SITE = "site/reference.ts";

const { address } = registryHost(referenceSite);
const finding = (...fields: [what: string, expected: string, actual: string]) =>
  `${answerLine("finding", ...fields)}findings 1\n`;

let ssh: FakeSsh;
beforeEach(() => {
  ssh = new FakeSsh();
  ssh.answer(address, { stdout: finding("servers of systemd-resolved", "10.0.20.1", "192.0.2.1") });
});
afterEach(() => ssh.remove());

/** What each connection ran on the host: the script's arguments, or the command of the program it contains. */
const asked = () =>
  ssh
    .connections()
    .map(({ args, input }) => /^bash "\$program" (.*)$/m.exec(input)?.[1] ?? args.at(-1) ?? "")
    .sort();

test("shows what differs of each delivery, applies it, and confirms it from another connection", async () => {
  const { code, out } = await runWarden("deliver", "registry-vm");
  expect(code).toBe(0);
  for (const delivery of ["dns", "registry"])
    expect(out).toContain(
      `registry-vm: ${delivery} differs from the site in 1 thing\n  servers of systemd-resolved: is 192.0.2.1, should be 10.0.20.1\n`,
    );
  expect(asked()).toEqual([
    ...Array<string>(2).fill("'bash' '-s' '--' 'confirm'"),
    ...Array<string>(2).fill("'bash' '-s' '--' 'inspect'"),
    ...Array<string>(2).fill("apply"),
  ]);
});

test("delivers only the one that is named", async () => {
  expect((await runWarden("deliver", "registry-vm", "dns")).code).toBe(0);
  expect(asked()).toEqual(["'bash' '-s' '--' 'confirm'", "'bash' '-s' '--' 'inspect'", "apply"]);
});

test("--dry-run only compares", async () => {
  expect((await runWarden("deliver", "registry-vm", "dns", "--dry-run")).code).toBe(0);
  expect(asked()).toEqual(["'bash' '-s' '--' 'inspect'"]);
});

test("shows for each file what the host has and what it would get", async () => {
  ssh.answer(address, { stdout: finding("/etc/resolv.conf", "search lan\n", "search lan\noptions rotate\n") });
  const { out } = await runWarden("deliver", "registry-vm", "dns", "--dry-run");
  expect(out).toMatch(/--- the host\n {4}\+\+\+ the site\n[\s\S]*\n {4}-options rotate\n/);
});

test("changes nothing on a host that cannot be inspected", async () => {
  ssh.answer(address, { status: 1, stderr: "registry-vm: no docker\n" });
  expect(await runWarden("deliver", "registry-vm", "dns")).toMatchObject({
    code: 2,
    err: expect.stringMatching(/^error: registry-vm could not be inspected \(registry-vm: no docker\); [^\n]*\n$/),
  });
  expect(asked()).toEqual(["'bash' '-s' '--' 'inspect'"]);
});

test.each([
  ["a delivery that the host does not have", ["pve", "registry"], /the site delivers no registry to pve; give dns, /],
  ["a deferred host", ["truenas"], /truenas is deferred/],
  ["no host of the site", ["nope"], /unknown host "nope"; known hosts: /],
])("refuses %s", async (_, args, message) => {
  const { code, err } = await runWarden("deliver", ...args);
  expect(code).toBe(2);
  expect(err).toMatch(message);
  expect(ssh.connections()).toEqual([]);
});

test.each([
  ["no host", []],
  ["another delivery", ["pve", "monitoring"]],
])("%s: wrong usage", async (_, args) => {
  expect(await runWarden("deliver", ...args)).toMatchObject({ code: 64, out: "" });
});
