import { assembleScript, type Delivery } from "../../hosts/delivery";
import { registryDelivery } from "../../hosts/registry";
import type { SiteInput } from "../../site/schema";
import { parsed, type WholeInput } from "../sites";
import { containersOf } from "./docker-containers";
import { describeWithHosts, Hosts, type Outcome } from "./hosts";
import { account, labSite, prepareRegistryHost, type RegistryHost } from "./registry-host";

type ServiceInput = WholeInput["registry"]["services"][number];
/** Changes the services of the site, by name. */
type Change = (service: ServiceInput) => ServiceInput;
const unchanged: Change = (service) => service;
const stored =
  (where: Record<string, { data: string } | { volume: string }>): Change =>
  (service) => ({ ...service, ...where[service.name] });

/** A registry in a hand-made stack. */
const oldRegistry = (name: string, mount: string, more = ""): string => `
  ${name}:
    image: registry:2.8.3
    restart: unless-stopped
    volumes: ["${mount}:/var/lib/registry", "/root/old/config.yml:/etc/docker/registry/config.yml:ro"]${more}`;

/** An image with one layer, pushed by hand to a registry without access control. */
const PUSH = `
push() {
  local url=$1 repository=$2 config layer manifest
  config='{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
  layer=content
  blob() { curl -sf -X PUT -H 'Content-Type: application/octet-stream' --data-binary "$1" "$(curl -sf -D - -o /dev/null -X POST "$url/v2/$repository/blobs/uploads/" | tr -d '\\r' | sed -n 's/^[Ll]ocation: //p')&digest=sha256:$(printf '%s' "$1" | sha256sum | cut -d ' ' -f 1)"; }
  blob "$config"; blob "$layer"
  manifest=$(printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":%d,"digest":"sha256:%s"},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","size":%d,"digest":"sha256:%s"}]}' \
    "\${#config}" "$(printf '%s' "$config" | sha256sum | cut -d ' ' -f 1)" "\${#layer}" "$(printf '%s' "$layer" | sha256sum | cut -d ' ' -f 1)")
  curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary "$manifest" "$url/v2/$repository/manifests/1"
}
`;

describeWithHosts(["nginx", "registry", "openssl"], "taking over what runs on a booted host", ({ nginx, registry }) => {
  const hosts = new Hosts();
  let prepared: RegistryHost;

  /** The site with the lab's hosts and registry; tests change its services. */
  const siteWith = (change: Change = unchanged, maintained = true): SiteInput => {
    const { monitoring: _monitoring, ci: _ci, ...site } = labSite(hosts);
    const { maintenance, ui: _ui, ...rest } = site.registry;
    return {
      ...site,
      registry: {
        ...rest,
        services: rest.services.filter(({ name }) => name === "private" || name === "ghcr").map(change),
        ...(maintained && maintenance !== undefined ? { maintenance } : {}),
      },
    };
  };
  const deliveryOf = (site: SiteInput): Delivery => registryDelivery(parsed(site));
  const deliver = (delivery: Delivery): Outcome => {
    hosts.ssh("vm", "cat >/root/registry.sh", assembleScript(delivery));
    return hosts.try("vm", "bash /root/registry.sh apply && bash /root/registry.sh confirm");
  };

  /** Every container, by name: its identity and state. */
  const containers = (): Record<string, string> => containersOf(hosts, "{{.ID}} {{.State}}", "--all");
  const names = () => Object.keys(containers());

  /** Starts the old stack: a compose file in its own folder. */
  const arrange = (services: string, volumes = ""): void => {
    hosts.ssh(
      "vm",
      `mkdir -p /root/old && cat >/root/old/compose.yml && cd /root/old &&
         printf 'version: 0.1\\nstorage: {filesystem: {rootdirectory: /var/lib/registry}}\\nhttp: {addr: ":5000"}\\n' >config.yml &&
         docker compose --project-name registry up --detach --pull never`,
      `services:${services}\n${volumes}`,
    );
  };
  const push = (container: string): void => {
    hosts.ssh(
      "vm",
      `${PUSH}
address=$(docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' ${container})
timeout 20 sh -c "until curl -sf -o /dev/null http://$address:5000/v2/; do sleep 0.2; done"
push "http://$address:5000" team/app`,
    );
  };
  /** What a client of the private registry sees. */
  const catalog = (): string =>
    hosts.operator([
      ...["curl", "-sk", "-m", "10", "-u", `${account.username}:${account.password}`],
      "https://10.0.20.10:5050/v2/_catalog",
    ]).output;

  beforeAll(async () => {
    hosts.up();
    prepared = await prepareRegistryHost(hosts, { nginx, registry });
  }, 600_000);
  afterAll(() => {
    prepared?.remove();
    hosts.down();
  });
  /** Removes all traces of a delivery, of the old stack and of their data. */
  afterEach(() => {
    hosts.ssh(
      "vm",
      `systemctl stop 'registry-maintenance-*.timer' 2>/dev/null
         docker ps -aq | xargs -r docker rm -f >/dev/null; docker volume ls -q | xargs -r docker volume rm >/dev/null; docker network prune -f >/dev/null
         rm -rf /var/lib/registry-warden /root/registry-backups /root/old /srv/registry /opt/registry/data /opt/registry/*.yml /opt/registry/nginx.conf
         rm -rf /opt/registry/maintenance.s* /opt/registry/warden.mjs /opt/registry/retention*
         rm -rf /etc/systemd/system/docker-compose-registry.service /etc/systemd/system/*.wants/*registry* /etc/systemd/system/registry-maintenance* /etc/systemd/system/*.service.d
         crontab -r 2>/dev/null; systemctl daemon-reload`,
    );
  }, 60_000);

  test("a registry whose data is elsewhere is refused, naming both places, and taken over where the site names its place", () => {
    arrange(oldRegistry("registry-private", "/srv/registry", "\n    container_name: registry-private"));
    push("registry-private");
    const before = containers();
    const refused = deliver(deliveryOf(siteWith()));
    expect(refused.output).toContain(
      'refused: the container registry-private has its images in /srv/registry and would start on /opt/registry/data/private; set data of its service to "/srv/registry", or move them: docker stop registry-private, then mv /srv/registry /opt/registry/data/private',
    );
    expect(refused.status).toBe(1);
    expect(refused.output).not.toContain("backed up");
    expect(containers()).toEqual(before);

    const { status, output } = deliver(deliveryOf(siteWith(stored({ private: { data: "/srv/registry" } }))));
    expect(output).toContain("takes over the container registry-private");
    expect(status).toBe(0);
    expect(catalog()).toContain("team/app");
    expect(names()).toEqual(["registry-ghcr", "registry-nginx", "registry-private"]);
  }, 240_000);

  test("moved by hand, as the refusal says, it is taken over", () => {
    arrange(oldRegistry("registry-private", "/srv/registry", "\n    container_name: registry-private"));
    push("registry-private");
    hosts.ssh(
      "vm",
      "docker stop registry-private && mkdir -p /opt/registry/data && mv /srv/registry /opt/registry/data/private",
    );
    expect(deliver(deliveryOf(siteWith()))).toMatchObject({ status: 0 });
    expect(catalog()).toContain("team/app");
  }, 240_000);

  test("services under other names with their data in volumes are refused, and adopted where the site names the volumes", () => {
    arrange(
      oldRegistry("registry", "data") + oldRegistry("proxy", "cache"),
      "volumes: { data: { name: registry_data }, cache: { name: registry_cache } }",
    );
    push("registry-registry-1");
    push("registry-proxy-1");
    const before = containers();
    const refused = deliver(deliveryOf(siteWith()));
    for (const [container, volume] of [
      ["registry-registry-1", "registry_data"],
      ["registry-proxy-1", "registry_cache"],
    ])
      expect(refused.output).toContain(
        `the container ${container} would be removed, and its images in the volume ${volume} (/var/lib/docker/volumes/${volume}/_data) are of no service of the site; set volume of its service to "${volume}"`,
      );
    expect(refused.status).toBe(1);
    expect(containers()).toEqual(before);

    const adopting = stored({ private: { volume: "registry_data" }, ghcr: { volume: "registry_cache" } });
    const { status, output } = deliver(deliveryOf(siteWith(adopting)));
    expect(output).toContain("removes the container registry-registry-1: the service registry is not of the site");
    expect(output).toContain("removes the container registry-proxy-1: the service proxy is not of the site");
    expect(status).toBe(0);
    expect(catalog()).toContain("team/app");
    expect(names()).toEqual(["registry-ghcr", "registry-nginx", "registry-private"]);
  }, 240_000);

  test("a name that another service of the project holds is no conflict, where the data is the right one", () => {
    arrange(oldRegistry("store", "/opt/registry/data/private", "\n    container_name: registry-private"));
    push("registry-private");
    const { status, output } = deliver(deliveryOf(siteWith()));
    expect(output).toContain("removes the container registry-private: the service store is not of the site");
    expect(status).toBe(0);
    expect(catalog()).toContain("team/app");
  }, 240_000);

  test("what fails half-way leaves every container of the old stack running, under its name, and none other", () => {
    arrange(
      oldRegistry("registry", "/opt/registry/data/private") +
        oldRegistry("registry-ghcr", "/opt/registry/data/ghcr", "\n    container_name: registry-ghcr"),
    );
    push("registry-registry-1");
    const before = names();
    const delivery = deliveryOf(siteWith());
    const broken: Delivery = {
      ...delivery,
      files: delivery.files.map((file) =>
        file.path.endsWith("config-private.yml") ? { ...file, content: "version: 9\n" } : file,
      ),
    };
    const { status, output } = deliver(broken);
    expect(output).toContain("restored from /root/registry-backups/");
    expect(status).toBe(1);
    expect(names()).toEqual(before);
    for (const state of Object.values(containers())) expect(state).toMatch(/ running$/);
    expect(hosts.ssh("vm", "ls /opt/registry/data/private/docker/registry/v2/repositories")).toBe("team\n");
  }, 300_000);

  test("half of a replacement that an earlier run left is removed, and the rollback of a delivery is the stack before it", () => {
    arrange(oldRegistry("registry", "/opt/registry/data/private"));
    const before = names();
    hosts.ssh(
      "vm",
      "docker create --name 0123456789ab_registry-private --label com.docker.compose.project=registry --label com.docker.compose.service=registry-private --label com.docker.compose.oneoff=False --label com.docker.compose.config-hash=x --label com.docker.compose.replace=y registry:2.8.3",
    );
    expect(deliver(deliveryOf(siteWith()))).toMatchObject({ status: 0 });
    expect(names()).toEqual(["registry-ghcr", "registry-nginx", "registry-private"]);
    const rolledBack = hosts.try("vm", "bash /var/lib/registry-warden/registry/delivery.sh rollback");
    expect(rolledBack.output).toContain("rolled back");
    expect(names()).toEqual(before);
  }, 300_000);

  describe("is refused, before anything is stopped,", () => {
    test.each<[name: string, arrange: string, undo: string, message: string]>([
      [
        "where a port is another program's",
        "setsid nohup python3 -m http.server 5050 </dev/null >/dev/null 2>&1 & timeout 10 sh -c 'until ss -ltn | grep -q :5050; do sleep 0.1; done'",
        "kill $(ss -ltnp sport = :5050 | sed -n 's/.*pid=\\([0-9]*\\).*/\\1/p')",
        "port 5050 is taken by python3 on the host",
      ],
      [
        "where a port is another container's",
        "docker run --detach --name other --publish 5010:80 --entrypoint /bin/sleep registry:2.8.3 600",
        "docker rm --force other",
        "port 5010 is published by the container other; give it another, or stop it: docker stop other",
      ],
      [
        "where the network was made by hand",
        "docker network create registry_registry",
        "docker network rm registry_registry",
        "the network registry_registry was not made by compose for this project",
      ],
      [
        "where the registry could not write its data",
        "install -d -o nobody /opt/registry/data/private/docker",
        "rm -r /opt/registry/data",
        "/opt/registry/data/private/docker belongs to the user nobody",
      ],
      [
        "where the images are within the container",
        "docker create --name registry-private --label com.docker.compose.project=registry --label com.docker.compose.service=registry-private --label com.docker.compose.config-hash=x --label com.docker.compose.oneoff=False registry:2.8.3; mkdir -p /root/images/docker/registry/v2; docker cp /root/images/. registry-private:/var/lib/registry/",
        "docker rm registry-private; rm -r /root/images",
        "the container registry-private has its images within itself",
      ],
      [
        "where a container is labelled as the project's, and was not made by compose",
        "docker create --name registry-private --label com.docker.compose.project=registry registry:2.8.3",
        "docker rm registry-private",
        "the container registry-private was not made by compose, though it is labelled as of registry",
      ],
    ])(
      "%s",
      (_, arranged, undo, message) => {
        hosts.ssh("vm", arranged);
        const before = containers();
        try {
          const { status, output } = deliver(deliveryOf(siteWith()));
          expect(output).toContain(message);
          expect(status).toBe(1);
          expect(output).not.toContain("backed up");
          expect(containers()).toEqual(before);
        } finally {
          hosts.try("vm", undo);
        }
      },
      120_000,
    );

    test("for every reason at once, and where the old compose file is gone", () => {
      arrange(oldRegistry("registry-private", "/srv/registry", "\n    container_name: registry-private"));
      hosts.ssh("vm", "rm /root/old/compose.yml; docker network create registry_registry");
      const { output } = deliver(deliveryOf(siteWith()));
      expect(output).toContain("were made from /root/old/compose.yml in /root/old, which is gone");
      expect(output).toContain("has its images in /srv/registry");
      expect(output).toContain("the network registry_registry was not made by compose");
      expect(output).toContain("for the 3 reason(s) above; nothing was changed");
    }, 120_000);

    test("where a service of the site gets another name, and would start on nothing", () => {
      expect(deliver(deliveryOf(siteWith()))).toMatchObject({ status: 0 });
      hosts.ssh("vm", "mkdir -p /opt/registry/data/private/docker/registry/v2/repositories");
      const before = containers();
      const renamed = deliver(
        deliveryOf(siteWith((service) => (service.role === "private" ? { ...service, name: "main" } : service))),
      );
      expect(renamed.output).toContain(
        "the container registry-private would be removed, and its images in /opt/registry/data/private are of no service of the site",
      );
      expect(renamed.status).toBe(1);
      expect(containers()).toEqual(before);
    }, 240_000);
  });

  describe("what collects garbage", () => {
    const ENTRY = "0 3 * * 0 docker exec registry-private registry garbage-collect -m /etc/docker/registry/config.yml";
    const UNIT = `[Service]
Type=oneshot
ExecStart=/bin/sh -c 'touch /run/collected; \\
  docker exec registry-private registry garbage-collect -m /etc/docker/registry/config.yml || true'
`;
    afterEach(() => {
      hosts.ssh("vm", "rm -f /etc/systemd/system/gc.service; systemctl daemon-reload");
    });
    const started = () => {
      hosts.ssh("vm", "rm -f /run/collected; systemctl start gc.service");
      return hosts.try("vm", "test -e /run/collected").status === 0;
    };

    test("is disabled while there is a maintenance, and enabled again by a delivery without one", () => {
      hosts.ssh("vm", "crontab -", `${ENTRY}\n`);
      hosts.ssh("vm", "cat >/etc/systemd/system/gc.service && systemctl daemon-reload", UNIT);
      expect(started()).toBe(true);

      const first = deliver(deliveryOf(siteWith()));
      expect(first.output).toContain("disables in /var/spool/cron/crontabs/root: 0 3 * * 0 … garbage-collect …");
      expect(first.output).toContain("disables the systemd service gc.service: … garbage-collect …");
      expect(first.status).toBe(0);
      expect(started()).toBe(false);
      expect(hosts.ssh("vm", "crontab -l")).toBe(`# disabled by registry-warden: ${ENTRY}\n`);
      expect(deliver(deliveryOf(siteWith())).output).toContain("nothing to change");

      const without = deliver(deliveryOf(siteWith(unchanged, false)));
      expect(without.output).toContain("enables again in /var/spool/cron/crontabs/root: docker …");
      expect(without.output).toContain("enables the systemd service gc.service again");
      expect(without.status).toBe(0);
      expect(hosts.ssh("vm", "crontab -l")).toBe(`${ENTRY}\n`);
      expect(started()).toBe(true);
    }, 300_000);

    test("is named where it is within a script, and where there is none", () => {
      const silent = deliver(deliveryOf(siteWith(unchanged, false)));
      expect(silent.output).toContain("nothing on this host collects garbage");
      hosts.ssh(
        "vm",
        "install -m 755 /dev/stdin /root/weekly.sh",
        "#!/bin/sh\ndocker exec r registry garbage-collect x\n",
      );
      hosts.ssh("vm", "crontab -", "0 3 * * 0 /bin/sh /root/weekly.sh --quiet\n");
      const { output } = deliver(deliveryOf(siteWith()));
      expect(output).toContain(
        "cron still has in /var/spool/cron/crontabs/root: 0 3 * * 0 … /root/weekly.sh …, which collects garbage",
      );
      expect(hosts.ssh("vm", "crontab -l")).toContain("0 3 * * 0 /bin/sh");
    }, 240_000);
  });
});
