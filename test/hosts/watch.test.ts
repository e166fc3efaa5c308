import { deliveriesTo } from "../../hosts/deliveries";
import { watchUnit } from "../../hosts/watch";
import type { ManagedHost } from "../../site/host";
import { managedHosts, type Site } from "../../site/schema";
import { parsed, reference, referenceSite, small } from "../sites";

const watching = (site: Site, host: ManagedHost) =>
  deliveriesTo(site, host).flatMap(({ files, links }) =>
    [...files, ...links].filter(({ path }) => path.includes("watch")),
  );

const settingsOf = (site = referenceSite, index = 0): string => {
  const host = managedHosts(site)[index];
  if (host === undefined) throw new Error("the site has no such host");
  const file = deliveriesTo(site, host)
    .flatMap(({ files }) => files)
    .find(({ path }) => path.endsWith("/watch.settings"));
  return file?.content ?? "";
};

test("a host asks each of its own resolvers, and reports under its name", () => {
  expect(settingsOf()).toContain("NAMESERVERS=('192.168.1.2' '94.140.14.14')\n");
  expect(settingsOf()).toMatch(/^GROUP='http:\/\/.*:9091\/metrics\/job\/registry-warden-host\/host\/pve'$/m);
  expect(settingsOf(referenceSite, 1)).toContain("NAMESERVERS=('10.0.20.1' '94.140.14.14')\n");
});

test("the report is under the cluster's name too, where several share the Pushgateway", () => {
  const site = parsed({ ...reference, monitoring: { ...reference.monitoring, cluster: "home" } });
  expect(settingsOf(site)).toMatch(/^GROUP='http:.*\/job\/registry-warden-host\/host\/pve\/cluster\/home'$/m);
});

test("the report goes to the Pushgateway that the site names for its hosts", () => {
  const { registry } = reference;
  const maintenance = { ...registry.maintenance, pushgateway: "http://pushgateway.example.lan:9091/" };
  const site = parsed({ ...reference, registry: { ...registry, maintenance } as typeof registry });
  expect(settingsOf(site)).toContain(
    "GROUP='http://pushgateway.example.lan:9091/metrics/job/registry-warden-host/host/pve'\n",
  );
});

test("nothing is brought where no Pushgateway takes the reports of a host", () => {
  const { maintenance: _, ...registry } = reference.registry;
  const site = parsed({ ...reference, registry });
  for (const host of managedHosts(site)) expect(watching(site, host)).toEqual([]);
  for (const host of managedHosts(referenceSite)) expect(watching(referenceSite, host)).not.toEqual([]);
});

test("no secret is in what it reads", () => {
  expect(settingsOf()).not.toMatch(/pass|token|credential/i);
});

test("its timer is one that the delivery of the host knows: of its names, or of its registries where it has none", () => {
  for (const host of managedHosts(referenceSite)) expect(watchUnit(referenceSite, host)).toMatch(/^registry-watch-/);
  const { dns: _, ...rest } = small;
  const site = parsed({ ...rest, hosts: small.hosts.map(({ resolver: _resolver, ...host }) => host) });
  for (const host of managedHosts(site)) expect(watchUnit(site, host)).toMatch(/^registry-maintenance-/);
});
