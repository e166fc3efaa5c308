import { assembleScript } from "../../hosts/delivery";
import { dnsDelivery } from "../../hosts/resolver";
import { dnsHosts } from "../../site/schema";
import { parsed, reference, type WholeInput } from "../sites";
import { dnsStateOf } from "./dns-state";
import { describeWithHosts, Hosts, type Outcome } from "./hosts";
import { watchedEverySecond } from "./impatience";

const STATE = "/var/lib/registry-warden/dns";

/**
 * The script of the DNS delivery to the reference site's Proxmox host, with this search domain, as made by this
 * version.
 */
const scriptOf = (search: string, version = "1.0.0"): string => {
  const input: WholeInput = {
    ...reference,
    hosts: reference.hosts.map((host) =>
      host.resolver?.kind === "resolv.conf"
        ? { ...host, resolver: { ...host.resolver, search: ["viktorbarzin.lan", search], failoverTest: false } }
        : host,
    ),
  };
  const site = parsed(input);
  const pve = dnsHosts(site).find(({ resolver }) => resolver.kind === "resolv.conf");
  if (pve === undefined) throw new Error("the reference site has no host without systemd-resolved");
  return watchedEverySecond(assembleScript(dnsDelivery(site, pve))).replace(/^VERSION=.*$/m, `VERSION=${version}`);
};

describeWithHosts([], "the deliveries to a booted host, one after the other", () => {
  const hosts = new Hosts();
  const upload = (script: string): string => hosts.ssh("pve", "cat >/root/dns.sh", script);
  const run = (command: string): Outcome => hosts.try("pve", `bash /root/dns.sh ${command}`);
  const deliver = (script: string): string => {
    upload(script);
    const { status, output } = hosts.try("pve", "bash /root/dns.sh apply && bash /root/dns.sh confirm");
    if (status !== 0) throw new Error(output);
    return output;
  };
  const rollback = (...to: string[]): string => hosts.ssh("pve", `bash ${STATE}/delivery.sh rollback ${to.join(" ")}`);
  const state = (): string => dnsStateOf(hosts, "pve");
  const search = (): string => hosts.ssh("pve", "sed -n 's/^search //p' /etc/resolv.conf").trim();
  /** Installs a program that the script finds before the host's own. */
  const shadow = (name: string, body: string): string =>
    hosts.ssh("pve", `install -m 0755 /dev/stdin /usr/local/sbin/${name}`, `#!/bin/bash\n${body}\n`);
  const unshadow = (name: string): string => hosts.ssh("pve", `rm -f /usr/local/sbin/${name}`);
  /** The contents of each backup, oldest first. */
  const backups = (): string[] =>
    hosts
      .ssh("pve", `bash ${STATE}/delivery.sh backups`)
      .trim()
      .split("\n")
      .map((line) => Buffer.from(line.split(" ")[3] ?? "", "base64").toString("utf8"));

  /** Makes a delivery pause after a step of its journal until /run/brake is removed. */
  const brake = (step: string): void => {
    shadow(
      "sync",
      `/usr/bin/sync "$@"
if [[ \${!#} == */journal && -e /run/brake && $(tail -n 1 "\${!#}") == "$(</run/brake)" ]]; then
  touch /run/braked
  while [[ -e /run/brake ]]; do sleep 0.1; done
fi`,
    );
    hosts.ssh("pve", `rm -f /run/braked; printf '%s' '${step}' >/run/brake`);
  };
  const applyUpTo = async (step: string, script: string): Promise<void> => {
    brake(step);
    upload(script);
    hosts.ssh("pve", "setsid bash /root/dns.sh apply </dev/null >/run/apply.log 2>&1 &");
    await hosts.until("pve", "test -e /run/braked");
  };

  let before: string;
  beforeAll(() => {
    hosts.up();
    before = state();
  }, 600_000);
  afterAll(() => hosts.down());
  beforeEach(() => hosts.fresh("pve"), 120_000);
  // A brake left by a failed test would block the next one.
  afterEach(() => hosts.ssh("pve", "rm -f /run/brake"));

  test("a second script that is uploaded over the first while it runs is not what runs", async () => {
    const [one, two] = [scriptOf("one.lan"), scriptOf("two.lan")];
    await applyUpTo("copied", one);
    upload(two);
    hosts.ssh("pve", "rm /run/brake");
    await hosts.until("pve", "grep -q 'in place and verified' /run/apply.log");
    expect(search()).toBe("viktorbarzin.lan one.lan");
    expect(hosts.ssh("pve", `cat ${STATE}/delivery.sh`)).toBe(one);
    // The second delivery gets the lock next, and waits for the first to be confirmed.
    hosts.ssh("pve", "setsid bash /root/dns.sh apply </dev/null >/run/second.log 2>&1 &");
    await hosts.until("pve", "grep -q 'waits for the confirmation' /run/second.log");
    hosts.ssh("pve", "cat >/root/first.sh && bash /root/first.sh confirm", one);
    await hosts.until("pve", "grep -q 'in place and verified' /run/second.log");
    expect(run("confirm")).toMatchObject({ status: 0 });
    expect(search()).toBe("viktorbarzin.lan two.lan");
    expect(backups()).toEqual(["the host before dns was delivered", "dns as delivered by registry-warden 1.0.0"]);
  }, 300_000);

  test("a rollback goes to before the last one, whatever the clock said at the first", () => {
    shadow("date", `exec /usr/bin/date -d '+5 hours' "$@"`);
    deliver(scriptOf("one.lan"));
    unshadow("date");
    deliver(scriptOf("two.lan"));
    deliver(scriptOf("three.lan"));
    rollback();
    expect(search()).toBe("viktorbarzin.lan two.lan");
    expect(backups()).toHaveLength(4);
  }, 120_000);

  test("backups that were made before there was a record are older than those in it", () => {
    deliver(scriptOf("one.lan"));
    hosts.ssh("pve", "rm /var/lib/registry-warden/backups");
    deliver(scriptOf("two.lan"));
    rollback();
    expect(search()).toBe("viktorbarzin.lan one.lan");
  }, 120_000);

  test("an upgrade of the product that changes no file is a step of its own, and its rollback touches no other", () => {
    const [old, upgraded] = [scriptOf("one.lan"), scriptOf("one.lan", "1.1.0")];
    deliver(old);
    const delivered = state();
    expect(deliver(upgraded)).toMatch(/keeps the program of registry-warden 1\.1\.0; backed up the one before to /);
    expect(hosts.ssh("pve", `head -n 1 ${STATE}/manifest`)).toMatch(/ 1\.1\.0\n$/);
    rollback();
    expect(state()).toBe(delivered);
    expect(hosts.ssh("pve", `cat ${STATE}/delivery.sh`)).toBe(old);
    expect(hosts.ssh("pve", `head -n 1 ${STATE}/manifest`)).toMatch(/ 1\.0\.0\n$/);
  }, 120_000);

  test("a second time nothing is a step", () => {
    deliver(scriptOf("one.lan"));
    deliver(scriptOf("one.lan"));
    expect(backups()).toEqual(["the host before dns was delivered"]);
  }, 120_000);

  test("a backup says what it holds: what was edited by hand is not what was delivered", () => {
    deliver(scriptOf("one.lan"));
    hosts.ssh("pve", "echo 'options rotate' >>/etc/resolv.conf");
    deliver(scriptOf("one.lan", "1.1.0"));
    deliver(scriptOf("two.lan", "1.1.0"));
    expect(backups()).toEqual([
      "the host before dns was delivered",
      "dns as delivered by registry-warden 1.0.0, but edited by hand: /etc/resolv.conf",
      "dns as delivered by registry-warden 1.1.0",
    ]);
  }, 120_000);

  test("what cannot be restored at once is said, and restored as soon as it can be", async () => {
    // The verification fails, and meanwhile a file cannot be replaced.
    await applyUpTo("activated", scriptOf("one.lan"));
    hosts.ssh(
      "pve",
      "mount --bind /etc/resolv.conf /etc/resolv.conf; mv /usr/bin/dig /usr/bin/dig.away; rm /run/brake",
    );
    await hosts.until("pve", "grep -q 'could not restore' /run/apply.log");
    expect(hosts.ssh("pve", "cat /run/apply.log")).toMatch(
      /failed; restores what was there before\n[\s\S]*pve: could not restore everything; it is tried again every 10 s: journalctl -u registry-warden-dns\n$/,
    );
    hosts.ssh("pve", "umount /etc/resolv.conf; mv /usr/bin/dig.away /usr/bin/dig");
    await hosts.until("pve", `test ! -e ${STATE}/pending`, 60);
    expect(state()).toBe(before);
  }, 180_000);
});
