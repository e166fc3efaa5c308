import { execFile, spawnSync } from "node:child_process";
import { basename } from "node:path";
import { promisify } from "node:util";
import { referenceSite } from "../sites";
import { describeWithHosts, Hosts, type LabHost } from "./hosts";

/** The output lines of a command on this machine. */
const shell = (command: string): string[] =>
  spawnSync("bash", ["-c", command], { encoding: "utf8" })
    .stdout.split("\n")
    .filter((line) => line !== "");

describeWithHosts([], "the booted hosts", () => {
  const { dns, hosts: declared } = referenceSite;
  const hosts = new Hosts();
  /** A host's name servers in the reference site, primary first. */
  const resolvers = (host: LabHost) =>
    declared.find(({ name }) => name === (host === "pve" ? "pve" : "registry-vm"))?.resolver?.nameservers ?? [];
  const lookUp = (host: LabHost, name: string, server = resolvers(host)[0]) =>
    hosts.ssh(host, `dig +short +tries=1 +time=2 @${server} ${name}`).trim();
  const bootOf = (host: LabHost) => hosts.ssh(host, "cat /proc/sys/kernel/random/boot_id");

  beforeAll(() => hosts.up(), 600_000);
  afterAll(() => hosts.down(), 60_000);

  test.each(["pve", "vm"] as const)("%s finds internal names at its primary and external ones at both", (host) => {
    expect(lookUp(host, dns.internal.name)).toBe(dns.internal.address);
    expect(lookUp(host, dns.external)).toMatch(/^[0-9.]+$/);
    expect(lookUp(host, dns.external, resolvers(host)[1])).toMatch(/^[0-9.]+$/);
    expect(lookUp(host, dns.internal.name, resolvers(host)[1])).toBe("");
    expect(hosts.queriesOf(declared.find(({ name }) => name.endsWith(host))?.address ?? "")).toContain(
      `${dns.internal.name}. A`,
    );
  });

  test.each(["pve", "vm"] as const)("%s runs systemd as its first process", (host) => {
    expect(hosts.ssh(host, "cat /proc/1/comm")).toBe("systemd\n");
    expect(hosts.ssh(host, "systemctl is-system-running || true")).toMatch(/^(running|degraded)/);
  });

  test("the primary can be silenced and comes back, the public resolver answers all the time", () => {
    hosts.block();
    expect(hosts.try("pve", `dig +tries=1 +time=1 @${resolvers("pve")[0]} ${dns.external}`).status).not.toBe(0);
    expect(lookUp("pve", dns.external, resolvers("pve")[1])).toMatch(/^[0-9.]+$/);
    hosts.unblock();
    expect(lookUp("pve", dns.internal.name)).toBe(dns.internal.address);
  });

  test("no packet leaves: the router knows no way to an address outside, and says so", () => {
    const { output } = hosts.try("vm", "timeout 5 bash -c ': </dev/tcp/192.0.2.1/53'");
    expect(output).toMatch(/unreachable|No route to host/);
  });

  test("a reboot keeps what was written and starts everything again", () => {
    const before = bootOf("vm");
    hosts.ssh("vm", "cat >/root/kept", "kept");
    hosts.reboot("vm");
    expect(bootOf("vm")).not.toBe(before);
    expect(hosts.ssh("vm", "cat /root/kept")).toBe("kept");
    expect(lookUp("vm", dns.internal.name)).toBe(dns.internal.address);
  }, 120_000);

  test("after a power cut the host is silent until it is booted, and what it had written is there", () => {
    const before = bootOf("pve");
    hosts.ssh("pve", "cat >/root/kept", "kept");
    hosts.cut("pve");
    expect(hosts.try("pve", "true").status).not.toBe(0);
    hosts.boot("pve");
    expect(bootOf("pve")).not.toBe(before);
    expect(hosts.ssh("pve", "cat /root/kept")).toBe("kept");
  }, 120_000);

  test("units start in each of two labs at once, and none ends those of the other", async () => {
    const second = new Hosts("b");
    second.up();
    try {
      const storm = `printf '[Service]\\nType=oneshot\\nExecStart=/bin/true\\n' >/run/systemd/system/storm.service
        for n in $(seq 150); do systemctl start storm || echo failed; done`;
      const outcomes = await Promise.all(
        [hosts, second].map((lab) => {
          const [program, args, env] = lab.sshCommand("vm", storm);
          return promisify(execFile)(program, args, { env });
        }),
      );
      expect(outcomes.map(({ stdout, stderr }) => stdout + stderr)).toEqual(["", ""]);
    } finally {
      second.down();
    }
  }, 300_000);

  test("down leaves no process, no mount, no network namespace and no cgroup", () => {
    const lab = hosts.environment.WARDEN_LAB ?? "";
    const [router] = shell(`stat -Lc %i /run/netns/${lab}-router`);
    const traces = () => ({
      processes: shell(`stat -Lc '%i %n' /proc/[0-9]*/ns/net 2>/dev/null | grep '^${router} '`),
      mounts: shell(`grep -F '/hosts/${lab}/' /proc/mounts`),
      namespaces: shell(`ls /run/netns | grep '^${lab}-'`),
      cgroups: shell(`find /sys/fs/cgroup -maxdepth 2 -name 'registry-warden-${lab}-*'`),
    });
    expect(traces().processes).not.toEqual([]);
    // A machine with both cgroup versions has each of them in two hierarchies.
    const names = new Set(traces().cgroups.map((path) => basename(path)));
    expect([...names].sort()).toEqual([`registry-warden-${lab}-pve`, `registry-warden-${lab}-vm`]);
    hosts.down();
    expect(traces()).toEqual({ processes: [], mounts: [], namespaces: [], cgroups: [] });
    hosts.up();
  }, 120_000);

  test("a fresh host is the image again", () => {
    hosts.ssh("pve", "touch /root/kept");
    hosts.fresh("pve");
    expect(hosts.try("pve", "test ! -e /root/kept").status).toBe(0);
  }, 120_000);
});
