import { DnsStack } from "../stacks/dns-stack";
import { RegistryVmStack } from "../stacks/registry-vm-stack";
import { find, required } from "../test/lab/components";
import { Deployment } from "../test/lab/deployment";
import { Hosts } from "../test/lab/hosts";
import { labSite, prepareRegistryHost } from "../test/lab/registry-host";
import type { WholeInput } from "../test/sites";

const COMPONENTS = ["hosts", "terraform", "nginx", "registry", "openssl"] as const;

/** Uploads of the private registry are purged after another time: one configuration changes, and one container with it. */
const changed = (site: WholeInput): WholeInput => ({
  ...site,
  registry: {
    ...site.registry,
    services: site.registry.services.map((service) =>
      service.role === "private" ? { ...service, purgeUploadsAfterHours: 24 } : service,
    ),
  },
});

/**
 * What a deploy of the reference site takes, by Terraform over SSH to the two booted hosts of the lab, their checks of names
 * and of the failover included. "Delivered again" is a replaced resource: the host compares everything and changes nothing.
 */
export const run = async (): Promise<void> => {
  for (const name of COMPONENTS) {
    const found = find(name);
    if ("missing" in found) {
      process.stdout.write(`skipped: ${found.missing}\n`);
      return;
    }
  }
  const terraform = required("terraform");
  const hosts = new Hosts();
  const dns = new Deployment(hosts, terraform, "dns", (app, site) => new DnsStack(app, "dns", { site }));
  const registries = new Deployment(
    hosts,
    terraform,
    "registry-vm",
    (app, site) => new RegistryVmStack(app, "registry-vm", { site }),
  );
  hosts.up();
  try {
    const prepared = await prepareRegistryHost(hosts, { nginx: required("nginx"), registry: required("registry") });
    try {
      const site = labSite(hosts);
      const timed = (name: string, work: () => { status: number; output: string }): void => {
        const started = performance.now();
        const { status, output } = work();
        if (status !== 0) throw new Error(`${name}: ${output}`);
        process.stdout.write(`${name.padEnd(66)}${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s\n`);
      };
      const again = (stack: Deployment) => stack.resources().map((address) => `-replace=${address}`);
      timed("dns, both hosts, first deploy", () => dns.apply(site));
      timed("dns, both hosts, deploy without a change", () => dns.apply(site));
      timed("dns, both hosts, delivered again without a change", () => dns.apply(site, ...again(dns)));
      timed("registry-vm, eight services, first deploy", () => registries.apply(site));
      timed("registry-vm, deploy without a change", () => registries.apply(site));
      timed("registry-vm, delivered again without a change", () => registries.apply(site, ...again(registries)));
      timed("registry-vm, deploy that changes one service", () => registries.apply(changed(site)));
      timed("both stacks, deploy without a change", () => {
        const first = dns.apply(site);
        return first.status === 0 ? registries.apply(changed(site)) : first;
      });
    } finally {
      prepared.remove();
    }
  } finally {
    dns.remove();
    registries.remove();
    hosts.down();
  }
};
