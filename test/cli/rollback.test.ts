import { registryHost } from "../../site/schema";
import { referenceSite } from "../sites";
import { answerLine, FakeSsh } from "./fake-ssh";
import { runWarden } from "./run-warden";

// A command that changes anything refuses to run unless the site was chosen explicitly.
process.env.WARDEN_SITE = "site/reference.ts";

const { address } = registryHost(referenceSite);
const dns = (stamp: string) => `/root/dns-backups/dns-config-backup-${stamp}.tar.gz`;
const registry = (stamp: string) => `/root/registry-backups/registry-config-backup-${stamp}.tar.gz`;
const backups = [dns("20260101-000000"), registry("20260102-000000"), dns("20260102-000000"), dns("20260101-120000")];

/** How a host lists the backups of its DNS delivery; it lists none for its registries. */
const listed = (paths: readonly string[], place = (_index: number) => 0) =>
  paths.map((path, index) => answerLine(`backup ${place(index)}`, path, `what ${index} holds`)).join("");

let ssh: FakeSsh;
beforeEach(() => {
  ssh = new FakeSsh();
  ssh.answer(address, { stdout: listed(backups) });
});
afterEach(() => ssh.remove());

/** The command that the last connection ran; the first one lists the backups. */
const commandOf = () =>
  ssh
    .connections()
    .map(({ input }) => /^bash "\$program" (.*)$/m.exec(input)?.[1])
    .find((command) => command !== undefined);

test("goes back to the newest backup of any delivery", async () => {
  ssh.answer(address, { stdout: listed([dns("20260101-000000"), registry("20260103-000000")]) });
  const { code, out } = await runWarden("rollback", "registry-vm");
  expect(code).toBe(0);
  expect(out).toMatch(/^registry-vm: goes back to \/root\/registry-backups\/registry-config-backup-20260103-000000/);
  expect(commandOf()).toBe(`rollback '${registry("20260103-000000")}'`);
});

test("goes back to the newest by the record of the host, whatever its clock said", async () => {
  const paths = [dns("20260105-000000"), dns("20260103-000000"), registry("20260104-000000")];
  ssh.answer(address, { stdout: listed(paths, (index) => [1, 3, 2][index] ?? 0) });
  const { out } = await runWarden("rollback", "registry-vm");
  expect(out).toMatch(/^registry-vm: goes back to .*20260103-000000\.tar\.gz \(what 1 holds\)\n/);
  expect(commandOf()).toBe(`rollback '${dns("20260103-000000")}'`);
});

test.each([
  ["time stamp", "20260101-120000"],
  ["name", "dns-config-backup-20260101-120000.tar.gz"],
  ["path", dns("20260101-120000")],
])("goes back to one that is named by its %s", async (_, name) => {
  expect(await runWarden("rollback", "registry-vm", "--to", name)).toMatchObject({ code: 0, err: "" });
  expect(commandOf()).toBe(`rollback '${dns("20260101-120000")}'`);
});

test("--dry-run only shows", async () => {
  const { code, out } = await runWarden("rollback", "registry-vm", "--dry-run", "--to", "20260101-000000");
  expect(code).toBe(0);
  expect(out).toContain(`registry-vm: has ${registry("20260102-000000")} (what 1 holds)\n`);
  expect(out).toContain(`registry-vm: would go back to ${dns("20260101-000000")} (what 0 holds)\n`);
  expect(commandOf()).toBe(`difference '${dns("20260101-000000")}'`);
});

test.each([
  ["is not there", "20250101-000000", /registry-vm has no backup "20250101-000000"; its backups are /],
  ["means two", "20260102-000000", /registry-vm has more than one backup "20260102-000000"; its backups are /],
  ["is none of ours", "dns-config-backup-of-mine.tar.gz", /has no backup "dns-config-backup-of-mine\.tar\.gz"/],
])("refuses a backup that %s", async (_, name, message) => {
  const { code, err } = await runWarden("rollback", "registry-vm", "--to", name);
  expect(code).toBe(2);
  expect(err).toMatch(message);
  expect(commandOf()).toBeUndefined();
});

test("refuses a host to which nothing was delivered", async () => {
  ssh.answer(address, { stdout: "\n" });
  expect(await runWarden("rollback", "registry-vm")).toMatchObject({
    code: 2,
    err: "error: registry-vm has no backup; deliver something to it first: until then there is nothing to go back to\n",
  });
});

test("says why a host was not rolled back", async () => {
  ssh.answer(address, { stdout: "", status: 1, stderr: "registry-vm: no room\nmore\n" });
  expect(await runWarden("rollback", "registry-vm")).toMatchObject({
    code: 2,
    err: expect.stringMatching(/^error: registry-vm was not rolled back \(registry-vm: no room\); [^\n]*\n$/),
  });
});

test("a deferred host is 2, no host at all 64", async () => {
  expect((await runWarden("rollback", "truenas")).code).toBe(2);
  expect((await runWarden("rollback")).code).toBe(64);
  expect(ssh.connections()).toEqual([]);
});
