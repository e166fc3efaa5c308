import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { describeWithCdktf } from "./cdktf";
import { dnsStateOf } from "./dns-state";
import { describeWithHosts, Hosts, type LabHost, type Outcome } from "./hosts";
import { npmRegistry } from "./npm-registry";
import { labSite, prepareRegistryHost, type RegistryHost } from "./registry-host";

const root = join(__dirname, "../..");

const git = (...args: string[]): string | undefined => {
  const { status, stdout } = spawnSync("git", args, { cwd: root, encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
};

/** Until there is a release: the commit from which docs/upgrading.md says how to upgrade. */
const BEFORE_RELEASES = "2d230bc4c19f20d58714c024e0f8097787107922";

/** The previous version: the newest tag that is not on this commit. */
const previous = git("describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD^") ?? BEFORE_RELEASES;
const isReleased = previous !== BEFORE_RELEASES;

const describeWithHistory = (title: string, body: () => void): void => {
  if (git("cat-file", "-e", `${previous}^{commit}`) !== undefined) describe(title, body);
  else
    describe.skip(title, () =>
      test(`skipped: history: this clone lacks ${previous}: run git fetch --unshallow`, () => undefined),
    );
};

describeWithHistory(`from ${previous} to this version`, () =>
  npmRegistry("each with its packages", () =>
    describeWithCdktf("by npm run cdktf -- deploy", () =>
      describeWithHosts(
        ["terraform", "nginx", "registry", "openssl"],
        "on both hosts",
        ({ terraform, nginx, registry }) => {
          const hosts = new Hosts();
          const folder = mkdtempSync(join(tmpdir(), "warden-upgrade-"));
          const older = join(folder, "older");
          const output = join(folder, "cdktf.out");
          const sites = { older: join(folder, "older.json"), newer: join(folder, "newer.json") };
          let prepared: RegistryHost;
          let containers: string;

          /** The reference site as that version has it. */
          const reference = (checkout = root) => {
            const print = "process.stdout.write(JSON.stringify(require('./site/reference').default))";
            const args = ["--import", "tsx", "-e", print];
            return JSON.parse(execFileSync(process.execPath, args, { cwd: checkout, encoding: "utf8" }));
          };
          const name = reference().name ?? "reference";

          const inCheckout = (checkout: string, site: string, command: readonly string[]): Outcome => {
            const { status, output: said } = hosts.operator(
              ["sh", "-c", 'cd "$0" && exec "$@"', checkout, ...command],
              {
                WARDEN_SITE: site,
                TERRAFORM_BINARY_NAME: terraform.command[0],
                PATH: `${dirname(terraform.command[0])}:${process.env.PATH}`,
              },
            );
            return { status, output: stripVTControlCharacters(said) };
          };
          const deploy = (checkout: string, site: string) =>
            inCheckout(checkout, site, [
              "npm",
              "run",
              "-s",
              "cdktf",
              "--",
              "deploy",
              "dns",
              "registry-vm",
              "--auto-approve",
              "--output",
              output,
            ]);
          const warden = (checkout: string, site: string, ...args: string[]) =>
            inCheckout(checkout, site, [process.execPath, "--import", "tsx", "cli/warden.ts", ...args]);

          /**
           * Moves the states, once, from where checkouts before the first release kept them, as docs/upgrading.md says.
           */
          const moveStates = () => {
            const page = readFileSync(join(root, "docs/upgrading.md"), "utf8");
            const [, command = ""] = page.match(/^\| `local` \| `(.*)` \|$/m) ?? [];
            expect(command).toContain("NAME");
            execFileSync("sh", ["-euc", command.replaceAll("NAME", name)], { cwd: folder });
          };

          beforeAll(async () => {
            execFileSync("git", ["clone", "--quiet", "--no-checkout", root, older]);
            execFileSync("git", ["checkout", "--quiet", previous], { cwd: older });
            // The older version needs its own packages. cdktf-cli is shared, so it must not look stale and be installed
            // again.
            execFileSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: older });
            symlinkSync(join(root, "tools/cdktf/node_modules"), join(older, "tools/cdktf/node_modules"));
            utimesSync(join(older, "tools/cdktf/package-lock.json"), 0, 0);
            mkdirSync(join(folder, "state"));
            hosts.up();
            prepared = await prepareRegistryHost(hosts, { nginx, registry });
            writeFileSync(sites.older, JSON.stringify(labSite(hosts, reference(older))));
            writeFileSync(sites.newer, JSON.stringify(labSite(hosts)));
          }, 600_000);
          afterAll(() => {
            prepared?.remove();
            hosts.down();
            rmSync(folder, { recursive: true });
          });

          const states = (): Record<LabHost, string> => ({
            pve: dnsStateOf(hosts, "pve"),
            vm: dnsStateOf(hosts, "vm"),
          });
          let delivered: Record<LabHost, string>;

          test("the older version is deployed", () => {
            const { status, output: said } = deploy(older, sites.older);
            expect([status, said]).toEqual([0, expect.stringContaining("registry-vm: registry is delivered")]);
            delivered = states();
          }, 300_000);

          test("this one delivers again, over the same state, and destroys nothing", () => {
            if (!isReleased) moveStates();
            const { status, output: said } = deploy(root, sites.newer);
            expect(said).toMatch(/Plan: (\d+) to add, \d+ to change, \1 to destroy/);
            expect(said).not.toMatch(/removes container/);
            expect(said).toContain("registry-vm: registry is delivered");
            expect(status).toBe(0);
          }, 300_000);

          test("hosts are as the site has them, and the next plan is empty", () => {
            expect(warden(root, sites.newer, "drift").output).toMatch(
              /^(.*\n)?pve: as the site has it\nregistry-vm: as the site has it/,
            );
            expect(deploy(root, sites.newer).output.match(/No changes\. Your infrastructure matches/g)).toHaveLength(2);
          }, 300_000);

          test("the way back: the host first, with this version, to what the older one delivered", () => {
            containers = hosts.ssh("vm", "docker ps --format '{{ .Names }}' | sort");
            for (const { host, deliveries } of [
              { host: "registry-vm", deliveries: ["registry", "dns"] },
              { host: "pve", deliveries: ["dns"] },
            ]) {
              const listed = warden(root, sites.newer, "rollback", host, "--dry-run").output;
              for (const delivery of deliveries) {
                // The newest comes first.
                const [, backup = ""] =
                  new RegExp(`has (\\S*/${delivery}-config-backup-\\d{8}-\\d{6}\\.tar\\.gz)`).exec(listed) ?? [];
                expect([listed, backup]).toEqual([listed, expect.stringContaining(delivery)]);
                const back = warden(root, sites.newer, "rollback", host, "--to", backup);
                expect(back).toEqual({
                  status: 0,
                  output: expect.stringContaining("rolled back; the state before is in "),
                });
              }
            }
            expect(hosts.ssh("vm", "docker ps --format '{{ .Names }}' | sort")).toBe(containers);
            expect(states()).toEqual(delivered);
            expect(warden(older, sites.older, "drift", "registry-vm").output).toContain(
              "registry-vm: as the site has it",
            );
          }, 300_000);
        },
      ),
    ),
  ),
);
