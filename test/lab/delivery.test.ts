import { spawn } from "node:child_process";
import { assembleScript } from "../../hosts/delivery";
import { dnsDelivery } from "../../hosts/resolver";
import { dnsHosts } from "../../site/schema";
import { parsed, reference, type WholeInput } from "../sites";
import { dnsStateOf, filesOf } from "./dns-state";
import { describeWithHosts, Hosts, type Outcome } from "./hosts";
import { impatient, watchedEverySecond } from "./impatience";

const PENDING = "/var/lib/registry-warden/dns/pending";
const JOURNAL = "/var/lib/registry-warden/dns/last/journal";
const AGAIN = "warden deliver registry-vm dns";

type ResolverInput = Record<string, unknown>;

/** The script of the DNS delivery to the reference site's VM, with these changes to its resolver. */
const scriptWith = (change: ResolverInput): string => {
  const input: WholeInput = {
    ...reference,
    hosts: reference.hosts.map((host) =>
      host.resolver?.kind === "systemd-resolved" ? { ...host, resolver: { ...host.resolver, ...change } } : host,
    ),
  };
  const site = parsed(input);
  const vm = dnsHosts(site).find(({ resolver }) => resolver.kind === "systemd-resolved");
  if (vm === undefined) throw new Error("the reference site has no host with systemd-resolved");
  return watchedEverySecond(assembleScript(dnsDelivery(site, vm)));
};

/** What is on the host before, and what the interrupted delivery brings: files changed, added and removed. */
const delivered = scriptWith({ failoverTest: false });
const wanted = scriptWith({
  failoverTest: false,
  dropIn: "20-renamed",
  search: ["viktorbarzin.lan", "example.lan"],
  nameservers: ["10.0.20.1", "94.140.14.14", "192.0.2.53"],
});

describeWithHosts([], "a delivery on a booted host", () => {
  const hosts = new Hosts();
  const upload = (script: string): string =>
    hosts.ssh("vm", "install -d -m 0700 .registry-warden && cat >.registry-warden/dns.sh", script);
  const run = (command: string): Outcome => hosts.try("vm", `bash .registry-warden/dns.sh ${command}`);
  const deliver = (script: string): void => {
    upload(script);
    for (const command of ["apply", "confirm"]) {
      const { status, output } = run(command);
      if (status !== 0) throw new Error(output);
    }
  };
  const state = (): string => dnsStateOf(hosts, "vm");

  /** Installs a sync that hangs forever once it has flushed the given step of the journal. */
  const installBrake = (): void => {
    hosts.ssh(
      "vm",
      `install -m 0755 /dev/stdin /usr/local/sbin/sync <<'EOF'
#!/bin/bash
/usr/bin/sync "$@"
journal=\${!#}
if [[ $journal == */journal && -e /run/brake && $(tail -n 1 "$journal") == "$(</run/brake)" ]]; then
  touch /run/braked
  (exec -a braked sleep 600) || true
fi
EOF`,
    );
  };

  /** Starts a delivery and returns once it hangs at the step. */
  const applyUpTo = async (step: string, script = wanted): Promise<void> => {
    upload(script);
    hosts.ssh(
      "vm",
      `rm -f /run/braked; printf '%s' '${step}' >/run/brake
       setsid bash .registry-warden/dns.sh apply </dev/null >/run/apply.log 2>&1 &`,
    );
    await hosts.until("vm", "test -e /run/braked");
  };

  const resolves = (): void => {
    expect(hosts.ssh("vm", "getent ahosts idrac.viktorbarzin.lan")).toContain("192.168.1.4");
    expect(hosts.ssh("vm", "getent ahosts github.com")).not.toBe("");
  };

  let before: string;
  let steps: string[];
  /** The first step of each kind: "armed", "copied", "placed …". */
  const kinds = (): string[] => [...new Map(steps.toReversed().map((step) => [step.split(" ")[0], step])).values()];

  beforeAll(() => {
    hosts.up();
    installBrake();
    deliver(wanted);
    deliver(delivered);
    before = state();
    deliver(wanted);
    steps = hosts.ssh("vm", `cat ${JOURNAL}`).trim().split("\n");
    deliver(delivered);
    expect(state()).toBe(before);
  }, 600_000);
  afterAll(() => hosts.down());

  test("has a journal of every file that it places or removes", () => {
    expect(steps[0]).toBe("armed");
    expect(steps).toEqual(
      expect.arrayContaining([
        "placed /etc/netplan/50-cloud-init.yaml",
        "placed /etc/systemd/resolved.conf.d/20-renamed.conf",
        "removed /etc/systemd/resolved.conf.d/10-internal-dns.conf",
      ]),
    );
    expect(steps.slice(-3)).toEqual(["activated", "verified", "awaiting"]);
  });

  test("leaves nothing in the way of a boot once it is over", () => {
    expect(hosts.try("vm", "systemctl list-unit-files | grep registry-warden").output).toBe("");
  });

  test("is undone within seconds by the watch, after the process was killed at any kind of step", async () => {
    for (const step of kinds()) {
      await applyUpTo(step, impatient(wanted));
      hosts.ssh("vm", "pkill -KILL -f 'registry-warden/[d]ns.sh apply'; pkill -KILL -f '^brake[d]'");
      await hosts.until("vm", `test ! -e ${PENDING} && ! systemctl cat registry-warden-dns.timer 2>/dev/null`, 40);
      expect([step, state()]).toEqual([step, before]);
      resolves();
    }
  }, 600_000);

  test("is undone at boot, before the network is up, after the power was cut at any step", async () => {
    const files = filesOf(hosts, "vm");
    for (const step of steps) {
      await applyUpTo(step);
      hosts.cut("vm");
      hosts.boot("vm");
      const units = / systemd\/system\S*| registry-warden/;
      const ours = (text: string) =>
        text.split("\n").filter((line) => !units.test(` ${line}`) && !line.includes("registry-warden"));
      expect([step, ours(filesOf(hosts, "vm"))]).toEqual([step, ours(files)]);
      await hosts.until("vm", `test ! -e ${PENDING} && ! systemctl cat registry-warden-dns.timer 2>/dev/null`, 40);
      expect([step, state()]).toEqual([step, before]);
      resolves();
    }
  }, 900_000);

  test("is undone after a reboot at any step", async () => {
    for (const step of steps) {
      await applyUpTo(step);
      hosts.reboot("vm");
      await hosts.until("vm", `test ! -e ${PENDING} && ! systemctl cat registry-warden-dns.timer 2>/dev/null`, 40);
      expect([step, state()]).toEqual([step, before]);
      resolves();
    }
  }, 900_000);

  test("is undone when nobody confirms it, because the connection was lost at some step", async () => {
    // By the time it waits for the confirmation, the connection has ended anyway.
    for (const step of kinds().filter((kind) => kind !== "awaiting")) {
      upload(impatient(wanted));
      hosts.ssh("vm", `rm -f /run/braked; printf '%s' '${step}' >/run/brake`);
      const [program, args, env] = hosts.sshCommand("vm", "bash .registry-warden/dns.sh apply");
      const connection = spawn(program, args, { env, stdio: "ignore", detached: true });
      await hosts.until("vm", "test -e /run/braked");
      // Kill the whole group: the ssh client is a child of the script.
      process.kill(-(connection.pid ?? 0), "SIGKILL");
      hosts.ssh("vm", "rm /run/brake; pkill -f '^brake[d]'");
      await hosts.until("vm", `test ! -e ${PENDING} && ! systemctl cat registry-warden-dns.timer 2>/dev/null`, 60);
      expect([step, state()]).toEqual([step, before]);
      resolves();
    }
  }, 300_000);

  test("fails to be confirmed after it was rolled back, and says how to deliver again", async () => {
    upload(impatient(wanted));
    expect(run("apply")).toMatchObject({ status: 0 });
    await hosts.until("vm", `test ! -e ${PENDING}`, 40);
    const { status, output } = run("confirm");
    expect(status).toBe(1);
    expect(output).toBe(`registry-vm: dns was rolled back before it was confirmed; to deliver again: ${AGAIN}\n`);
    expect(state()).toBe(before);
  }, 120_000);

  test("a second one waits for the first, and both end whole", async () => {
    await applyUpTo("copied");
    hosts.ssh("vm", "cat >/root/second.sh", delivered);
    hosts.ssh("vm", "setsid bash /root/second.sh apply </dev/null >/run/second.log 2>&1 &");
    await hosts.until("vm", "test \"$(pgrep -cf 'flock -w')\" -gt 0");
    hosts.ssh("vm", "rm /run/brake; pkill -f '^brake[d]'");
    await hosts.until("vm", "grep -q 'waits for the confirmation' /run/second.log");
    expect(run("confirm")).toMatchObject({ status: 0 });
    await hosts.until("vm", "grep -q 'in place and verified' /run/second.log");
    expect(hosts.try("vm", "bash /root/second.sh confirm")).toMatchObject({ status: 0 });
    expect(state()).toBe(before);
  }, 180_000);

  test("gives up on a first one that does not end, and has touched nothing", () => {
    hosts.ssh("vm", "setsid flock /var/lib/registry-warden/dns/lock sleep 600 </dev/null >/dev/null 2>&1 &");
    upload(wanted.replace("LOCK_SECONDS=300", "LOCK_SECONDS=1"));
    const { status, output } = run("apply");
    hosts.ssh("vm", "pkill -f '[s]leep 600'");
    expect(output).toMatch(
      /registry-vm: another delivery or a maintenance task has been running for more than 1 s; wait for it to end\n/,
    );
    expect(status).toBe(1);
    expect(state()).toBe(before);
  }, 60_000);

  test("does nothing the second time: no file, no backup, no restart", () => {
    const observed = () =>
      hosts.ssh(
        "vm",
        "find /etc /root/dns-backups -newermt '2000-01-01' -printf '%p %T@ %i\\n' | sort; systemctl show -P ExecMainPID systemd-resolved systemd-networkd",
      );
    deliver(delivered);
    const first = observed();
    upload(delivered);
    expect(run("apply").output).toContain("dns is as delivered, nothing to change\n");
    expect(run("confirm")).toMatchObject({ status: 0 });
    expect(observed()).toBe(first);
  }, 60_000);

  test("puts back a file that somebody changed by hand, and keeps what it was", () => {
    hosts.ssh(
      "vm",
      "echo DNS=9.9.9.9 >>/etc/systemd/resolved.conf.d/10-internal-dns.conf; systemctl restart systemd-resolved",
    );
    deliver(delivered);
    expect(state()).toBe(before);
    expect(hosts.ssh("vm", "bash /var/lib/registry-warden/dns/delivery.sh difference")).toContain("+DNS=9.9.9.9\n");
  }, 60_000);

  test("notices that what runs is not what the files say", () => {
    hosts.ssh("vm", "resolvectl dns eth0 192.0.2.1");
    deliver(delivered);
    expect(state()).toBe(before);
  }, 60_000);

  test("keeps the newest ten backups, and goes back to any of them", () => {
    const backups = () => hosts.ssh("vm", "ls /root/dns-backups").trim().split("\n");
    expect(backups().length).toBeLessThanOrEqual(10);
    deliver(wanted);
    const [third] = backups().slice(-1);
    deliver(scriptWith({ failoverTest: false, search: ["third.lan"] }));
    deliver(scriptWith({ failoverTest: false, dropIn: "30-fourth" }));
    expect(backups()).toHaveLength(10);
    const stamp = /(\d{8}-\d{6})/.exec(third ?? "")?.[1];
    hosts.ssh("vm", `bash /var/lib/registry-warden/dns/delivery.sh rollback ${stamp}`);
    expect(state()).toBe(before);
  }, 120_000);

  describe("that fails", () => {
    /** Replaces a directory with a full file system that holds the same files. */
    const fill = (directory: string) =>
      `mkdir -p ${directory}; cp -a ${directory} /run/kept; mount -t tmpfs -o size=96k tmpfs ${directory}
       cp -a /run/kept/. ${directory}; dd if=/dev/zero of=${directory}/.filler bs=4k 2>/dev/null || true`;
    const empty = (directory: string) => `umount ${directory}; rm -rf /run/kept`;

    test.each<[name: string, arrange: string, restore: string, change: ResolverInput, message: RegExp]>([
      [
        "on a netplan file that is no YAML",
        "install -m 600 /dev/stdin /etc/netplan/99-bad.yaml <<<'network: ['",
        "rm /etc/netplan/99-bad.yaml",
        { search: ["other.lan"], nameservers: ["10.0.20.1", "9.9.9.9"] },
        /netplan refuses the files: .*99-bad\.yaml/,
      ],
      [
        "on a second netplan file, whose nameservers would be appended",
        "install -m 600 /dev/stdin /etc/netplan/60-dns.yaml <<<'{network: {version: 2, ethernets: {eth0: {nameservers: {addresses: [9.9.9.9]}}}}}'",
        "rm /etc/netplan/60-dns.yaml",
        { search: ["other.lan"] },
        /another file than \/etc\/netplan\/50-cloud-init\.yaml adds to the nameservers of eth0: .*60-dns\.yaml/,
      ],
      [
        "on an interface that the file does not define",
        "true",
        "true",
        { netplan: { file: "/etc/netplan/50-cloud-init.yaml", interface: "eth1" } },
        /does not define eth1; set resolver\.netplan\.file to the file that does/,
      ],
      [
        "on a primary that does not know the internal name",
        "true",
        "true",
        { nameservers: ["94.140.14.14", "10.0.20.1"] },
        /idrac\.viktorbarzin\.lan, asked of the primary 94\.140\.14\.14: got nothing, expected 192\.168\.1\.4; check/,
      ],
      [
        "on a fallback that does not answer",
        "true",
        "true",
        { nameservers: ["10.0.20.1", "192.0.2.53"], failoverTest: true },
        /github\.com, while 10\.0\.20\.1 is silent: got nothing, expected an address within 15 s; check/,
      ],
      [
        "on a read-only /etc",
        "mount --bind /etc /etc && mount -o remount,ro,bind /etc",
        "umount /etc",
        { search: ["other.lan"] },
        /Read-only file system/,
      ],
      [
        "on a full disk for its state",
        fill("/var/lib/registry-warden"),
        empty("/var/lib/registry-warden"),
        { search: ["other.lan"] },
        /No space left on device/,
      ],
      [
        "on a full disk for its backup",
        fill("/root/dns-backups"),
        empty("/root/dns-backups"),
        { search: ["other.lan"] },
        /No space left on device/,
      ],
      [
        "on a full disk for a configuration file",
        fill("/etc/netplan"),
        empty("/etc/netplan"),
        { nameservers: ["10.0.20.1", "94.140.14.14", "9.9.9.9"] },
        /No space left on device/,
      ],
      [
        "on a host without dig",
        "mv /usr/bin/dig /usr/bin/dig.away",
        "mv /usr/bin/dig.away /usr/bin/dig",
        { search: ["other.lan"] },
        /dig is missing on the host; install it there, nothing is installed from here/,
      ],
    ])(
      "%s leaves the host as it was",
      (_, arrange, restore, change, message) => {
        hosts.ssh("vm", arrange);
        try {
          const arranged = state();
          upload(scriptWith({ failoverTest: false, ...change }));
          const { status, output } = run("apply");
          expect(output).toMatch(message);
          expect(status).toBe(1);
          expect(output).not.toContain("could not restore");
          expect(state()).toBe(arranged);
          resolves();
        } finally {
          hosts.ssh("vm", restore);
        }
        expect(state()).toBe(before);
      },
      120_000,
    );
  });

  test("cloud-init does not write the netplan file again, whatever instance it takes the host for", () => {
    hosts.ssh(
      "vm",
      `rm -f /etc/cloud/cloud-init.disabled
       mkdir -p /var/lib/cloud/seed/nocloud
       printf 'instance-id: another\\n' >/var/lib/cloud/seed/nocloud/meta-data
       printf '#cloud-config\\n{}\\n' >/var/lib/cloud/seed/nocloud/user-data
       printf 'version: 2\\nethernets: {eth0: {dhcp4: true}}\\n' >/var/lib/cloud/seed/nocloud/network-config
       printf 'datasource_list: [NoCloud, None]\\n' >/etc/cloud/ds-identify.cfg
       cloud-init clean --logs >/dev/null
       cloud-init init --local >/run/cloud-init.log 2>&1 || true
       touch /etc/cloud/cloud-init.disabled`,
    );
    expect(hosts.ssh("vm", "cat /run/cloud-init.log")).toContain("init-local");
    expect(state()).toBe(before);
  }, 60_000);
});
