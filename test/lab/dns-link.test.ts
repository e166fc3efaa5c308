import { assembleScript } from "../../hosts/delivery";
import { dnsDelivery } from "../../hosts/resolver";
import { hasResolver } from "../../site/host";
import { managedHosts } from "../../site/schema";
import { parsed, reference, type WholeInput } from "../sites";
import { dnsStateOf } from "./dns-state";
import { describeWithHosts, Hosts, type LabHost, type Outcome } from "./hosts";
import { impatient, watchedEverySecond } from "./impatience";

const FILE = "/etc/netplan/50-cloud-init.yaml";

describeWithHosts([], "DNS on hosts that people have used", () => {
  const hosts = new Hosts();

  /** The reference site with these changes to the VM's resolver. */
  const siteWith = (change: object = {}): WholeInput => ({
    ...reference,
    hosts: reference.hosts.map((host) =>
      host.resolver?.kind === "systemd-resolved"
        ? { ...host, resolver: { ...host.resolver, failoverTest: false, ...change } }
        : host,
    ),
  });
  const upload = (host: LabHost, change: object = {}, edit = (script: string): string => script): void => {
    const site = parsed(siteWith(change));
    const found = managedHosts(site)
      .filter(hasResolver)
      .find(({ name }) => name === (host === "pve" ? "pve" : "registry-vm"));
    if (found === undefined) throw new Error(`the site has no ${host}`);
    hosts.ssh(host, "cat >/root/dns.sh", edit(assembleScript(dnsDelivery(site, found))));
  };
  const deliver = (host: LabHost, change: object = {}): Outcome => {
    upload(host, change);
    return hosts.try(host, "bash /root/dns.sh apply && bash /root/dns.sh confirm");
  };
  const address = () => hosts.ssh("vm", "ip -o -4 address show dev eth0 | awk '{ print $4 }'").trim();

  beforeAll(() => hosts.up(), 600_000);
  afterAll(() => hosts.down());

  describe("behind netplan", () => {
    beforeEach(() => hosts.fresh("vm"), 60_000);

    test.each([
      ["written into the file alone", "true"],
      ["made ready for the next boot, too", "netplan generate"],
    ])(
      "an address that is %s is not activated by the way: refused, naming it",
      (_, more) => {
        hosts.ssh("vm", `sed -i 's#10.0.20.10/24#10.0.20.99/24#' ${FILE}; ${more}`);
        const before = dnsStateOf(hosts, "vm");
        const { status, output } = deliver("vm");
        expect(output).toContain("Address=10.0.20.99/24");
        expect(output).toMatch(
          /say what is not active, and a delivery would activate it: .*; apply it first, or take it out/,
        );
        expect(status).toBe(1);
        expect(address()).toBe("10.0.20.10/24");
        expect(dnsStateOf(hosts, "vm")).toBe(before);
      },
      60_000,
    );

    test.each([
      ["a route", 'sed -i \'s#via: "10.0.20.1"#via: "10.0.20.254"#\'', "10.0.20.254"],
      ["an MTU", "sed -i 's#set-name: \"eth0\"#&\\n            mtu: 1400#'", "1400"],
    ])(
      "%s that was edited and not applied is refused too",
      (_, edit, named) => {
        hosts.ssh("vm", `${edit} ${FILE}`);
        const { status, output } = deliver("vm");
        expect(output).toContain(named);
        expect(status).toBe(1);
      },
      60_000,
    );

    test("another interface in another file that was not applied is refused too, whatever of it is about DNS", () => {
      hosts.ssh(
        "vm",
        "install -m 600 /dev/stdin /etc/netplan/90-more.yaml <<<'{network: {version: 2, dummy-devices: {dummy0: {addresses: [10.9.9.9/24], nameservers: {addresses: [9.9.9.9]}}}}}'",
      );
      const { status, output } = deliver("vm");
      expect(output).toContain("DNS=9.9.9.9");
      expect(status).toBe(1);
    }, 60_000);

    test("comments and anchors of the file stay, byte by byte", () => {
      hosts.ssh(
        "vm",
        `cat >${FILE} <<'END'
# Written by hand, and by nobody else.
network:
  version: 2
  ethernets:
    eth0: # the only one
      match: {name: "eth0"}
      set-name: eth0
      addresses: &addresses ["10.0.20.10/24"]
      nameservers:
        addresses: [1.1.1.1, 8.8.8.8] # for now
        search: [old.lan]

      # the way out
      routes: [{to: default, via: 10.0.20.1}]
END
netplan apply`,
      );
      const before = hosts.ssh("vm", `cat ${FILE}`);
      const { status, output } = deliver("vm");
      expect([status, output]).toEqual([0, expect.stringContaining("dns is delivered")]);
      expect(hosts.ssh("vm", `cat ${FILE}`)).toBe(
        before.replace(/nameservers:\n.*\n.*\n/, 'nameservers: {addresses: ["10.0.20.1", "94.140.14.14"]}\n'),
      );
      expect(deliver("vm").output).toContain("nothing to change");
    }, 60_000);

    test("where an anchor is shared, netplan writes the file again, and the delivery says so", () => {
      hosts.ssh(
        "vm",
        `cat >${FILE} <<'END'
network:
  version: 2
  ethernets:
    eth0:
      addresses: ["10.0.20.10/24"]
      nameservers: &dns {addresses: [1.1.1.1]}
      routes: [{to: default, via: 10.0.20.1}]
    eth9:
      match: {name: nothing9}
      nameservers: *dns
END
netplan apply`,
      );
      const { status, output } = deliver("vm");
      expect(output).toContain("netplan writes it again, without its comments and anchors");
      expect(status).toBe(0);
      expect(hosts.ssh("vm", "netplan get ethernets.eth9.nameservers.addresses")).toContain("1.1.1.1");
    }, 60_000);

    test("an address that is lost all the same comes back with the rollback", async () => {
      // The command that applies the change drops the address every time.
      hosts.ssh(
        "vm",
        `install -m 0755 /dev/stdin /usr/local/sbin/netplan <<'END'
#!/bin/bash
/usr/sbin/netplan "$@" || exit
[[ $1 != apply ]] || { sleep 1; ip address flush dev eth0; ip address add 10.0.20.99/24 dev eth0; }
END`,
      );
      // Names resolve on the new address too; it is only the operator who cannot connect to confirm.
      upload("vm", {}, (script) => impatient(watchedEverySecond(script)));
      hosts.ssh("vm", "setsid bash /root/dns.sh apply </dev/null >/root/apply.log 2>&1 &");
      await hosts.until(
        "vm",
        "journalctl --no-pager -o cat -u registry-warden-dns.service | grep -q 'gives the host back: ip address add 10.0.20.10/24 dev eth0' && test ! -e /var/lib/registry-warden/dns/pending",
        90,
      );
      expect(hosts.ssh("vm", "ip route")).toContain("default via 10.0.20.1");
      expect(hosts.ssh("vm", "ls /var/lib/registry-warden/dns")).not.toContain("pending");
    }, 120_000);

    /** A substitute for chattr(1), which the host lacks: ioctl_iflags(2). */
    const flag = (change: string): string =>
      `python3 -c 'import fcntl, struct; f = open("${FILE}"); old = struct.unpack("l", fcntl.ioctl(f, 0x80086601, b"\\0" * 8))[0]; fcntl.ioctl(f, 0x40086602, struct.pack("l", old ${change}))'`;

    test.each([
      [
        "is immutable",
        flag("| 0x10"),
        flag("& ~0x10"),
        `${FILE} is immutable, so ${FILE} cannot be replaced; somebody wanted it so, and chattr -i '${FILE}' takes it back`,
      ],
      [
        "is mounted over",
        `cp -p ${FILE} /root/kept && mount --bind /root/kept ${FILE}`,
        `umount ${FILE}`,
        `something is mounted over ${FILE}, so it cannot be replaced`,
      ],
    ])(
      "a file that %s is refused with its reason",
      (_, arrange, undo, message) => {
        hosts.ssh("vm", arrange);
        try {
          const { status, output } = deliver("vm");
          expect(output).toContain(message);
          expect(status).toBe(1);
          expect(output).not.toContain("backed up");
        } finally {
          hosts.ssh("vm", undo);
        }
      },
      60_000,
    );

    test("DNSSEC and DNS over TLS are named before names fail because of them", () => {
      hosts.ssh(
        "vm",
        "mkdir -p /etc/systemd/resolved.conf.d; printf '[Resolve]\\nDNSSEC=yes\\nDNSOverTLS=yes\\n' >/etc/systemd/resolved.conf.d/90-strict.conf; systemctl restart systemd-resolved",
      );
      const { status, output } = deliver("vm");
      expect(output).toContain(
        "warning: systemd-resolved has DNSSEC=yes (set in /etc/systemd/resolved.conf.d/90-strict.conf): internal names are not found unless the zone viktorbarzin.lan is signed",
      );
      expect(output).toContain(
        "DNSOverTLS=yes (set in /etc/systemd/resolved.conf.d/90-strict.conf): no name is found unless",
      );
      expect(status).toBe(1);
    }, 120_000);
  });

  test("a resolv.conf that another program writes is refused, naming what it says", () => {
    hosts.ssh("pve", "cp -p /etc/resolv.conf /root/kept; sed -i '1i # Generated by NetworkManager' /etc/resolv.conf");
    try {
      const { status, output } = deliver("pve");
      expect(output).toContain(
        '/etc/resolv.conf says "# Generated by NetworkManager", and what is delivered would not stay',
      );
      expect(status).toBe(1);
    } finally {
      hosts.ssh("pve", "mv /root/kept /etc/resolv.conf");
    }
  }, 60_000);

  describe("without netplan, behind systemd-networkd", () => {
    const networkd = { netplan: undefined, networkd: { network: "10-eth0.network", interface: "eth0" } };

    beforeAll(async () => {
      hosts.fresh("vm");
      hosts.ssh(
        "vm",
        `rm -r /etc/netplan; systemctl enable systemd-networkd; printf '[Match]\\nName=eth0\\n\\n[Network]\\nAddress=10.0.20.10/24\\nGateway=10.0.20.1\\nDNS=1.1.1.1\\nDomains=old.lan\\n' >/etc/systemd/network/10-eth0.network`,
      );
      hosts.reboot("vm");
      await hosts.until("vm", "resolvectl dns eth0 | grep -q 1.1.1.1");
    }, 120_000);

    test("the link gets its servers by a drop-in, survives a reboot, and is rolled back to the byte", async () => {
      const before = dnsStateOf(hosts, "vm");
      const { status, output } = deliver("vm", networkd);
      expect([status, output]).toEqual([0, expect.stringContaining("dns is delivered")]);
      const right =
        "resolvectl dns eth0 | grep -q ': 10.0.20.1 94.140.14.14$' && getent ahosts idrac.viktorbarzin.lan | grep -q 192.168.1.4";
      hosts.ssh("vm", right);
      expect(hosts.ssh("vm", "resolvectl domain eth0")).not.toContain("old.lan");
      expect(hosts.ssh("vm", "cat /etc/systemd/network/10-eth0.network")).toContain("DNS=1.1.1.1");
      expect(deliver("vm", networkd).output).toContain("nothing to change");
      hosts.reboot("vm");
      await hosts.until("vm", right);
      expect(address()).toBe("10.0.20.10/24");
      hosts.ssh("vm", "bash /var/lib/registry-warden/dns/delivery.sh rollback");
      expect(dnsStateOf(hosts, "vm")).toBe(before);
    }, 120_000);

    test("an address that is written and not active is refused", () => {
      hosts.ssh("vm", "sed -i 's#10.0.20.10/24#10.0.20.99/24#' /etc/systemd/network/10-eth0.network");
      const { status, output } = deliver("vm", networkd);
      hosts.ssh("vm", "sed -i 's#10.0.20.99/24#10.0.20.10/24#' /etc/systemd/network/10-eth0.network");
      expect(output).toContain("not active: eth0: Address=10.0.20.99/24");
      expect(status).toBe(1);
      expect(address()).toBe("10.0.20.10/24");
    }, 60_000);

    test("a file that is not the one in use is refused", () => {
      const { status, output } = deliver("vm", {
        ...networkd,
        networkd: { network: "20-lan.network", interface: "eth0" },
      });
      expect(output).toContain(
        "systemd-networkd configures eth0 by /etc/systemd/network/10-eth0.network; given 20-lan.network",
      );
      expect(status).toBe(1);
    }, 60_000);
  });
});
