import { type Look, looksAt } from "../../hosts/drift";
import { managedHosts } from "../../site/schema";
import { referenceSite } from "../sites";
import { type Answer, FakeSsh } from "./fake-ssh";
import { runWarden } from "./run-warden";

const site = referenceSite;
const [proxmox, vm] = managedHosts(site);
if (proxmox === undefined || vm === undefined) throw new Error("the reference site has two managed hosts");

const base64 = (text: string) => Buffer.from(text).toString("base64");
/** What a host prints on which everything is as expected, but for what the function says otherwise. */
const printed = (host: typeof vm, actual: (look: Look) => string = ({ expected }) => expected): Answer => ({
  stdout: looksAt(site, host)
    .map((look) => `${base64(actual(look))}\n`)
    .join(""),
});
const except = (changed: string, actual: string) => (look: Look) => (look.what === changed ? actual : look.expected);

let ssh: FakeSsh;
beforeEach(() => {
  ssh = new FakeSsh();
});
afterEach(() => ssh.remove());

test("ends with 0 where every host is as the site has it, and names the deferred one with its reason", async () => {
  ssh.answer(proxmox.address, printed(proxmox));
  ssh.answer(vm.address, printed(vm));
  expect(await runWarden("drift")).toEqual({
    code: 0,
    out: 'pve: as the site has it\nregistry-vm: as the site has it\ntruenas: deferred: unreachable when the change was made ("No route to host" on 10.0.10.0/24)\n',
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
  const look = looksAt(site, proxmox).find(({ what }) => what === file);
  ssh.answer(proxmox.address, printed(proxmox, except(file, `${look?.expected}options rotate\n`)));
  const { code, out } = await runWarden("drift", "pve");
  expect(code).toBe(1);
  expect(out).toContain("pve: 1 finding\n  /etc/resolv.conf:\n    --- the site\n    +++ the host\n    @@ ");
  expect(out).toContain("\n    +options rotate\n");
});

test("prints one JSON document, as the contract has it", async () => {
  const what = "servers of systemd-resolved";
  ssh.answer(vm.address, printed(vm, except(what, "192.0.2.1")));
  const { code, out } = await runWarden("drift", "registry-vm", "--json");
  expect({ code, report: JSON.parse(out) }).toEqual({
    code: 1,
    report: { version: 1, host: "registry-vm", findings: [{ what, expected: "10.0.20.1", actual: "192.0.2.1" }] },
  });
});

test("prints a list of reports for all hosts", async () => {
  ssh.answer(proxmox.address, printed(proxmox));
  ssh.answer(vm.address, printed(vm));
  const { out } = await runWarden("drift", "--json");
  expect(JSON.parse(out)).toMatchObject([
    { host: "pve", findings: [] },
    { host: "registry-vm", findings: [] },
    { host: "truenas", findings: [] },
  ]);
});

test("calls a file that is not there absent", async () => {
  ssh.answer(vm.address, printed(vm, except("/opt/registry/nginx.conf", "absent")));
  expect((await runWarden("drift", "registry-vm")).out).toBe(
    "registry-vm: 1 finding\n  /opt/registry/nginx.conf: is absent\n",
  );
});

test("looks at every file that is delivered, the resolver, and every container", () => {
  const whats = looksAt(site, vm).map(({ what }) => what);
  expect(whats).toEqual(
    expect.arrayContaining([
      "/etc/systemd/resolved.conf.d/10-internal-dns.conf",
      "mode and owner of /etc/cloud/cloud.cfg.d/99-disable-network-config.cfg",
      "nameservers of eth0 in /etc/netplan/50-cloud-init.yaml",
      "servers of eth0 in systemd-resolved",
      "servers of systemd-resolved",
      "search domains of systemd-resolved",
      "/opt/registry/docker-compose.yml",
      "/opt/registry/config-private.yml",
      "container registry-private",
      "container registry-nginx",
      "containers of compose project registry",
    ]),
  );
  expect(looksAt(site, proxmox).map(({ what }) => what)).toEqual([
    "/etc/resolv.conf",
    "mode and owner of /etc/resolv.conf",
  ]);
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

  test("hides nothing of the others: a finding of theirs is 1", async () => {
    ssh.answer(vm.address, printed(vm, except("servers of systemd-resolved", "192.0.2.1")));
    const { code, out, err } = await runWarden("drift");
    expect(code).toBe(1);
    expect(out).toContain("registry-vm: 1 finding\n");
    expect(err).toMatch(/^error: pve cannot be reached /);
  });

  test("is 2 where the others are as they should be, and they are still shown", async () => {
    ssh.answer(vm.address, printed(vm));
    const { code, out } = await runWarden("drift");
    expect(code).toBe(2);
    expect(out).toContain("registry-vm: as the site has it\n");
  });

  test("is one line with several", async () => {
    const { code, err } = await runWarden("drift");
    expect(code).toBe(2);
    expect(err).toMatch(/^error: pve cannot be reached [^\n]*, registry-vm cannot be reached [^\n]*\n$/);
  });

  test.each<[string, Answer, RegExp]>([
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
      { status: 1, stderr: "sudo: a password is required\n" },
      /pve cannot be looked at \(sudo: a password is required\)/,
    ],
    ["because it ends before it has said all", { stdout: "YWJz\n" }, /pve cannot be looked at \(it did not say all\)/],
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
      err: 'error: given "nope", which is no host of the site; allowed is "pve", "registry-vm", "truenas"; give one of them, or another site with --site\n',
    });
  });
});

test.each([
  ["two hosts", ["pve", "registry-vm"]],
  ["an unknown option", ["--fix"]],
])("%s: wrong usage", async (_, args) => {
  expect(await runWarden("drift", ...args)).toMatchObject({ code: 64, out: "" });
});
