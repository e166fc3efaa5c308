import type { ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { prometheusFiles } from "../../handbook/prometheus";
import { probeUnit } from "../../hosts/probe";
import { hostProbes, ownPushgateway, privateServices, type RegistrySite, serviceInstance } from "../../site/schema";
import { parsed, SHIPPED, type WholeInput } from "../sites";
import { createCertificateAuthority } from "./certificates";
import { importImages, importPushgateway } from "./docker-images";
import { describeWithHosts, endProcessGroup, Hosts } from "./hosts";
import { waitFor } from "./process";
import { labHtpasswdLine } from "./registry";
import { account, deliverToVm, OPERATOR } from "./registry-host";

const HOST = "10.0.20.10";
/** The operator's machine in the lab, where Prometheus runs. */
const PROMETHEUS = `${OPERATOR}:9090`;
/** Seconds from which the rules derive their durations. */
const PERIOD = 3;
const PATIENCE = 90;

/** The example as it ships, on the lab's host; its cache has no upstream here. */
const shipped = SHIPPED["no-kubernetes"] as WholeInput;
const site = parsed({
  ...shipped,
  hosts: shipped.hosts.map((host) => ({ ...host, address: HOST })) as WholeInput["hosts"],
  registry: { ...shipped.registry, services: shipped.registry.services.filter(({ role }) => role === "private") },
  monitoring: {
    ...shipped.monitoring,
    // Prometheus is on another machine.
    pushgateway: { ...(shipped.monitoring.pushgateway as object), listen: HOST } as never,
  },
}) as RegistrySite & ReturnType<typeof parsed>;

/** The handbook's files for a Prometheus, with a shorter period than the schema allows. */
const files = prometheusFiles({
  ...site,
  monitoring: {
    ...site.monitoring,
    probes: site.monitoring.probes.map((probe) => ({
      ...probe,
      periodMinutes: PERIOD / 60,
      deadlineSeconds: 1,
    })) as never,
  },
});
const text = (name: string): string => files.get(`prometheus/${name}`) ?? "";

describeWithHosts(
  ["nginx", "pushgateway", "prometheus", "openssl"],
  "a box with Docker and no cluster, watched by a Prometheus",
  ({ nginx, pushgateway, prometheus }) => {
    const hosts = new Hosts();
    const folder = mkdtempSync(join(tmpdir(), "warden-no-kubernetes-"));
    const authority = createCertificateAuthority();
    let server: ChildProcess | undefined;

    const [probe] = hostProbes(site);
    const [service] = privateServices(site.registry);
    const own = ownPushgateway(site);
    if (probe === undefined || service === undefined || own === undefined)
      throw new Error("the example has no probe, no private registry or no Pushgateway");
    const image = `${serviceInstance(site, service)}/team/app:1`;
    const manifests = `${site.registry.directory}/data/${service.name}/docker/registry/v2/repositories/team/app/_manifests`;

    beforeAll(async () => {
      hosts.up();
      importImages(hosts, nginx, site.registry);
      importPushgateway(hosts, pushgateway, own.image);
      const { certificate, key } = authority.issue([service.serverName, HOST]);
      hosts.put(service.tls.certificate, "644", readFileSync(certificate));
      hosts.put(service.tls.key, "600", readFileSync(key));
      hosts.put(service.htpasswd, "600", labHtpasswdLine(account, 5));
      hosts.put("/etc/registry/ca.pem", "644", readFileSync(authority.certificate));
      hosts.put(
        `/etc/docker/certs.d/${serviceInstance(site, service)}/ca.crt`,
        "644",
        readFileSync(authority.certificate),
      );
      for (const file of ["probe", "maintenance"])
        hosts.put(
          `/etc/registry/${file}.env`,
          "600",
          `REG_USER='${account.username}'\nREG_PASS='${account.password}'\n`,
        );
      hosts.ssh("vm", `echo ${HOST} ${service.serverName} >>/etc/hosts`);
      expect(deliverToVm(hosts, site)).toMatchObject({ status: 0 });
      hosts.ssh(
        "vm",
        `docker login --username ${account.username} --password-stdin ${serviceInstance(site, service)}`,
        account.password,
      );
      hosts.ssh("vm", `docker tag registry:2.8.3 ${image} && docker push --quiet ${image}`);

      mkdirSync(join(folder, "data"));
      for (const name of ["registry-alerts.rules.yaml"]) writeFileSync(join(folder, name), text(name));
      const configuration = parse(text("prometheus.yaml"));
      const global = { scrape_interval: "1s", evaluation_interval: "1s" };
      writeFileSync(join(folder, "prometheus.yml"), stringify({ global, ...configuration }));
      server = hosts.startAtOperator(
        ...prometheus.command,
        `--config.file=${join(folder, "prometheus.yml")}`,
        `--storage.tsdb.path=${join(folder, "data")}`,
        `--web.listen-address=${PROMETHEUS}`,
      );
      await hosts.until("vm", `curl -sf http://${PROMETHEUS}/-/ready`);
    }, 600_000);
    afterAll(() => {
      if (server !== undefined) endProcessGroup(server);
      authority.remove();
      hosts.down();
      rmSync(folder, { recursive: true });
    });

    /** The names of the firing alerts that depend on the probe's reports. */
    const firing = (): string[] => {
      const { data } = JSON.parse(hosts.operator(["curl", "-s", `http://${PROMETHEUS}/api/v1/alerts`]).output) as {
        data: { alerts: { state: string; labels: { alertname: string } }[] };
      };
      return data.alerts.flatMap(({ state, labels }) => (state === "firing" ? labels.alertname : []));
    };

    /** Runs the probe, as its timer would, until the condition holds. */
    const probedUntil = (what: string, condition: () => boolean) =>
      waitFor(
        what,
        () => {
          hosts.ssh("vm", `systemctl start ${probeUnit(probe.name)}.service`);
          return condition();
        },
        PATIENCE,
      );

    test("the probe has a timer, and the Pushgateway is a service of the compose project", () => {
      expect(hosts.ssh("vm", `systemctl list-timers --all --no-legend ${probeUnit(probe.name)}.timer`)).toContain(
        probeUnit(probe.name),
      );
      expect(
        hosts.ssh(
          "vm",
          `docker ps --filter label=com.docker.compose.project=${site.registry.project} --format '{{.Names}}'`,
        ),
      ).toContain("registry-pushgateway");
    });

    test("nobody has reported yet: that is told, until the probe has run", async () => {
      await waitFor("Absent", () => firing().includes("RegistryReportsAbsent"), PATIENCE);
      await probedUntil("Absent resolved", () => !firing().includes("RegistryReportsAbsent"));
    }, 240_000);

    test("a tag is served as 404: the alert fires, and resolves when the image is pushed again", async () => {
      expect(firing()).not.toContain("RegistryManifestIntegrityFailure");
      hosts.ssh("vm", `rm ${manifests}/revisions/sha256/*/link`);
      await probedUntil("the incident", () => firing().includes("RegistryManifestIntegrityFailure"));
      hosts.ssh("vm", `docker push --quiet ${image}`);
      await probedUntil("its end", () => !firing().includes("RegistryManifestIntegrityFailure"));
    }, 240_000);

    test("the dashboard has the probe's figures for its registry", () => {
      const query = `registry_manifest_integrity_repos_checked{instance="${serviceInstance(site, service)}"}`;
      const { output } = hosts.operator([
        "curl",
        "-sG",
        `http://${PROMETHEUS}/api/v1/query`,
        "--data-urlencode",
        `query=${query}`,
      ]);
      expect(JSON.parse(output).data.result).toMatchObject([{ value: [expect.anything(), "1"] }]);
      expect(text("registry-integrity.json")).toContain("registry_manifest_integrity_");
    });
  },
);
