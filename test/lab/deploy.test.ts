import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { describeWithCdktf } from "./cdktf";
import { dnsStateOf } from "./dns-state";
import { describeWithHosts, Hosts, type LabHost, type Outcome } from "./hosts";
import { account, labSite, prepareRegistryHost, type RegistryHost } from "./registry-host";

describeWithCdktf("the reference site, by npm run cdktf -- deploy", () =>
  describeWithHosts(
    ["terraform", "nginx", "registry", "openssl"],
    "on both hosts",
    ({ terraform, nginx, registry }) => {
      const hosts = new Hosts();
      const folder = mkdtempSync(join(tmpdir(), "warden-deploy-"));
      const site = join(folder, "site.json");
      let prepared: RegistryHost;
      let before: Record<LabHost, string>;
      let deployed: Outcome;

      const cdktf = (...args: string[]): Outcome => {
        const { status, output } = hosts.operator(["npm", "run", "-s", "cdktf", "--", ...args], {
          WARDEN_SITE: site,
          TERRAFORM_BINARY_NAME: terraform.command[0],
          PATH: `${dirname(terraform.command[0])}:${process.env.PATH}`,
        });
        return { status, output: stripVTControlCharacters(output) };
      };
      const deploy = () =>
        cdktf("deploy", "dns", "registry-vm", "--auto-approve", "--output", join(folder, "cdktf.out"));

      beforeAll(async () => {
        hosts.up();
        prepared = await prepareRegistryHost(hosts, { nginx, registry });
        writeFileSync(site, JSON.stringify(labSite(hosts)));
        // As hardened hosts have it: Terraform's own step would be a program in /tmp.
        for (const host of ["pve", "vm"] as const)
          hosts.ssh(host, "mount -t tmpfs -o noexec tmpfs /tmp && cp /bin/true /tmp/ && ! /tmp/true 2>/dev/null");
        before = { pve: dnsStateOf(hosts, "pve"), vm: dnsStateOf(hosts, "vm") };
        deployed = deploy();
      }, 600_000);
      afterAll(() => {
        prepared?.remove();
        hosts.down();
        rmSync(folder, { recursive: true });
      });

      test("is delivered, names first, and each host says what it verified", () => {
        expect(deployed.output).toMatch(/pve: with 192\.168\.1\.2 silent, github\.com resolved after/);
        expect(deployed.output).toMatch(/registry-vm: with 10\.0\.20\.1 silent, github\.com resolved after/);
        expect(deployed.output).toMatch(/registry-vm: dns is delivered[\s\S]*registry-vm: registry is delivered/);
        expect(deployed.status).toBe(0);
      });

      test("shows no drift on any host", () => {
        const { status, output } = hosts.warden(site, "drift");
        expect(output).toMatch(
          /^site: .*\npve: as the site has it\nregistry-vm: as the site has it\ntruenas: deferred: unreachable/,
        );
        expect(status).toBe(0);
      });

      test("puts no secret of the operator into its output", () => {
        expect(deployed.output).not.toContain(account.password);
        expect(deployed.output).not.toMatch(/PRIVATE KEY|\$2[aby]\$/);
      });

      test("has nothing to do the second time", () => {
        const { status, output } = deploy();
        expect(output).not.toMatch(/delivers (dns|registry)/);
        expect(output.match(/No changes\. Your infrastructure matches the configuration\./g)).toHaveLength(2);
        expect(status).toBe(0);
      }, 300_000);

      test("is rolled back by warden, one delivery after the other, to where it began", () => {
        const stamps = hosts.ssh("vm", "ls /root/registry-backups /root/dns-backups | grep tar").trim().split("\n");
        expect(stamps).toHaveLength(2);
        expect(hosts.warden(site, "rollback", "registry-vm")).toMatchObject({ status: 0 });
        expect(hosts.ssh("vm", "docker ps --all --quiet")).toBe("");
        const [dns = ""] = stamps.filter((name) => name.startsWith("dns"));
        expect(hosts.warden(site, "rollback", "registry-vm", "--to", dns)).toMatchObject({ status: 0 });
        expect(hosts.warden(site, "rollback", "pve")).toMatchObject({ status: 0 });
        expect(dnsStateOf(hosts, "vm")).toBe(before.vm);
        expect(dnsStateOf(hosts, "pve")).toBe(before.pve);
      }, 120_000);
    },
  ),
);
