import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assembleScript } from "../../hosts/delivery";
import type { HostReport } from "../../hosts/finding";
import { dnsDelivery } from "../../hosts/resolver";
import { version } from "../../package.json";
import { dnsHosts } from "../../site/schema";
import { parsed, reference, type WholeInput } from "../sites";
import { dnsStateOf } from "./dns-state";
import { describeWithHosts, Hosts, type LabHost, type Outcome } from "./hosts";
import { WARDEN_PROGRAM } from "./warden";

type HostInput = WholeInput["hosts"][number];

const STRANGER =
  "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=";
const vmResolver = reference.hosts.find(({ resolver }) => resolver?.kind === "systemd-resolved")?.resolver;
const pveResolver = reference.hosts.find(({ resolver }) => resolver?.kind === "resolv.conf")?.resolver;
const NAMES: Record<LabHost, string> = { pve: "pve", vm: "registry-vm" };

describeWithHosts([], "the commands of an operator, on booted hosts", () => {
  const hosts = new Hosts();
  const folder = mkdtempSync(join(tmpdir(), "warden-host-commands-"));
  const key = {} as Record<LabHost, string>;

  const ssh = (host: LabHost) => ({ identityFile: hosts.key, hostKey: key[host] });
  const labHost = (name: string): LabHost => (name === "pve" ? "pve" : "vm");
  /** The reference site as the lab's operator would have it, with these changes to each managed host. */
  const siteWith = (change: (host: HostInput) => object = () => ({})): WholeInput => ({
    ...reference,
    hosts: reference.hosts.map((host) =>
      host.deferred === undefined ? { ...host, ssh: ssh(labHost(host.name)), ...change(host) } : host,
    ),
  });
  const only =
    (name: LabHost, change: object) =>
    (host: HostInput): object =>
      host.name === NAMES[name] ? change : {};

  const siteFile = join(folder, "site.json");
  const warden = (args: readonly string[], site = siteWith()): Outcome => {
    writeFileSync(siteFile, JSON.stringify(site));
    return hosts.warden(siteFile, ...args);
  };
  const healthy = { status: 0, output: `site: ${siteFile}\npve: as the site has it\n` };
  const reportOf = (args: readonly string[], site?: WholeInput): HostReport & { status: number } => {
    const { status, output } = warden([...args, "--json"], site);
    return { ...(JSON.parse(output.slice(0, output.lastIndexOf("}") + 1)) as HostReport), status };
  };
  const stateOf = (host: LabHost): string => dnsStateOf(hosts, host);

  const deliver = (
    host: LabHost,
    site = siteWith(({ resolver }) => ({ resolver: { ...resolver, failoverTest: false } })),
  ) => {
    const given = parsed(site);
    const managed = dnsHosts(given).find(({ name }) => name === NAMES[host]);
    if (managed === undefined) throw new Error(`the reference site has no ${NAMES[host]}`);
    hosts.ssh(host, "cat >/root/dns.sh", assembleScript(dnsDelivery(given, managed)));
    hosts.ssh(host, "bash /root/dns.sh apply && bash /root/dns.sh confirm");
  };

  const before = {} as Record<LabHost, string>;
  const after = {} as Record<LabHost, string>;

  beforeAll(() => {
    hosts.up();
    for (const host of ["pve", "vm"] as const) {
      key[host] = hosts.hostKey(host);
      before[host] = stateOf(host);
      deliver(host);
      after[host] = stateOf(host);
    }
  }, 600_000);
  afterAll(() => {
    hosts.down();
    rmSync(folder, { recursive: true });
  });

  describe("drift", () => {
    /** Findings about DNS only: no registry was delivered here. */
    const findingsOf = (host: LabHost) =>
      reportOf(["drift", NAMES[host]]).findings.filter(({ what }) => !/docker|registry|maintenance/.test(what));

    test("finds nothing on a host that is as the site has it, whatever netplan's version prints", () => {
      expect(warden(["drift", "pve"])).toEqual(healthy);
      expect(findingsOf("vm")).toEqual([]);
    });

    test.each<[name: string, host: LabHost, arrange: string, undo: string, finding: object]>([
      [
        "a file with another line",
        "pve",
        "cp -p /etc/resolv.conf /root/kept; echo 'options rotate' >>/etc/resolv.conf",
        "mv /root/kept /etc/resolv.conf",
        { what: "/etc/resolv.conf", actual: expect.stringMatching(/\noptions rotate\n$/) },
      ],
      [
        "a file that is gone",
        "vm",
        "mv /etc/cloud/cloud.cfg.d/99-disable-network-config.cfg /root/kept",
        "mv /root/kept /etc/cloud/cloud.cfg.d/99-disable-network-config.cfg",
        { what: "/etc/cloud/cloud.cfg.d/99-disable-network-config.cfg", actual: "absent" },
      ],
      [
        "another mode",
        "pve",
        "chmod 600 /etc/resolv.conf",
        "chmod 644 /etc/resolv.conf",
        { what: "mode and owner of /etc/resolv.conf", expected: "644 root:root", actual: "600 root:root" },
      ],
      [
        "another owner",
        "pve",
        "chown daemon /etc/resolv.conf",
        "chown root /etc/resolv.conf",
        { what: "mode and owner of /etc/resolv.conf", actual: "644 daemon:root" },
      ],
      [
        "other nameservers in the netplan file, which are not active yet",
        "vm",
        "cp -p /etc/netplan/50-cloud-init.yaml /root/kept; netplan set ethernets.eth0.nameservers.addresses=[9.9.9.9]",
        "mv /root/kept /etc/netplan/50-cloud-init.yaml",
        {
          what: "nameservers of eth0 in /etc/netplan/50-cloud-init.yaml",
          expected: "addresses:\n- 10.0.20.1\n- 94.140.14.14\n",
          actual: expect.stringContaining("9.9.9.9"),
        },
      ],
      [
        "servers of the link that were set by hand",
        "vm",
        "resolvectl dns eth0 9.9.9.9",
        "resolvectl revert eth0; netplan apply",
        { what: "servers of eth0 in systemd-resolved", expected: "10.0.20.1 94.140.14.14", actual: "9.9.9.9" },
      ],
      [
        "another drop-in, whose server is added",
        "vm",
        "printf '[Resolve]\\nDNS=9.9.9.9\\n' >/etc/systemd/resolved.conf.d/90-other.conf; systemctl restart systemd-resolved",
        "rm /etc/systemd/resolved.conf.d/90-other.conf; systemctl restart systemd-resolved",
        { what: "servers of systemd-resolved", expected: "10.0.20.1", actual: "10.0.20.1 9.9.9.9" },
      ],
      [
        "a search domain of the link, which tells the fallback internal names",
        "vm",
        "resolvectl domain eth0 viktorbarzin.lan",
        "resolvectl revert eth0; netplan apply",
        { what: "search domains of eth0 in systemd-resolved", expected: "", actual: "viktorbarzin.lan" },
      ],
    ])("finds %s", async (_, host, arrange, undo, finding) => {
      hosts.ssh(host, arrange);
      try {
        expect(findingsOf(host)).toEqual([expect.objectContaining(finding)]);
        expect(warden(["drift", NAMES[host]]).status).toBe(1);
      } finally {
        hosts.ssh(host, undo);
      }
      if (host === "vm") await hosts.until("vm", "resolvectl dns eth0 | grep -q '10.0.20.1 94.140.14.14$'");
      expect(findingsOf(host)).toEqual([]);
    });

    test("shows a difference to read, and the deferred host with its reason", () => {
      hosts.ssh("pve", "cp -p /etc/resolv.conf /root/kept; sed -i 's/94.140.14.14/9.9.9.9/' /etc/resolv.conf");
      const { status, output } = warden(["drift"]);
      hosts.ssh("pve", "mv /root/kept /etc/resolv.conf");
      expect(status).toBe(1);
      expect(output).toContain("    -nameserver 94.140.14.14\n    +nameserver 9.9.9.9\n");
      expect(output).toContain("truenas: deferred: unreachable when the change was made");
    });

    test("changes nothing", () => {
      const observed = () => hosts.ssh("vm", "find /etc /var/lib/registry-warden /root -printf '%p %T@ %i\\n' | sort");
      const first = observed();
      warden(["drift"]);
      expect(observed()).toBe(first);
    });
  });

  describe("dns verify", () => {
    test("lets the primary fall silent, and finds the names back", () => {
      const { status, output } = warden(["dns", "verify", "registry-vm"]);
      expect(output).toMatch(/with 10\.0\.20\.1 silent, github\.com resolved after [0-9.]+ s\n/);
      expect(output).toContain("with 10.0.20.1 back, idrac.viktorbarzin.lan resolves again\n");
      expect(status).toBe(0);
      expect(hosts.ssh("vm", "nft list tables")).not.toContain("registry_warden");
    }, 60_000);

    test("--without-failover-test asks for names only", () => {
      const { status, output } = warden(["dns", "verify", "registry-vm", "--without-failover-test"]);
      expect(output).toContain("github.com, registry.viktorbarzin.me resolve through 10.0.20.1\n");
      expect(output).not.toContain("silent");
      expect(status).toBe(0);
      expect(reportOf(["dns", "verify", "pve", "--without-failover-test"])).toEqual({
        host: "pve",
        findings: [],
        status: 0,
        version: 1,
      });
    });

    test("lets it fall silent on demand where deploys do not", () => {
      const site = siteWith(({ resolver }) => ({ resolver: { ...resolver, failoverTest: false } }));
      expect(warden(["dns", "verify", "pve"], site).output).toContain("with 192.168.1.2 silent, github.com resolved");
    }, 60_000);

    test("finds a host without a fallback", () => {
      hosts.ssh("pve", "cp -p /etc/resolv.conf /root/kept; sed -i '/94.140.14.14/d' /etc/resolv.conf");
      try {
        expect(reportOf(["dns", "verify", "pve", "--without-failover-test"]).status).toBe(0);
        expect(reportOf(["dns", "verify", "pve"])).toEqual({
          host: "pve",
          findings: [
            {
              what: "github.com, while 192.168.1.2 is silent",
              expected: "an address within 15 s",
              actual: "nothing",
            },
          ],
          status: 1,
          version: 1,
        });
      } finally {
        hosts.ssh("pve", "mv /root/kept /etc/resolv.conf");
      }
    }, 60_000);

    test("finds FallbackDNS= alone, which never takes over", async () => {
      hosts.ssh("vm", "resolvectl dns eth0 ''; resolvectl flush-caches");
      try {
        expect(reportOf(["dns", "verify", "registry-vm"]).findings.map(({ what }) => what)).toEqual([
          "servers of systemd-resolved",
          "github.com, while 10.0.20.1 is silent",
        ]);
      } finally {
        hosts.ssh("vm", "resolvectl revert eth0; netplan apply");
        await hosts.until("vm", "resolvectl dns eth0 | grep -q '10.0.20.1 94.140.14.14$'");
      }
    }, 90_000);

    test("finds what does not resolve while the primary is silent by itself, and does not silence it twice", () => {
      hosts.block();
      try {
        const { status, findings } = reportOf(["dns", "verify", "pve", "--without-failover-test"]);
        expect(status).toBe(1);
        expect(findings.map(({ what }) => what)).toEqual([
          "idrac.viktorbarzin.lan, asked of the primary 192.168.1.2",
          "idrac.viktorbarzin.lan, for the programs of the host",
        ]);
      } finally {
        hosts.unblock();
      }
    }, 90_000);

    test("is 2 on a host without nft, and says what to do", () => {
      hosts.ssh("pve", "mv /usr/sbin/nft /usr/sbin/nft.away");
      const { status, output } = warden(["dns", "verify", "pve"]);
      hosts.ssh("pve", "mv /usr/sbin/nft.away /usr/sbin/nft");
      expect(output).toContain("nft is missing on the host; install it there");
      expect(status).toBe(2);
    });
  });

  test("a host to which another version delivered is not as this one delivers it", () => {
    const manifest = "/var/lib/registry-warden/dns/manifest";
    hosts.ssh("pve", `cp -p ${manifest} /root/kept; sed -i '1s/ .*/ 0.0.1/' ${manifest}`);
    const { findings } = reportOf(["drift", "pve"]);
    hosts.ssh("pve", `mv /root/kept ${manifest}`);
    expect(findings).toEqual([
      { what: "version of registry-warden that delivered dns", expected: version, actual: "0.0.1" },
    ]);
  });

  describe("rollback", () => {
    const backupsOf = (host: LabHost) => hosts.ssh(host, "ls /root/dns-backups").trim().split("\n");

    test("--dry-run shows what would change, and changes nothing", () => {
      const { status, output } = warden(["rollback", "registry-vm", "--dry-run"]);
      expect(status).toBe(0);
      expect(output).toMatch(
        /^registry-vm: would go back to \/root\/dns-backups\/dns-config-backup-[0-9-]+\.tar\.gz \(the host before dns was delivered\)$/m,
      );
      expect(output).toContain("+++ /etc/netplan/50-cloud-init.yaml (backup)\n");
      expect(stateOf("vm")).toBe(after.vm);
    });

    test.each<LabHost>(["pve", "vm"])(
      "puts %s back as it was before, without the files that did not exist then, and forth again",
      (host) => {
        const back = warden(["rollback", NAMES[host]]);
        expect(back.output).toMatch(
          new RegExp(`rolled back; the state before is in .*; to deliver again: warden deliver ${NAMES[host]} dns\n$`),
        );
        expect(back.status).toBe(0);
        expect(stateOf(host)).toBe(before[host]);
        const forth = warden(["rollback", NAMES[host]]);
        expect(forth.status).toBe(0);
        expect(forth.output).toContain(`to deliver again: warden deliver ${NAMES[host]} dns\n`);
        expect(stateOf(host)).toBe(after[host]);
      },
      60_000,
    );

    test("goes to a named backup, past those in between", () => {
      const [first] = backupsOf("vm");
      const resolving = (change: object) =>
        siteWith(only("vm", { resolver: { ...vmResolver, failoverTest: false, ...change } }));
      deliver("vm", resolving({ search: ["second.lan"] }));
      deliver("vm", resolving({ dropIn: "20-third" }));
      expect(stateOf("vm")).toContain("20-third");
      const { status } = warden(["rollback", "registry-vm", "--to", first ?? ""]);
      expect(status).toBe(0);
      expect(stateOf("vm")).toBe(before.vm);
      deliver("vm");
      expect(stateOf("vm")).toBe(after.vm);
    }, 60_000);

    test("refuses a backup that is not there, and names those that are", () => {
      const { status, output } = warden(["rollback", "registry-vm", "--to", "20010101-000000"]);
      expect(status).toBe(2);
      for (const name of backupsOf("vm")) expect(output).toContain(name);
      expect(stateOf("vm")).toBe(after.vm);
    });
  });

  describe("deliver", () => {
    const EDITED = "search somewhere.else\nnameserver 192.0.2.1\n";

    test("--dry-run shows a host that was edited from what it has to what it gets, and changes nothing", () => {
      hosts.ssh("pve", "cat >/etc/resolv.conf", EDITED);
      const { status, output } = warden(["deliver", "pve", "--dry-run"]);
      expect(output).toContain("    --- the host\n    +++ the site\n");
      expect(output).toContain("    -nameserver 192.0.2.1\n");
      expect(status).toBe(0);
      expect(hosts.ssh("pve", "cat /etc/resolv.conf")).toBe(EDITED);
    });

    test("is what drift says comes next, and ends confirmed, as the site has it", () => {
      const site = siteWith(({ resolver }) => ({ resolver: { ...resolver, failoverTest: false } }));
      const [, next = ""] = /^next {6}warden (deliver \S+)/m.exec(warden(["drift", "pve"], site).output) ?? [];
      const { status, output } = warden(next.split(" "), site);
      expect(output).toContain("pve: dns is delivered; to roll back on the host: ");
      expect(status).toBe(0);
      expect(stateOf("pve")).toBe(after.pve);
      expect(warden(["drift", "pve"], site)).toEqual(healthy);
      expect(hosts.ssh("pve", "systemctl list-units --all --no-legend 'registry-warden-dns*'")).toBe("");
      expect(warden(["rollback", "pve", "--dry-run"], site).output).toContain("but edited by hand: /etc/resolv.conf)");
    }, 60_000);

    test("recognizes a host that was rebuilt, and says so", () => {
      hosts.fresh("pve");
      key.pve = hosts.hostKey("pve");
      const rebuilt = "nothing was ever delivered to this host: it is new or was rebuilt";
      expect(warden(["drift", "pve"]).output).toContain(rebuilt);
      const { status, output } = warden(["deliver", "pve", "dns"]);
      expect(output).toContain(rebuilt);
      expect(status).toBe(0);
      expect(warden(["drift", "pve"])).toEqual(healthy);
    }, 120_000);

    test("where the site cannot work, the host is as it was, and it is said why", () => {
      const place = stateOf("pve");
      const site = siteWith(only("pve", { resolver: { ...pveResolver, nameservers: ["192.0.2.53", "192.0.2.54"] } }));
      const { status, output } = warden(["deliver", "pve"], site);
      expect(output).toMatch(/error: dns was not delivered to pve \(.*\); correct that on pve or in the site, /);
      expect(status).toBe(2);
      expect(stateOf("pve")).toBe(place);
    }, 120_000);
  });

  describe("the way to a host", () => {
    const quiet = ["dns", "verify", "registry-vm", "--without-failover-test"];

    test("a host with another key than the pinned one is 2, for each command", () => {
      const site = siteWith(only("pve", { ssh: { identityFile: hosts.key, hostKey: STRANGER } }));
      for (const args of [
        ["drift", "pve"],
        ["rollback", "pve"],
        ["deliver", "pve"],
        ["dns", "verify", "pve"],
      ]) {
        const { status, output } = warden(args, site);
        expect(output).toMatch(
          /^(site: .*\n)?error: pve cannot be reached \(Host key verification failed\.\); [^\n]*\n$/,
        );
        expect(status).toBe(2);
      }
    });

    test("a host that is down is 2, and with --json an error of one document", () => {
      hosts.cut("pve");
      try {
        const { status, output } = warden(["drift", "pve", "--json"]);
        expect(status).toBe(2);
        expect(JSON.parse(output.slice(0, output.indexOf("\n}\n") + 2))).toMatchObject({
          error: { code: "unreachable" },
        });
      } finally {
        hosts.boot("pve");
      }
    }, 60_000);

    test("through a jump host whose key is pinned too", () => {
      const jump = { address: "192.168.1.127", hostKey: key.pve };
      const through = (hostKey: string) => siteWith(only("vm", { ssh: { ...ssh("vm"), jump: { ...jump, hostKey } } }));
      expect(warden(quiet, through(key.pve))).toMatchObject({ status: 0 });
      // It really went through the jump host: the VM saw a connection from there.
      expect(hosts.ssh("vm", "journalctl -u ssh -o cat | grep Accepted | tail -n 2")).toContain("from 192.168.1.127");
      const refused = warden(quiet, through(STRANGER));
      expect(refused.output).toMatch(/registry-vm cannot be reached \(Host key verification failed\.\)/);
      expect(refused.status).toBe(2);
    });

    test("with the key of an agent", () => {
      const site = siteWith(only("vm", { ssh: { hostKey: key.vm } }));
      writeFileSync(siteFile, JSON.stringify(site));
      const program = `ssh-add -q "$1" && shift && exec "$@"`;
      const { status, output } = hosts.operator([
        ...["ssh-agent", "sh", "-c", program, "sh", hosts.key],
        ...[process.execPath, WARDEN_PROGRAM, ...quiet, "--site", siteFile],
      ]);
      expect(output).toContain("registry-vm: dns works\n");
      expect(status).toBe(0);
    });

    test("as a user who may use sudo, and 2 as one who may not", () => {
      hosts.ssh(
        "pve",
        `useradd --create-home --shell /bin/bash ops
         install -d -m 0700 -o ops /home/ops/.ssh && install -m 0600 -o ops /root/.ssh/authorized_keys /home/ops/.ssh/`,
      );
      const site = siteWith(only("pve", { ssh: { ...ssh("pve"), user: "ops" } }));
      const refused = warden(["drift", "pve"], site);
      expect(refused.output).toMatch(
        /^(site: .*\n)?error: pve runs no command for ops \(sudo: a password is required\); let the user [^\n]*\n$/,
      );
      expect(refused.status).toBe(2);
      hosts.ssh("pve", "echo 'ops ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/ops");
      expect(warden(["drift", "pve"], site)).toEqual(healthy);
      expect(warden(["dns", "verify", "pve", "--without-failover-test"], site)).toMatchObject({ status: 0 });
      expect(warden(["rollback", "pve", "--dry-run"], site)).toMatchObject({ status: 0 });
    });

    test("with a shell that talks, which is none of what is found", () => {
      hosts.ssh("pve", "cp -p /root/.bashrc /root/kept; sed -i '1i echo Welcome; echo to pve >&2' /root/.bashrc");
      try {
        expect(hosts.ssh("pve", "true")).toBe("Welcome\n");
        expect(warden(["drift", "pve"])).toMatchObject(healthy);
        expect(reportOf(["dns", "verify", "pve", "--without-failover-test"]).findings).toEqual([]);
        expect(warden(["rollback", "pve", "--dry-run"]).output).toMatch(/^pve: has \/root\/dns-backups\//);
      } finally {
        hosts.ssh("pve", "mv /root/kept /root/.bashrc");
      }
    });

    test.each([
      ["may only transfer files", "--shell /bin/bash", "This service allows sftp connections only.", /run commands/],
      ["has no shell", "--shell /usr/sbin/nologin", "This account is currently not available.", /a login shell/],
    ])("as a user who %s is 2, with the true reason", (_, options, said, hint) => {
      hosts.ssh(
        "pve",
        `useradd --create-home ${options} files
         install -d -m 0700 -o files /home/files/.ssh && install -m 0600 -o files /root/.ssh/authorized_keys /home/files/.ssh/
         ! [[ '${options}' == *bash ]] || printf 'Match User files\n  ForceCommand internal-sftp\n' >/etc/ssh/sshd_config.d/files.conf
         systemctl reload ssh`,
      );
      try {
        const site = siteWith(only("pve", { ssh: { ...ssh("pve"), user: "files" } }));
        for (const args of [["drift", "pve"], ["rollback", "pve"], quiet.with(2, "pve")]) {
          const { status, output } = warden(args, site);
          expect(output).toContain(`error: pve runs no command for files (${said}); `);
          expect(output).toMatch(hint);
          expect(status).toBe(2);
        }
      } finally {
        hosts.ssh("pve", "rm -f /etc/ssh/sshd_config.d/files.conf; systemctl reload ssh; userdel --remove files");
      }
    });
  });
});
