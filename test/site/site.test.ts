import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadSite, SiteError, siteFile } from "../../site/load";
import {
  deferredHosts,
  managedHosts,
  probedService,
  registryHost,
  serviceInstance,
  serviceUrl,
  siteSchema,
} from "../../site/schema";
import { parsed, reference, referenceSite, small, type WholeInput } from "../sites";

describe("the reference site", () => {
  const site = referenceSite;

  test("has the hosts of the operator, one of them deferred", () => {
    expect(managedHosts(site).map(({ name, address }) => [name, address])).toEqual([
      ["pve", "192.168.1.127"],
      ["registry-vm", "10.0.20.10"],
    ]);
    expect(deferredHosts(site).map(({ name }) => name)).toEqual(["truenas"]);
    expect(registryHost(site).name).toBe("registry-vm");
  });

  test("probes the private registry by the name in its certificate", () => {
    const [probe] = site.monitoring.probes;
    if (probe === undefined) throw new Error("no probe");
    const service = probedService(site, probe);
    expect(serviceInstance(site, service)).toBe("registry.viktorbarzin.me:5050");
    expect(serviceUrl(site, service)).toBe("https://registry.viktorbarzin.me:5050");
  });

  test("reaches a pull-through cache by address, without TLS", () => {
    const [cache] = site.registry.services;
    if (cache === undefined) throw new Error("no service");
    expect(serviceUrl(site, cache)).toBe("http://10.0.20.10:5000");
  });
});

test("the small example is a site of one host and one registry", () => {
  const site = parsed(small);
  expect([site.hosts.length, site.registry.services.length]).toEqual([1, 1]);
});

describe("selecting a site", () => {
  const directory = mkdtempSync(join(tmpdir(), "site-"));
  afterAll(() => rmSync(directory, { recursive: true }));

  const written = (name: string, text: string): string => {
    const file = join(directory, name);
    writeFileSync(file, text);
    return file;
  };

  test("the argument wins over WARDEN_SITE", () => {
    const before = process.env.WARDEN_SITE;
    process.env.WARDEN_SITE = "from-environment.ts";
    try {
      expect(siteFile()).toBe(join(process.cwd(), "from-environment.ts"));
      expect(siteFile("argument.ts")).toBe(join(process.cwd(), "argument.ts"));
    } finally {
      if (before === undefined) delete process.env.WARDEN_SITE;
      else process.env.WARDEN_SITE = before;
    }
  });

  test("a site may be JSON", () => {
    expect(loadSite(written("site.json", JSON.stringify(reference)))).toEqual(referenceSite);
  });

  test.each([
    ["a file that does not exist", () => join(directory, "none.ts"), "does not exist"],
    ["a file with a syntax error", () => written("broken.json", "{"), "cannot be loaded"],
    ["a file that throws", () => written("throws.js", "throw new Error('boom')"), "boom"],
    ["a file without a default export", () => written("empty.js", "module.exports = {}"), "given nothing"],
  ])("fails on %s, with one line", (_case, file, says) => {
    let caught: unknown;
    try {
      loadSite(file());
    } catch (error) {
      caught = error;
    }
    if (!(caught instanceof SiteError)) throw new Error("no SiteError");
    expect(caught.errors).toHaveLength(1);
    expect(caught.errors[0]).toContain(says);
  });
});

describe("TypeScript refuses in the editor what the schema refuses", () => {
  // tsc, which is part of the lint, fails where a line below an expectation is accepted.
  type Resolver = NonNullable<WholeInput["hosts"][number]["resolver"]>;
  type Service = WholeInput["registry"]["services"][number];

  const resolved = {
    kind: "systemd-resolved" as const,
    search: ["home.arpa"],
    nameservers: ["192.0.2.1", "192.0.2.2"],
    dropIn: "internal",
  };
  const netplan = { file: "/etc/netplan/50-cloud-init.yaml", interface: "eth0" };
  const cache = { name: "mirror", role: "proxy", upstream: "https://ghcr.io", port: 5099 } as const;

  const isAccepted = (bend: (site: WholeInput) => void): boolean => {
    const site = structuredClone(reference);
    bend(site);
    return siteSchema.safeParse(site).success;
  };
  const acceptsResolver = (resolver: Resolver) =>
    isAccepted(({ hosts }) => Object.assign(hosts.find(({ name }) => name === "registry-vm") ?? {}, { resolver }));
  const acceptsService = (service: Service) => isAccepted(({ registry }) => registry.services.push(service));

  test("of a resolver", () => {
    expect(acceptsResolver({ ...resolved, netplan })).toBe(true);
    // @ts-expect-error failover by FallbackDNS=
    expect(acceptsResolver({ ...resolved, netplan, fallbackDns: ["192.0.2.2"] })).toBe(false);
  });

  test("of a service", () => {
    expect(acceptsService(cache)).toBe(true);
    // @ts-expect-error a service out of lockstep
    expect(acceptsService({ ...cache, image: "registry:2" })).toBe(false);
  });
});
