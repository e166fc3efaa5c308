import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DnsStack } from "../../stacks/dns-stack";
import { reference, type WholeInput } from "../sites";
import type { Component } from "./components";
import { Deployment } from "./deployment";
import { dnsStateOf } from "./dns-state";
import { describeWithHosts, Hosts, type LabHost } from "./hosts";

const addresses = { pve: "192.168.1.127", vm: "10.0.20.10" };

/** A key that no host in the lab has. */
const stranger =
  "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=";

describeWithHosts(["terraform"], "DNS, deployed by Terraform to booted hosts", ({ terraform }) => {
  const hosts = new Hosts();
  const deployments: Deployment[] = [];
  const folder = mkdtempSync(join(tmpdir(), "warden-dns-"));
  const siteFile = join(folder, "site.json");
  const deployment = (program: Component = terraform) => {
    const made = new Deployment(hosts, program, "dns", (app, site) => new DnsStack(app, "dns", { site }));
    deployments.push(made);
    return made;
  };

  /** The reference site as the lab's operator would have it, with these changes to each managed host. */
  const siteWith = (change: (host: NonNullable<WholeInput["hosts"]>[number]) => object = () => ({})): WholeInput => ({
    ...reference,
    hosts: reference.hosts.map((host) =>
      host.deferred === undefined ? { ...host, ssh: { identityFile: hosts.key }, ...change(host) } : host,
    ),
  });

  const stateOf = (host: LabHost): string => dnsStateOf(hosts, host);

  beforeAll(() => hosts.up(), 600_000);
  afterAll(() => {
    for (const each of deployments) each.remove();
    hosts.down();
    rmSync(folder, { recursive: true });
  });

  describe("the reference site", () => {
    const stack = deployment();
    let before: Record<LabHost, string>;
    let applied: string;

    beforeAll(() => {
      before = { pve: stateOf("pve"), vm: stateOf("vm") };
      const { status, output } = stack.apply(siteWith());
      applied = output;
      if (status !== 0) throw new Error(output);
    }, 120_000);

    test("is in place on both hosts, and a second plan is empty", () => {
      expect(hosts.ssh("pve", "cat /etc/resolv.conf")).toContain("nameserver 192.168.1.2\nnameserver 94.140.14.14\n");
      expect(hosts.ssh("vm", "resolvectl dns")).toMatch(
        /Global: 10\.0\.20\.1\nLink \d+ \(eth0\): 10\.0\.20\.1 94\.140\.14\.14\n/,
      );
      expect(stack.plan(siteWith())).toMatchObject({ status: 0 });
    }, 60_000);

    test("was verified while the primary was silent, and says so in Terraform's output", () => {
      expect(applied).toMatch(/pve: with 192\.168\.1\.2 silent, github\.com resolved after [0-9.]+ s/);
      expect(applied).toMatch(/registry-vm: with 10\.0\.20\.1 silent, github\.com resolved after [0-9.]+ s/);
      expect(applied).toMatch(/with 10\.0\.20\.1 back, idrac\.viktorbarzin\.lan resolves again/);
    });

    test("leaves of the netplan file what is not ours: match, set-name, addresses and routes", () => {
      const { network } = JSON.parse(
        hosts.ssh(
          "vm",
          "netplan get --help >/dev/null; python3 -c 'import json, yaml; print(json.dumps(yaml.safe_load(open(\"/etc/netplan/50-cloud-init.yaml\"))))'",
        ),
      );
      expect(network).toEqual({
        version: 2,
        ethernets: {
          eth0: {
            match: { name: "eth0" },
            "set-name": "eth0",
            addresses: ["10.0.20.10/24"],
            nameservers: { addresses: ["10.0.20.1", "94.140.14.14"] },
            routes: [{ to: "default", via: "10.0.20.1" }],
          },
        },
      });
    });

    test("a key that the operator holds is not in the state", () => {
      expect(stack.state()).not.toContain("PRIVATE KEY");
    });

    test("fails over and recovers without a restart, and tells the public resolver no internal name", async () => {
      hosts.block();
      try {
        for (const host of ["pve", "vm"] as const) {
          hosts.ssh(host, "timeout 15 getent ahosts example.org");
          // Internal names cannot be resolved meanwhile; queries for them must not go elsewhere either.
          hosts.try(host, "timeout 6 getent ahosts nas.viktorbarzin.lan");
        }
        expect(hosts.queriesOf(addresses.vm).join("\n")).toContain("example.org");
        expect(hosts.queriesOf(addresses.vm).filter((query) => query.includes("viktorbarzin.lan"))).toEqual([]);
        // What the resolver itself reports.
        expect(hosts.ssh("vm", "resolvectl status eth0")).toMatch(/Current DNS Server: 94\.140\.14\.14$/m);
      } finally {
        hosts.unblock();
      }
      for (const host of ["pve", "vm"] as const)
        await hosts.until(host, "timeout 5 getent ahosts fresh.viktorbarzin.lan | grep -q 192.168.1.6", 20);
    }, 120_000);

    test("survives a reboot", async () => {
      const place = stateOf("vm");
      hosts.reboot("vm");
      await hosts.until("vm", "getent ahosts idrac.viktorbarzin.lan | grep -q 192.168.1.4");
      expect(stateOf("vm")).toBe(place);
      expect(hosts.ssh("vm", "ip -4 address show eth0; ip route")).toMatch(
        /10\.0\.20\.10\/24[\s\S]*default via 10\.0\.20\.1/,
      );
    }, 60_000);

    test("is rolled back by one command on the host, to the byte, which says how to deliver again", () => {
      for (const host of ["pve", "vm"] as const) {
        const said = hosts.ssh(host, "bash /var/lib/registry-warden/dns/delivery.sh rollback");
        expect(stateOf(host)).toBe(before[host]);
        const [, again = ""] = /to deliver again: warden (deliver .*)\n/.exec(said) ?? [];
        expect(stack.plan(siteWith())).toMatchObject({ status: 0 });
        writeFileSync(siteFile, JSON.stringify(siteWith()));
        expect(hosts.warden(siteFile, ...again.split(" "))).toMatchObject({ status: 0 });
        expect(stateOf(host)).not.toBe(before[host]);
      }
    }, 120_000);
  });

  describe("a change that does not work, on the host without systemd-resolved,", () => {
    const stack = deployment();

    test.each([
      [
        "a primary that knows no internal name",
        ["94.140.14.14", "192.168.1.2"],
        /idrac\.viktorbarzin\.lan, asked of the primary 94\.140\.14\.14: got nothing, expected 192\.168\.1\.4/,
      ],
      [
        "a fallback that does not answer",
        ["192.168.1.2", "192.0.2.53"],
        /github\.com, while 192\.168\.1\.2 is silent: got nothing, expected an address within 15 s/,
      ],
    ])(
      "%s: everything is as before, and the next deploy works",
      (_, nameservers, message) => {
        const before = stateOf("pve");
        const { status, output } = stack.apply(
          siteWith(({ name, resolver }) => (name === "pve" ? { resolver: { ...resolver, nameservers } } : {})),
        );
        expect(output).toMatch(message);
        expect(status).toBe(1);
        expect(stateOf("pve")).toBe(before);
        expect(stack.apply(siteWith())).toMatchObject({ status: 0 });
      },
      120_000,
    );
  });

  describe("a host that cannot be reached, or is another one", () => {
    const stack = deployment();

    test("fails where the host key is not the pinned one, and changes nothing", () => {
      const before = stateOf("pve");
      const { status, output } = stack.apply(
        siteWith((host) => (host.name === "pve" ? { ssh: { identityFile: hosts.key, hostKey: stranger } } : {})),
      );
      expect(status).toBe(1);
      // Terraform says "host key mismatch", OpenTofu "knownhosts: key mismatch".
      expect(output).toContain("key mismatch");
      expect(stateOf("pve")).toBe(before);
    }, 120_000);

    test("is reached where the pinned ECDSA key is the host's own, though it offers others too", () => {
      expect(hosts.ssh("pve", "ls /etc/ssh/ssh_host_*_key")).toMatch(/ecdsa[\s\S]*ed25519[\s\S]*rsa/);
      const pinned = { ssh: { identityFile: hosts.key, hostKey: hosts.hostKey("pve") } };
      expect(stack.apply(siteWith((host) => (host.name === "pve" ? pinned : {})))).toMatchObject({ status: 0 });
    }, 120_000);

    test("fails where a host is down, and says so", () => {
      hosts.cut("pve");
      try {
        const { status, output } = stack.apply(
          siteWith((host) => (host.name === "pve" ? { title: "changed, so that it is delivered again" } : {})),
        );
        expect(status).toBe(1);
        expect(output).toMatch(/timeout - last error: .*192\.168\.1\.127:22/);
      } finally {
        hosts.boot("pve");
      }
    }, 120_000);
  });

  describe("the way to a host", () => {
    /** Reaches the VM through the Proxmox host, with these pinned keys. */
    const through = (hostKey: string, jumpKey: string) =>
      siteWith(({ name }) => {
        if (name === "pve") return {};
        return { ssh: { identityFile: hosts.key, hostKey, jump: { address: addresses.pve, hostKey: jumpKey } } };
      });

    test("leads through a jump host whose key is pinned too", () => {
      const { status, output } = deployment().apply(through(hosts.hostKey("vm"), hosts.hostKey("pve")));
      expect(output).toContain("registry-vm: dns is delivered");
      expect(status).toBe(0);
      expect(hosts.ssh("vm", "journalctl -u ssh -o cat | grep Accepted | tail -n 4")).toContain(
        `from ${addresses.pve} `,
      );
    }, 120_000);

    test.each([
      ["a jump host with another key", () => through(hosts.hostKey("vm"), stranger)],
      ["a jump host to a host with another key", () => through(stranger, hosts.hostKey("pve"))],
      ["a jump host that has the key of the host", () => through(hosts.hostKey("vm"), hosts.hostKey("vm"))],
    ])(
      "does not lead through %s",
      (_, site) => {
        const { status, output } = deployment().apply(site());
        expect(output).toContain("key mismatch");
        expect(output).not.toContain("registry-vm: delivers");
        expect(status).toBe(1);
      },
      120_000,
    );

    test("is open to the keys of an agent", () => {
      const withKey = 'ssh-add -q "$1" && shift && exec "$@"';
      const stack = deployment({
        command: ["ssh-agent", "sh", "-c", withKey, "sh", hosts.key, ...terraform.command],
      });
      const { status, output } = stack.apply(siteWith(() => ({ ssh: {} })));
      expect(output).toContain("pve: dns is delivered");
      expect(output).toContain("registry-vm: dns is delivered");
      expect(status).toBe(0);
      expect(stack.state()).not.toContain("PRIVATE KEY");
    }, 120_000);
  });

  test("any other user than root delivers through sudo, and any text in a title arrives as it is", () => {
    const stack = deployment();
    const title = `it's "$HOME" \`id\` \${x} %{ if x } \\n 100% ü`;
    hosts.ssh(
      "pve",
      `useradd --create-home --shell /bin/bash ops
       install -d -m 0700 -o ops /home/ops/.ssh && install -m 0600 -o ops /root/.ssh/authorized_keys /home/ops/.ssh/
       echo 'ops ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/ops`,
    );
    const { status, output } = stack.apply(
      siteWith((host) => (host.name === "pve" ? { title, ssh: { identityFile: hosts.key, user: "ops" } } : {})),
    );
    expect(output).toContain(`pve: delivers dns to ${title}\n`);
    expect(status).toBe(0);
  }, 120_000);
});
