import { assembleScript } from "../../hosts/delivery";
import { probeUnit } from "../../hosts/probe";
import { composeOf, registryDelivery } from "../../hosts/registry";
import { unitOf } from "../../hosts/systemd-unit";
import { parseSite } from "../../site/load";
import type { RegistrySite } from "../../site/schema";
import { referenceSite, SHIPPED } from "../sites";

const site = parseSite(SHIPPED["no-kubernetes"], "box") as RegistrySite;
const { services } = composeOf(site);
const delivery = registryDelivery(site);
const content = (path: string): string => delivery.files.find((file) => file.path === path)?.content ?? "";

test("a Pushgateway of the site's own is one more service, pinned, that only the host can reach", () => {
  expect(services.pushgateway).toMatchObject({
    image: "prom/pushgateway:v1.11.1",
    container_name: "registry-pushgateway",
    ports: ["127.0.0.1:9091:9091"],
    read_only: true,
    cap_drop: ["ALL"],
  });
});

test.each([
  ["192.0.2.40", "192.0.2.40:9191:9091"],
  ["::", "[::]:9191:9091"],
])("it listens where the site says: %s", (listen, port) => {
  const input = structuredClone(SHIPPED["no-kubernetes"]);
  if (input?.monitoring === undefined) throw new Error("the example is monitored");
  input.monitoring.pushgateway = { image: { repository: "prom/pushgateway", tag: "v1.11.1" }, port: 9191, listen };
  expect(composeOf(parseSite(input) as RegistrySite).services.pushgateway?.ports).toEqual([port]);
});

test("the probe is run in a container with nothing to write and no capability, and knows what the CronJob's does", () => {
  expect(services["probe-home-probe"]).toEqual({
    image: "node:26.9.0-slim",
    restart: "no",
    profiles: ["maintenance"],
    networks: ["registry"],
    extra_hosts: ["registry.home.arpa=192.0.2.40"],
    entrypoint: ["node", "/opt/probe.mjs"],
    environment: {
      REGISTRY: "https://registry.home.arpa:5050",
      REGISTRY_INSTANCE: "registry.home.arpa:5050",
      REGISTRY_ROLE: "private",
      PUSHGATEWAY: "http://registry-pushgateway:9091",
      PUSHGATEWAY_JOB: "home-probe",
      CONCURRENCY: "8",
      DEADLINE_SECONDS: "600",
      REGISTRY_CA_FILE: "/etc/registry-warden/ca.pem",
    },
    env_file: ["/etc/registry/probe.env"],
    volumes: [
      expect.objectContaining({ source: "/srv/registry/probe.mjs", read_only: true }),
      expect.objectContaining({ source: "/etc/registry/ca.pem", read_only: true }),
    ],
    read_only: true,
    cap_drop: ["ALL"],
    security_opt: ["no-new-privileges:true"],
  });
});

test("its timer has the period of the site, and its service ends before the next run", () => {
  const unit = `/etc/systemd/system/${probeUnit("home-probe")}`;
  expect(probeUnit("home-probe")).toBe(unitOf("probe-home-probe"));
  expect(content(`${unit}.timer`)).toContain("\nOnCalendar=*-*-* *:00/15:00\n");
  expect(content(`${unit}.service`)).toContain("\nTimeoutStartSec=750\n");
  expect(content(`${unit}.service`)).toMatch(
    /^ExecStart=\/usr\/bin\/env docker compose --project-name registry --file "\/srv\/registry\/docker-compose\.yml" run --rm .* probe-home-probe$/m,
  );
  expect(delivery.links).toContainEqual({
    path: `/etc/systemd/system/timers.target.wants/${probeUnit("home-probe")}.timer`,
    target: `../${probeUnit("home-probe")}.timer`,
  });
});

test("the program is delivered as its digest, and the operator's files are looked for before anything changes", () => {
  expect(delivery.files.find(({ path }) => path === "/srv/registry/probe.mjs")).toMatchObject({ shown: "digest" });
  expect(delivery.settings.SECRETS).toContain("/etc/registry/probe.env");
  expect(delivery.settings.CERTIFICATES).toContain("/etc/registry/ca.pem");
  expect(assembleScript(delivery)).toContain("registry-pushgateway");
});

test("a probe of somebody else's registry needs no name that leads to the host", () => {
  const input = structuredClone(SHIPPED["no-kubernetes"]);
  if (input?.monitoring === undefined) throw new Error("the example is monitored");
  input.monitoring.externalRegistries = [{ name: "forge", url: "https://git.example.org", role: "private" }];
  input.monitoring.probes = [{ name: "forge", service: "forge", periodMinutes: 60, deadlineSeconds: 600 }];
  const given = parseSite(input) as RegistrySite;
  expect(composeOf(given).services["probe-forge"]).not.toHaveProperty("extra_hosts");
  expect(composeOf(given).services["probe-forge"]).not.toHaveProperty("env_file");
  expect(
    registryDelivery(given)
      .files.map(({ content }) => content)
      .join(""),
  ).toContain("OnCalendar=*-*-* *:00:00\n");
});

test("where the probes run in a cluster, the host has neither", () => {
  expect(Object.keys(composeOf(referenceSite).services).filter((name) => /probe|pushgateway/.test(name))).toEqual([]);
  expect(registryDelivery(referenceSite).files.filter(({ path }) => /probe/.test(path))).toEqual([]);
});
