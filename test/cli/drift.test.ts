import { managedHosts } from "../../site/schema";
import { referenceSite } from "../sites";
import { answerLine, FakeSsh, type SshAnswer } from "./fake-ssh";
import { runWarden } from "./run-warden";

const [proxmox, vm] = managedHosts(referenceSite);
if (proxmox === undefined || vm === undefined) throw new Error("the reference site has two managed hosts");

type Fields = [what: string, expected: string, actual: string];
/** What a host with these findings prints; it is queried once per delivery. */
const found = (...findings: Fields[]): SshAnswer => ({
  stdout: `${findings.map((fields) => answerLine("finding", ...fields)).join("")}findings ${findings.length}\n`,
  status: Number(findings.length > 0),
});

let ssh: FakeSsh;
beforeEach(() => {
  ssh = new FakeSsh();
});
afterEach(() => ssh.remove());

test("exits with 0 if every host matches the site, and names the deferred one with its reason", async () => {
  ssh.answer(proxmox.address, found());
  ssh.answer(vm.address, found());
  expect(await runWarden("drift")).toEqual({
    code: 0,
    out: 'site: site/reference.ts\npve: as the site has it\nregistry-vm: as the site has it\ntruenas: deferred: unreachable when the change was made ("No route to host" on 10.0.10.0/24)\n',
    err: "",
  });
});

test("sends nothing to a deferred host", async () => {
  const { code, out } = await runWarden("drift", "truenas", "--json");
  expect({ code, report: JSON.parse(out) }).toEqual({
    code: 0,
    report: { version: 1, host: "truenas", findings: [], deferred: expect.stringContaining("No route to host") },
  });
  expect(ssh.connections()).toEqual([]);
});

test("shows a changed file as a difference, from the site to the host, and ends with 1", async () => {
  const file = "/etc/resolv.conf";
  ssh.answer(proxmox.address, found([file, "search lan\n", "search lan\noptions rotate\n"]));
  const { code, out } = await runWarden("drift", "pve");
  expect(code).toBe(1);
  expect(out).toContain("pve: 1 finding\n  /etc/resolv.conf:\n    --- the site\n    +++ the host\n    @@ ");
  expect(out).toContain("\n    +options rotate\n");
  expect(out).toMatch(/\nnext {6}warden deliver pve --site site\/reference\.ts {4}[^\n]*\n$/);
});

test("prints one JSON document in the form of the contract", async () => {
  const what = "servers of systemd-resolved";
  ssh.answer(proxmox.address, found([what, "10.0.20.1", "192.0.2.1"]));
  const { code, out } = await runWarden("drift", "pve", "--json");
  expect({ code, report: JSON.parse(out) }).toEqual({
    code: 1,
    report: { version: 1, host: "pve", findings: [{ what, expected: "10.0.20.1", actual: "192.0.2.1" }] },
  });
});

test("prints a list of reports for all hosts", async () => {
  ssh.answer(proxmox.address, found());
  ssh.answer(vm.address, found());
  const { out } = await runWarden("drift", "--json");
  expect(JSON.parse(out)).toMatchObject([
    { host: "pve", findings: [] },
    { host: "registry-vm", findings: [] },
    { host: "truenas", findings: [] },
  ]);
});

test("asks the registry host of each delivery, in the order in which they are delivered", async () => {
  ssh.answer(vm.address, found(["a file", "one", "another"]));
  const { out } = await runWarden("drift", "registry-vm", "--json");
  expect(JSON.parse(out).findings).toHaveLength(2);
  const asked = ssh.connections().map(({ args, input }) => [args.at(-1), /^DELIVERY=.*$/m.exec(input)?.[0]]);
  expect(asked.sort()).toEqual([
    ["'bash' '-s' '--' 'inspect'", "DELIVERY='dns'"],
    ["'bash' '-s' '--' 'inspect'", "DELIVERY='registry'"],
  ]);
});

test("does not send the bundles, which are compared by their digests", async () => {
  ssh.answer(vm.address, found());
  await runWarden("drift", "registry-vm");
  for (const { input } of ssh.connections()) expect(input.length).toBeLessThan(150_000);
});

test("ignores what a chatty shell prints first", async () => {
  ssh.answer(proxmox.address, { ...found(), banner: "Welcome to pve!\nfinding eA== eA== eA==\n" });
  expect(await runWarden("drift", "pve")).toMatchObject({
    code: 0,
    out: "site: site/reference.ts\npve: as the site has it\n",
  });
});

describe("a host that cannot be asked", () => {
  test("is an error with its hint, and one JSON document", async () => {
    const { code, out, err } = await runWarden("drift", "pve", "--json");
    expect(code).toBe(2);
    expect(JSON.parse(out)).toEqual({
      version: 1,
      error: {
        code: "unreachable",
        message: `pve cannot be reached (ssh: connect to host ${proxmox.address} port 22: No route to host)`,
        hint: `check that ssh -p 22 root@${proxmox.address} works, and its host key`,
      },
    });
    expect(err).toMatch(/^error: pve cannot be reached [^\n]*\n$/);
  });

  test("does not hide the others: their findings give 1", async () => {
    ssh.answer(vm.address, found(["servers of systemd-resolved", "10.0.20.1", "192.0.2.1"]));
    const { code, out, err } = await runWarden("drift");
    expect(code).toBe(1);
    expect(out).toContain("registry-vm: 2 findings\n");
    expect(err).toMatch(/^error: pve cannot be reached /);
  });

  test("gives 2 if the others match, and they are still shown", async () => {
    ssh.answer(vm.address, found());
    const { code, out } = await runWarden("drift");
    expect(code).toBe(2);
    expect(out).toContain("registry-vm: as the site has it\n");
  });

  test("is one line with several", async () => {
    const { code, err } = await runWarden("drift");
    expect(code).toBe(2);
    expect(err).toMatch(/^error: pve cannot be reached [^\n]*, registry-vm cannot be reached [^\n]*\n$/);
  });

  test.each<[string, SshAnswer, RegExp]>([
    [
      "because the key is another one",
      { status: 255, stderr: "@@@ WARNING @@@\nHost key verification failed.\n" },
      /pve cannot be reached \(Host key verification failed\.\)/,
    ],
    [
      "because the key of the jump host is another one",
      { status: 255, stderr: "Host key verification failed.\r\nConnection closed by UNKNOWN port 65535\r\n" },
      /pve cannot be reached \(Host key verification failed\.\)/,
    ],
    [
      "because its user may not use sudo",
      { runs: false, status: 1, stderr: "sudo: a password is required\n" },
      /pve runs no command for root \(sudo: a password is required\); let the user of ssh\.user become root by sudo/,
    ],
    [
      "because its user may only transfer files",
      { runs: false, status: 1, banner: "This service allows sftp connections only.\n" },
      /\(This service allows sftp connections only\.\); set ssh\.user to one whom sshd lets run commands/,
    ],
    [
      "because its user has no shell",
      { runs: false, status: 1, banner: "Welcome!\nThis account is currently not available.\n" },
      /\(This account is currently not available\.\); set ssh\.user to one with a login shell/,
    ],
    [
      "because it has no bash",
      { runs: false, status: 127, stderr: "sh: 1: bash: not found\n" },
      /\(sh: 1: bash: not found\); install bash on the host/,
    ],
    [
      "because it says nothing",
      { runs: false },
      /pve runs no command for root \(it says nothing\); set ssh\.user to one whom sshd lets run bash/,
    ],
    [
      "because it ends before it has said all",
      { stdout: "finding YQ== Yg== Yw==\n" },
      /pve could not be inspected \(the output is incomplete\)/,
    ],
    [
      "because a check itself fails",
      { status: 1, stderr: "pve: the host does not run systemd\n" },
      /pve could not be inspected \(pve: the host does not run systemd\)/,
    ],
  ])("%s", async (_, answer, message) => {
    ssh.answer(proxmox.address, answer);
    const { code, err } = await runWarden("drift", "pve");
    expect(code).toBe(2);
    expect(err).toMatch(message);
    expect(err.split("\n")).toHaveLength(2);
  });

  test("because there is no such host", async () => {
    expect(await runWarden("drift", "nope")).toMatchObject({
      code: 2,
      err: 'error: unknown host "nope"; known hosts: "pve", "registry-vm", "truenas"; give one of them, or another site with --site\n',
    });
  });
});

test.each([
  ["two hosts", ["pve", "registry-vm"]],
  ["an unknown option", ["--fix"]],
])("%s: wrong usage", async (_, args) => {
  expect(await runWarden("drift", ...args)).toMatchObject({ code: 64, out: "" });
});
