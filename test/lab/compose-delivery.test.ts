import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assembleScript, type Delivery } from "../../hosts/delivery";
import type { HostFinding, HostReport } from "../../hosts/finding";
import { registryDelivery } from "../../hosts/registry";
import { RegistryVmStack } from "../../stacks/registry-vm-stack";
import { quote } from "../../text/shell-word";
import { PRIVATE_REGISTRY, parsed, type WholeInput } from "../sites";
import { Deployment } from "./deployment";
import { containersOf } from "./docker-containers";
import { describeWithHosts, Hosts, type Outcome } from "./hosts";
import { waitFor } from "./process";
import { account, labSite, prepareRegistryHost, type RegistryHost } from "./registry-host";
import { WARDEN_PROGRAM } from "./warden";

const CRONTAB = [
  "0 2 * * * python3 /opt/registry/cleanup-tags.sh --password planted-secret-7f3a 10",
  "0 3 * * 0 /usr/bin/docker exec registry-private registry garbage-collect -m /etc/docker/registry/config.yml",
  "0 4 * * * rsync -a /opt/registry/data nas:/registry --password-file /root/planted",
];

type Change = (registry: WholeInput["registry"]) => WholeInput["registry"];
const unchanged: Change = (registry) => registry;

describeWithHosts(
  ["terraform", "nginx", "registry", "openssl"],
  "the registries, deployed to a booted host with Docker",
  ({ terraform, nginx, registry }) => {
    const hosts = new Hosts();
    const folder = mkdtempSync(join(tmpdir(), "warden-compose-"));
    const stack = new Deployment(
      hosts,
      terraform,
      "registry-vm",
      (app, site) => new RegistryVmStack(app, "registry-vm", { site }),
    );
    let prepared: RegistryHost;

    const siteWith = (change: Change = unchanged, title = "registry VM"): WholeInput => {
      const site = labSite(hosts);
      return {
        ...site,
        hosts: site.hosts.map((host) => (host.name === site.registry.host ? { ...host, title } : host)),
        registry: change(site.registry),
      };
    };
    const purgingAfter =
      (hours: number): Change =>
      (given) => ({
        ...given,
        services: given.services.map((service) =>
          service.role === "private" ? { ...service, purgeUploadsAfterHours: hours } : service,
        ),
      });

    const warden = (...args: string[]): Outcome => {
      const file = join(folder, "site.json");
      writeFileSync(file, JSON.stringify(siteWith()));
      return hosts.warden(file, ...args);
    };

    const apply = (delivery: Delivery): Outcome => {
      hosts.ssh(
        "vm",
        "install -d -m 0700 .registry-warden && cat >.registry-warden/registry.sh",
        assembleScript(delivery),
      );
      return hosts.try("vm", "bash .registry-warden/registry.sh apply");
    };
    const deliver = (delivery: Delivery): Outcome => {
      const applied = apply(delivery);
      return applied.status === 0 ? hosts.try("vm", "bash .registry-warden/registry.sh confirm") : applied;
    };
    const deliveryOf = (site: WholeInput): Delivery => registryDelivery(parsed(site));

    /** The ID of each running container, by name. */
    const containers = (): Record<string, string> =>
      containersOf(hosts, "{{.ID}}", "--all", "--filter label=com.docker.compose.project=registry");
    const files = (): string =>
      hosts.ssh(
        "vm",
        "cd /opt/registry; find . -path ./data -prune -o -printf '%p %y %m %u\\n' | sort; sha256sum *.yml nginx.conf; sha256sum /etc/systemd/system/docker-compose-registry.service",
      );
    /** The HTTP status that a client on the network gets. */
    const answer = (port: number, path = "/v2/"): string =>
      hosts.httpStatus(`${port === 5050 ? "https" : "http"}://10.0.20.10:${port}${path}`);

    beforeAll(async () => {
      hosts.up();
      prepared = await prepareRegistryHost(hosts, { nginx, registry });
    }, 600_000);
    afterAll(() => {
      prepared?.remove();
      stack.remove();
      hosts.down();
      rmSync(folder, { recursive: true });
    });

    describe("refuses, before anything is touched,", () => {
      test.each<[name: string, arrange: string, restore: string, message: string | string[]]>([
        [
          "a key that others can read",
          "chmod 644 /opt/registry/tls/privkey.pem",
          "chmod 600 /opt/registry/tls/privkey.pem",
          "/opt/registry/tls/privkey.pem is of mode 644; expected: mode 0600, because it holds a secret (chmod 600 '/opt/registry/tls/privkey.pem'). Correct that",
        ],
        [
          "a host without the htpasswd file",
          "mv /opt/registry/htpasswd /opt/registry/away",
          "mv /opt/registry/away /opt/registry/htpasswd",
          "/opt/registry/htpasswd is absent; expected: the operator's file of mode 0600. Correct that",
        ],
        [
          "a host without any of the operator's files, each of them named at once",
          "mkdir /opt/registry/away && mv /opt/registry/htpasswd /opt/registry/tls /opt/registry/maintenance.env /opt/registry/away",
          "mv /opt/registry/away/* /opt/registry && rmdir /opt/registry/away",
          [
            "/opt/registry/htpasswd is absent; expected: the operator's file of mode 0600",
            "/opt/registry/tls/privkey.pem is absent; expected: the operator's file of mode 0600",
            "/opt/registry/maintenance.env is absent; expected: the operator's file of mode 0600",
            "/opt/registry/tls/fullchain.pem is absent; expected: the certificate with its chain",
          ],
        ],
        [
          "an htpasswd file without bcrypt",
          "cp -p /opt/registry/htpasswd /root/kept; echo 'user:$apr1$abc$def' >/opt/registry/htpasswd",
          "mv /root/kept /opt/registry/htpasswd",
          "/opt/registry/htpasswd is without any; expected: at least one user with a bcrypt hash",
        ],
        [
          "a certificate of another key",
          "cp -p /opt/registry/tls/privkey.pem /root/kept; openssl ecparam -genkey -name prime256v1 >/opt/registry/tls/privkey.pem",
          "mv /root/kept /opt/registry/tls/privkey.pem",
          "nginx refuses its configuration: ",
        ],
        [
          "a container of another project that has a name of ours",
          "docker create --name registry-private registry:2.8.3",
          "docker rm registry-private",
          'the container registry-private belongs to the compose project "", not to registry',
        ],
        [
          "a host whose Docker is down",
          "systemctl stop docker.socket docker",
          "systemctl start docker",
          "docker does not answer; start it: systemctl start docker",
        ],
        [
          "a host whose Docker is too old",
          `install -m 0755 /dev/stdin /usr/local/bin/docker <<'EOF'
#!/bin/sh
[ "$1" = version ] && echo 24.0.9 1.43 || exec /usr/bin/docker "$@"
EOF`,
          "rm /usr/local/bin/docker",
          "docker is version 24.0.9; install 25 or newer there",
        ],
        [
          "a host without the compose plugin",
          `install -m 0755 /dev/stdin /usr/local/bin/docker <<'EOF'
#!/bin/sh
[ "$1" = compose ] && exit 1 || exec /usr/bin/docker "$@"
EOF`,
          "rm /usr/local/bin/docker",
          "docker has no compose plugin; install version 2 there",
        ],
      ])(
        "%s",
        (_, arrange, restore, message) => {
          hosts.ssh("vm", arrange);
          try {
            const { status, output } = deliver(deliveryOf(siteWith()));
            for (const each of [message].flat()) expect(output).toContain(each);
            expect(status).toBe(1);
            expect(output).not.toContain("backed up");
          } finally {
            hosts.ssh("vm", restore);
          }
          expect(containers()).toEqual({});
          expect(hosts.ssh("vm", "docker network ls --format '{{.Name}}' | sort").trim().split("\n")).toEqual([
            "bridge",
            "host",
            "none",
          ]);
        },
        120_000,
      );
    });

    describe("from nothing", () => {
      let applied: Outcome;

      beforeAll(() => {
        hosts.ssh("vm", "crontab -", `${CRONTAB.join("\n")}\n`);
        applied = stack.apply(siteWith());
      }, 240_000);

      test("come up through terraform apply, and a second plan is empty", () => {
        expect(applied.output).toContain("registry-vm: registry is delivered");
        expect(applied.status).toBe(0);
        expect(Object.keys(containers())).toEqual([
          "registry-dockerhub",
          "registry-ghcr",
          "registry-k8s",
          "registry-kyverno",
          "registry-nginx",
          "registry-private",
          "registry-quay",
          "registry-ui",
        ]);
        expect(stack.plan(siteWith())).toMatchObject({ status: 0 });
      }, 60_000);

      test("warn of a cache whose upstream is down, and of the old cron entries", () => {
        expect(applied.output).toContain("warning: registry-kyverno is restarting: ");
        expect(applied.output).toContain(
          "warning: cron still has in /var/spool/cron/crontabs/root: 0 4 * * * rsync …, which names a registry; it is left alone",
        );
      });

      test("disable the entries of cron that the maintenance is in place of, and leave the others", () => {
        expect(applied.output).toContain(
          "disables in /var/spool/cron/crontabs/root: 0 2 * * * … /opt/registry/cleanup-tags.sh …",
        );
        const [cleanUp, collection, copy] = CRONTAB;
        expect(hosts.ssh("vm", "crontab -l").trim().split("\n")).toEqual([
          `# disabled by registry-warden: ${cleanUp}`,
          `# disabled by registry-warden: ${collection}`,
          copy,
        ]);
        expect(hosts.ssh("vm", "stat -c '%a %U %G' /var/spool/cron/crontabs/root")).toBe("600 root crontab\n");
      });

      test("start the timers of the maintenance", () => {
        const timers = hosts.ssh("vm", "systemctl list-timers --all --no-legend 'registry-maintenance-*'");
        for (const task of ["clean-up", "caches", "scan", "scrub", "disk"]) {
          expect(timers).toContain(`registry-maintenance-${task}.service`);
          expect(hosts.ssh("vm", `systemctl is-enabled registry-maintenance-${task}.timer`)).toBe("enabled\n");
        }
        expect(hosts.ssh("vm", "systemd-analyze verify /etc/systemd/system/registry-maintenance-*.* 2>&1")).toBe("");
      });

      test("put no secret of the operator into output, state or process arguments", () => {
        for (const text of [applied.output, stack.state()]) {
          expect(text).not.toContain(account.password);
          expect(text).not.toContain("PRIVATE KEY");
          expect(text).not.toMatch(/\$2[aby]\$/);
        }
      });

      test("serve on all six ports, each behind its own; a dead cache is 502 or 504 alone", () => {
        expect([5000, 5010, 5020, 5030, 5050].map((port) => answer(port))).toEqual(["200", "200", "200", "200", "401"]);
        // It keeps crashing: either it has no address, or nothing answers there.
        expect(answer(5040)).toMatch(/^50[24]$/);
        expect(answer(8080)).not.toBe("000");
        // The same port serves profiles, so it is only open on the host itself.
        expect(answer(5001, "/metrics")).toBe("000");
        expect(hosts.ssh("vm", "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:5001/metrics")).toBe("200");
      });

      test("take a push and give it back, through TLS and with credentials only", () => {
        const image = `${PRIVATE_REGISTRY}/lab/image:1.0.0`;
        hosts.ssh(
          "vm",
          `docker login --username ${account.username} --password-stdin ${PRIVATE_REGISTRY}`,
          account.password,
        );
        hosts.ssh(
          "vm",
          `docker tag registry:2.8.3 ${image} && docker push --quiet ${image} && docker rmi ${image} && docker pull --quiet ${image}`,
        );
        const blob = hosts.ssh(
          "vm",
          "basename $(dirname $(find /opt/registry/data/private/docker/registry/v2/blobs -name data -size +1000k | head -n 1))",
        );
        expect(answer(5050, `/v2/lab/image/blobs/sha256:${blob.trim()}`)).toBe("401");
        hosts.ssh("vm", `docker logout ${PRIVATE_REGISTRY}; docker rmi ${image}`);
        expect(hosts.try("vm", `docker pull --quiet ${image}`)).toMatchObject({ status: 1 });
      }, 60_000);

      test("are found whole by warden verify", () => {
        const { status, output } = hosts.operator(
          [
            process.execPath,
            WARDEN_PROGRAM,
            "verify",
            "https://10.0.20.10:5050",
            "--ca-file",
            prepared.authority.certificate,
            "--json",
          ],
          { REG_USER: account.username, REG_PASS: account.password },
        );
        expect(JSON.parse(output)).toMatchObject({
          complete: true,
          failures: [],
          counts: { repositories: 1, tags: 1 },
        });
        expect(status).toBe(0);
      }, 60_000);

      test("are rolled back to nothing by one command, but for data and the operator's files, and delivered again", () => {
        const { status, output: said } = warden("rollback", "registry-vm");
        expect(status).toBe(0);
        expect(containers()).toEqual({});
        expect(hosts.ssh("vm", "ls -1 /opt/registry")).toBe("data\nhtpasswd\nmaintenance.env\ntls\n");
        expect(hosts.try("vm", "systemctl cat docker-compose-registry.service").status).not.toBe(0);
        expect(hosts.ssh("vm", "crontab -l").trim().split("\n")).toEqual(CRONTAB);
        expect(hosts.ssh("vm", "systemctl list-timers --no-legend 'registry-maintenance-*'")).toBe("");
        const [, again = ""] = /to deliver again: warden (deliver .*)\n/.exec(said) ?? [];
        expect(warden(...again.split(" "))).toMatchObject({ status: 0 });
      }, 120_000);

      test("touch nothing where all is as delivered and the record of it was lost", () => {
        hosts.ssh("vm", "mv /var/lib/registry-warden/registry /root/kept");
        const before = containers();
        const { status, output } = apply(deliveryOf(siteWith()));
        hosts.ssh("vm", "rm -rf /root/kept");
        expect(output).toContain("registry-vm: registry is as delivered, nothing to change\n");
        expect(status).toBe(0);
        expect(hosts.try("vm", "bash .registry-warden/registry.sh confirm")).toMatchObject({ status: 0 });
        expect(containers()).toEqual(before);
      }, 120_000);

      test("come back after a reboot", async () => {
        hosts.reboot("vm");
        await hosts.until("vm", "test \"$(curl -sk -o /dev/null -w '%{http_code}' https://127.0.0.1:5050/v2/)\" = 401");
        await hosts.until("vm", "curl -sf -o /dev/null http://127.0.0.1:5030/v2/");
      }, 120_000);
    });

    describe("drift", () => {
      /** Findings about the registries only: neither DNS nor the watch that comes with it was delivered here. */
      const findings = (): HostFinding[] => {
        const { findings: all } = JSON.parse(warden("drift", "registry-vm", "--json").output) as HostReport;
        return all.filter(({ what }) => !/resolved|cloud|dns|watch/.test(what));
      };

      test("finds nothing after a delivery, though a cache is down", () => {
        expect(findings()).toEqual([]);
      });

      test.each<[name: string, arrange: string, undo: string, expected: Partial<HostFinding>[]]>([
        [
          "a configuration that was edited on the host",
          "cp -p config-private.yml /root/kept; echo '# mine' >>config-private.yml",
          "mv /root/kept config-private.yml",
          [{ what: "/opt/registry/config-private.yml", actual: expect.stringMatching(/# mine\n$/) }],
        ],
        [
          "a container that was stopped",
          "docker stop --time 1 registry-quay",
          "docker start registry-quay",
          [{ what: "container registry-quay", actual: expect.stringContaining("\nstate exited\n") }],
        ],
        [
          "a container that was removed",
          "docker rm --force registry-ui",
          "docker compose up --detach --no-deps registry-ui",
          [
            { what: "container registry-ui", actual: "absent" },
            { what: "containers of compose project registry", actual: expect.not.stringContaining("registry-ui") },
          ],
        ],
        [
          "a container that the file does not have",
          "docker run --detach --name registry-old --label com.docker.compose.project=registry --label com.docker.compose.oneoff=False joxit/docker-registry-ui:2.5.7",
          "docker rm --force registry-old",
          [{ what: "containers of compose project registry", actual: expect.stringContaining("registry-old") }],
        ],
        [
          "an image that somebody put into the file, and what runs of it",
          `cp -p docker-compose.yml /root/kept; docker tag registry:2.8.3 registry:2.8.4
           sed -i '/registry-ghcr:/,/image:/s/2.8.3/2.8.4/' docker-compose.yml; docker compose up --detach --no-deps registry-ghcr`,
          "mv /root/kept docker-compose.yml; docker compose up --detach --no-deps registry-ghcr",
          [
            { what: "/opt/registry/docker-compose.yml", actual: expect.stringContaining("image: registry:2.8.4") },
            { what: "container registry-ghcr", actual: expect.stringMatching(/^image registry:2\.8\.4\n/) },
          ],
        ],
        [
          "a tag that was moved since the container was made",
          "docker tag joxit/docker-registry-ui:2.5.7 kept:1; docker tag registry:2.8.3 joxit/docker-registry-ui:2.5.7",
          "docker tag kept:1 joxit/docker-registry-ui:2.5.7",
          [
            {
              what: "container registry-ui",
              actual: expect.stringContaining("2.5.7, before that name got another image\n"),
            },
          ],
        ],
        [
          "a container that was made otherwise than the file says",
          "sed 's/168h/24h/; s/restart: unless-stopped/restart: always/' docker-compose.yml >/root/other.yml; docker compose --file /root/other.yml --project-directory . up --detach --no-deps registry-k8s",
          "docker compose up --detach --no-deps registry-k8s",
          [{ what: "container registry-k8s", actual: expect.stringMatching(/\ndefinition another\n$/) }],
        ],
      ])(
        "finds %s",
        (_, arrange, undo, expected) => {
          hosts.ssh("vm", `cd /opt/registry; ${arrange}`);
          try {
            expect(findings()).toEqual(expected.map((each) => expect.objectContaining(each)));
          } finally {
            hosts.ssh("vm", `cd /opt/registry; ${undo}`);
          }
          expect(findings()).toEqual([]);
        },
        60_000,
      );
    });

    describe("a change", () => {
      test("of one configuration bounces that service alone", () => {
        const before = containers();
        const planned = stack.plan(siteWith(purgingAfter(24)));
        expect(planned.output).toMatch(/-\s+age: 168h\n\s+\+\s+age: 24h/);
        expect(stack.apply(siteWith(purgingAfter(24)))).toMatchObject({ status: 0 });
        const after = containers();
        expect(Object.keys(after).filter((name) => after[name] !== before[name])).toEqual(["registry-private"]);
      }, 120_000);

      test("of nothing bounces nothing", () => {
        const before = containers();
        expect(deliver(deliveryOf(siteWith(purgingAfter(24)))).output).toContain("registry is delivered");
        expect(containers()).toEqual(before);
      }, 120_000);

      test("that takes a cache away removes its container and its configuration, and keeps its data", () => {
        const without: Change = (given) => {
          const before = purgingAfter(24)(given);
          return { ...before, services: before.services.filter(({ name }) => name !== "quay") };
        };
        const before = containers();
        expect(stack.apply(siteWith(without))).toMatchObject({ status: 0 });
        const after = containers();
        // The reverse proxy's configuration changed; nothing else was touched.
        expect(Object.keys(before).filter((name) => after[name] !== before[name])).toEqual([
          "registry-nginx",
          "registry-quay",
        ]);
        expect(Object.keys(after)).not.toContain("registry-quay");
        expect(hosts.ssh("vm", "ls /opt/registry")).not.toContain("config-quay.yml");
        expect(hosts.ssh("vm", "ls /opt/registry/data")).toContain("quay");
        expect(answer(5020)).toBe("000");
        expect(stack.apply(siteWith())).toMatchObject({ status: 0 });
        expect(answer(5020)).toBe("200");
      }, 240_000);

      test("of a title brings any text to the browser as it is", () => {
        const title = 'it\'s "$HOME" `id` ${x} $${y} %{ if x } \\n 100% #ü';
        expect(stack.apply(siteWith(unchanged, title))).toMatchObject({ status: 0 });
        const environment: string[] = JSON.parse(
          hosts.ssh("vm", "docker inspect --format '{{json .Config.Env}}' registry-ui"),
        );
        expect(environment).toContain(`REGISTRY_TITLE=${title}`);
      }, 120_000);
    });

    test("any path is taken as it is, by compose, systemd, nginx and the shell", () => {
      const directory = '/opt/it\'s "$HOME" `id` ${x} $${y} %h #ü';
      const moved: Change = (given) => ({
        ...given,
        directory,
        services: given.services.map((service) =>
          service.role === "private"
            ? {
                ...service,
                htpasswd: `${directory}/accounts`,
                tls: { certificate: `${directory}/a "chain".pem`, key: `${directory}/a $key.pem` },
              }
            : service,
        ),
      });
      hosts.ssh(
        "vm",
        `mkdir -p ${quote(directory)} && cd ${quote(directory)} && cp -p /opt/registry/htpasswd accounts &&
         cp -p /opt/registry/tls/fullchain.pem 'a "chain".pem' && cp -p /opt/registry/tls/privkey.pem 'a $key.pem'`,
      );
      // A delivery that would start the registry on another directory is refused: the message says to move the data
      // first.
      expect(deliver(deliveryOf(siteWith(moved))).output).toContain(
        `the container registry-private has its images in /opt/registry/data/private and would start on ${directory}/data/private`,
      );
      const move = (from: string, to: string) =>
        hosts.ssh("vm", `docker compose --project-name registry stop && mv ${quote(`${from}/data`)} ${quote(to)}`);
      move("/opt/registry", directory);
      expect(stack.apply(siteWith(moved))).toMatchObject({ status: 0 });
      expect(answer(5050)).toBe("401");
      const mounted: { Source: string }[] = JSON.parse(
        hosts.ssh("vm", "docker inspect --format '{{json .Mounts}}' registry-private"),
      );
      expect(mounted.map(({ Source }) => Source)).toContain(`${directory}/data/private`);
      hosts.ssh("vm", "systemctl restart docker-compose-registry.service");
      expect(hosts.ssh("vm", "systemctl is-active docker-compose-registry.service")).toBe("active\n");
      writeFileSync(join(folder, "moved.json"), JSON.stringify(siteWith(moved)));
      expect(hosts.warden(join(folder, "moved.json"), "drift", "registry-vm").output).not.toMatch(/container|\/opt/);
      move(directory, "/opt/registry");
      expect(stack.apply(siteWith())).toMatchObject({ status: 0 });
    }, 240_000);

    describe("a change that does not work", () => {
      let before: { files: string; containers: string[] };
      // The reverse proxy resolves a name again after ten seconds: until then it does not find a container whose
      // address changed.
      const healthy = () =>
        waitFor(
          "every registry answers through the reverse proxy",
          () => [5050, 5000, 5010, 5020, 5030].map((port) => answer(port)).join() === "401,200,200,200,200",
          30,
        );

      beforeAll(() => {
        const { status, output } = stack.apply(siteWith());
        if (status !== 0) throw new Error(output);
        before = { files: files(), containers: Object.keys(containers()) };
      }, 240_000);
      afterEach(async () => {
        expect(files()).toBe(before.files);
        expect(Object.keys(containers())).toEqual(before.containers);
        await healthy();
      }, 60_000);

      test("an image that cannot be pulled: nothing is stopped", () => {
        const running = containers();
        const pinned: Change = (given) => ({
          ...given,
          images: { ...given.images, registry: { repository: "registry", tag: "2.8.999" } },
        });
        const { status, output } = stack.apply(siteWith(pinned));
        expect(output).toMatch(/registry:2\.8\.999 cannot be pulled; check registry/);
        expect(status).toBe(1);
        expect(containers()).toEqual(running);
      }, 180_000);

      test("an image that does not serve: the one before is back", () => {
        // It ignores its arguments, so any command will do.
        hosts.ssh(
          "vm",
          `docker commit --change 'ENTRYPOINT ["/bin/sh", "-c", "exec sleep 600"]' registry-ui registry:2.8.1000`,
        );
        const broken: Change = (given) => ({
          ...given,
          images: { ...given.images, registry: { repository: "registry", tag: "2.8.1000" } },
        });
        const { status, output } = deliver(deliveryOf(siteWith(broken)));
        expect(output).toMatch(/registry-\w+ is unhealthy and has to be healthy/);
        expect(output).toContain("restored from /root/registry-backups/registry-config-backup-");
        expect(status).toBe(1);
      }, 300_000);

      test("a configuration that the registry refuses: the one before is back", () => {
        const delivery = deliveryOf(siteWith());
        const broken: Delivery = {
          ...delivery,
          files: delivery.files.map((file) =>
            file.path.endsWith("config-private.yml")
              ? { ...file, content: "version: 9\n" }
              : file.path.endsWith("docker-compose.yml")
                ? // A changed configuration comes with a changed digest of it.
                  { ...file, content: file.content.replaceAll(/sha256:[0-9a-f]{64}/g, `sha256:${"0".repeat(64)}`) }
                : file,
          ),
        };
        const { status, output } = deliver(broken);
        expect(output).toMatch(/registry-private is restarting and has to be healthy: .*panic: /);
        expect(status).toBe(1);
      }, 300_000);

      test("a compose file that docker compose refuses: nothing is stopped", () => {
        const running = containers();
        const delivery = deliveryOf(siteWith());
        const { status, output } = deliver({
          ...delivery,
          files: delivery.files.map((file) =>
            file.path.endsWith("docker-compose.yml") ? { ...file, content: "services: [" } : file,
          ),
        });
        expect(output).toContain("docker compose refuses the file: ");
        expect(status).toBe(1);
        expect(containers()).toEqual(running);
      }, 120_000);

      test("the power is cut while services are replaced: the definition before is back, and serves", async () => {
        const delivery = deliveryOf(siteWith(purgingAfter(12)));
        hosts.ssh("vm", "cat >.registry-warden/registry.sh", assembleScript(delivery));
        hosts.ssh("vm", "setsid bash .registry-warden/registry.sh apply </dev/null >/run/apply.log 2>&1 &");
        await hosts.until(
          "vm",
          "grep -q 'placed /opt/registry/nginx.conf\\|placed /var' /var/lib/registry-warden/registry/pending/journal",
        );
        hosts.cut("vm");
        hosts.boot("vm");
        await hosts.until("vm", "test ! -e /var/lib/registry-warden/registry/pending");
        await hosts.until(
          "vm",
          "for port in 5000 5010 5020 5030; do curl -sf -o /dev/null http://127.0.0.1:$port/v2/ || exit 1; done",
        );
      }, 300_000);
    });

    test("two registries that swap their addresses never answer for each other, and are found again within seconds", async () => {
      const names = ["registry-private", "registry-ghcr"];
      const addresses = (): string[] =>
        names.map((name) =>
          hosts
            .ssh("vm", `docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' ${name}`)
            .trim(),
        );
      const before = addresses();
      // Docker assigns the lowest free address, so fillers occupy the ones below the one we want.
      const startAt = (name: string, address = "") => `
        for filler in $(seq 20); do
          docker run --detach --name "filler-${name}-$filler" --network registry_registry joxit/docker-registry-ui:2.5.7 >/dev/null
          got=$(docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "filler-${name}-$filler")
          [ "$got" != "${address}" ] || break
        done
        docker rm --force "filler-${name}-$filler" >/dev/null
        docker compose up --detach --no-deps ${name}`;
      const last = (address = "") => Number(address.split(".")[3]);
      const swapped: [string, string | undefined][] = [
        ["registry-private", before[1]],
        ["registry-ghcr", before[0]],
      ];
      swapped.sort(([, one], [, other]) => last(one) - last(other));
      hosts.ssh(
        "vm",
        `cd /opt/registry
         docker stop registry-kyverno
         docker rm --force ${names.join(" ")}
         ${swapped.map(([name, address]) => startAt(name, address)).join("\n")}`,
      );
      expect(addresses()).toEqual(before.toReversed());
      // Only the private registry asks for credentials, so an answer from the other one would show.
      const seen: string[] = [];
      while (seen.at(-1) !== "401 200" && seen.length < 100) seen.push(`${answer(5050)} ${answer(5010)}`);
      for (const answers of seen) expect(answers).toMatch(/^(401|502|000) (200|502|000)$/);
      expect(seen.at(-1)).toBe("401 200");
      hosts.ssh(
        "vm",
        "docker rm --force $(docker ps --all --quiet --filter name=filler-); docker start registry-kyverno",
      );
    }, 120_000);
  },
);
