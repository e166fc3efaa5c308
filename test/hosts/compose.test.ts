import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { parse } from "yaml";
import { type ComposeFile, composeFile, readOnlyOverride, renderCompose, servicesUp } from "../../hosts/compose";
import type { Registry } from "../../site/registry";
import { privateServices } from "../../site/schema";
import { referenceSite } from "../sites";

const { registry } = referenceSite;
const compose = composeFile(registry, "the registries");
const service = (name: string, of = compose) => {
  const found = of.services[name];
  if (found === undefined) throw new Error(`compose has no service ${name}`);
  return found;
};
const label = (name: string, of = compose) => service(name, of).labels?.["registry-warden.configuration"];

test("the reference site has eight services that are up, the reverse proxy last", () => {
  expect(Object.keys(servicesUp(compose))).toEqual([
    "registry-dockerhub",
    "registry-ghcr",
    "registry-quay",
    "registry-k8s",
    "registry-kyverno",
    "registry-private",
    "registry-ui",
    "nginx",
  ]);
});

test("the six registries run one image, from one pin", () => {
  const registries = Object.entries(compose.services).filter(([, { image }]) => image.startsWith("registry:"));
  expect(registries).toHaveLength(6);
  expect(new Set(registries.map(([, { image }]) => image))).toEqual(new Set(["registry:2.8.3"]));
});

test("a digest beside the tag is pinned too", () => {
  const digest = `sha256:${"a".repeat(64)}`;
  const pinned: Registry = {
    ...registry,
    images: { ...registry.images, registry: { ...registry.images.registry, digest } },
  };
  expect(service("registry-private", composeFile(pinned, "")).image).toBe(`registry:2.8.3@${digest}`);
});

test("the reverse proxy publishes all six ports, a registry only its metrics, the browser its own", () => {
  const published = Object.fromEntries(Object.entries(compose.services).map(([name, { ports }]) => [name, ports]));
  expect(published).toMatchObject({
    nginx: ["5000:5000", "5010:5010", "5020:5020", "5030:5030", "5040:5040", "5050:5050"],
    "registry-dockerhub": ["127.0.0.1:5001:5001"],
    "registry-ui": ["8080:80"],
  });
  expect(published["registry-private"]).toBeUndefined();
});

test("the reverse proxy waits for no cache: a dead one does not take the others with it", () => {
  expect(JSON.stringify(compose)).not.toContain("depends_on");
});

test("the browser cannot delete", () => {
  expect(service("registry-ui").environment?.DELETE_IMAGES).toBe("false");
});

test("a pull-through cache has to answer 200; the private registry only to answer", () => {
  expect(service("registry-ghcr").healthcheck?.test[1]).toBe("wget -q -O /dev/null http://127.0.0.1:5010/v2/");
  expect(service("registry-private").healthcheck?.test[1]).toContain("grep -q 'HTTP/1'");
});

test.each(["registry.sh", "maintenance.sh"])(
  "what never serves is unhealthy before %s stops waiting for it",
  (script) => {
    const text = readFileSync(join(__dirname, "../../hosts", script), "utf8");
    const waits = Number(/^HEALTH_SECONDS=(\d+)$/m.exec(text)?.[1]);
    const checked = Object.values(servicesUp(compose)).flatMap(({ healthcheck }) => healthcheck ?? []);
    expect(checked).toHaveLength(registry.services.length);
    for (const { start_period, interval, timeout, retries } of checked) {
      const [start, between, each] = [start_period, interval, timeout].map((time) =>
        Number(/^(\d+)s$/.exec(time)?.[1]),
      );
      expect((start ?? Number.NaN) + retries * ((between ?? Number.NaN) + (each ?? Number.NaN))).toBeLessThan(waits);
    }
  },
);

test("only the data is writable, and a missing file is an error instead of a new directory", () => {
  const mounts = Object.values(servicesUp(compose)).flatMap(({ volumes }) => volumes ?? []);
  expect(mounts.filter(({ read_only }) => !read_only).map(({ target }) => target)).toEqual(
    registry.services.map(() => "/var/lib/registry"),
  );
  expect(mounts.every((mount) => mount.type === "bind" && !mount.bind.create_host_path)).toBe(true);
});

describe("a service whose images are elsewhere", () => {
  const storedIn = (where: { data: string } | { volume: string }) =>
    composeFile(
      {
        ...registry,
        services: registry.services.map((each) => (each.role === "private" ? { ...each, ...where } : each)),
      },
      "",
    );
  const mountedAt = (file: ComposeFile, name: string, wanted: string) =>
    service(name, file).volumes?.filter(({ target }) => target === wanted);

  test("in a directory of its own, keeps them there, for warden too", () => {
    const file = storedIn({ data: "/srv/registry" });
    expect(mountedAt(file, "registry-private", "/var/lib/registry")).toMatchObject([
      { type: "bind", source: "/srv/registry", read_only: false },
    ]);
    expect(mountedAt(file, "warden", "/data/private")).toMatchObject([{ source: "/srv/registry" }]);
    expect(file.volumes).toBeUndefined();
  });

  test("in a volume, has that volume, which compose neither makes nor removes", () => {
    const file = storedIn({ volume: "old_data" });
    expect(mountedAt(file, "registry-private", "/var/lib/registry")).toEqual([
      { type: "volume", source: "old_data", target: "/var/lib/registry", read_only: false },
    ]);
    expect(mountedAt(file, "warden", "/data/private")).toMatchObject([{ type: "volume", source: "old_data" }]);
    expect(file.volumes).toEqual({ old_data: { external: true, name: "old_data" } });
  });
});

test("a debug port is open where the site says, by default on the host itself", () => {
  const at = (metricsAddress: string) =>
    composeFile({ ...registry, services: registry.services.map((each) => ({ ...each, metricsAddress })) }, "");
  expect(service("registry-dockerhub", at("10.0.20.10")).ports).toEqual(["10.0.20.10:5001:5001"]);
  expect(service("registry-dockerhub", at("fd00::10")).ports).toEqual(["[fd00::10]:5001:5001"]);
});

test("no container may write to its image or use a capability, but the browser, which is made to", () => {
  for (const [name, each] of Object.entries(compose.services)) {
    expect([name, each]).toMatchObject([name, { cap_drop: ["ALL"], security_opt: ["no-new-privileges:true"] }]);
    expect([name, each.read_only, each.cap_add === undefined]).toEqual([
      name,
      name !== "registry-ui",
      name !== "registry-ui",
    ]);
  }
});

test("no log grows forever", () => {
  for (const each of Object.values(compose.services))
    expect(each.logging).toEqual({ driver: "json-file", options: { "max-size": "10m", "max-file": "5" } });
});

describe("warden, for the maintenance", () => {
  const warden = service("warden");

  test("is run and never up, on the pinned image, in the network of the registries", () => {
    expect(Object.keys(compose.services)).toHaveLength(Object.keys(servicesUp(compose)).length + 1);
    expect(warden).toMatchObject({
      image: "node:26.9.0-slim",
      profiles: ["maintenance"],
      networks: ["registry"],
      restart: "no",
    });
  });

  test("may do nothing but read, and change the data of the private registry", () => {
    expect(warden).toMatchObject({
      read_only: true,
      tmpfs: ["/tmp"],
      cap_drop: ["ALL"],
      security_opt: ["no-new-privileges:true"],
    });
    const written = warden.volumes?.filter(({ read_only }) => !read_only).map(({ source }) => source);
    expect(written).toEqual(["/opt/registry/data/private"]);
    expect(warden.volumes?.every((mount) => mount.type === "bind" && !mount.bind.create_host_path)).toBe(true);
  });

  test("has the account of the operator's file, and no value of it", () => {
    expect(warden.env_file).toEqual(["/opt/registry/maintenance.env"]);
    expect(warden.environment).toBeUndefined();
  });

  test("does not exist on a site without maintenance", () => {
    const { maintenance: _, ...without } = registry;
    expect(composeFile(without, "").services).not.toHaveProperty("warden");
  });
});

test("the read-only registry is the same but for its configuration, and is seen as another", () => {
  const [private_] = privateServices(registry);
  if (private_ === undefined) throw new Error("the reference site has no private registry");
  const override = readOnlyOverride(registry, private_).services["registry-private"];
  expect(Object.keys(override ?? {})).toEqual(["volumes", "labels"]);
  const replaced = service("registry-private").volumes?.filter(({ target }) => target === override?.volumes[0]?.target);
  expect(replaced).toHaveLength(1);
  expect(override?.volumes).toMatchObject([{ source: "/opt/registry/config-private.read-only.yml", read_only: true }]);
  expect(override?.labels["registry-warden.configuration"]).not.toBe(label("registry-private"));
});

test("secrets are mounted or named, never written down", () => {
  const withCredentials: Registry = {
    ...registry,
    services: registry.services.map((each) =>
      each.role === "proxy" && each.name === "ghcr" ? { ...each, credentialsFile: "/opt/registry/ghcr.env" } : each,
    ),
  };
  expect(service("registry-ghcr", composeFile(withCredentials, "")).env_file).toEqual(["/opt/registry/ghcr.env"]);
  expect(service("registry-private").volumes?.map(({ target }) => target)).toContain("/auth/htpasswd");
});

test("a change of one configuration changes the definition of that service and of no other", () => {
  const changed: Registry = {
    ...registry,
    services: registry.services.map((each) =>
      each.role === "private" ? { ...each, purgeUploadsAfterHours: each.purgeUploadsAfterHours + 1 } : each,
    ),
  };
  const after = composeFile(changed, "the registries");
  expect(label("registry-private", after)).not.toBe(label("registry-private"));
  const others = Object.keys(compose.services).filter((name) => name !== "registry-private");
  for (const name of others) expect(service(name, after)).toEqual(service(name));
});

test("a new cache changes the reverse proxy as well", () => {
  const grown: Registry = {
    ...registry,
    services: [
      ...registry.services,
      {
        name: "gitlab",
        role: "proxy",
        upstream: "https://registry.gitlab.com",
        port: 5060,
        metricsAddress: "127.0.0.1",
      },
    ],
  };
  const after = composeFile(grown, "the registries");
  expect(label("nginx", after)).not.toBe(label("nginx"));
  expect(label("registry-ghcr", after)).toBe(label("registry-ghcr"));
});

/** A value after compose's interpolation: `$$` is a dollar, `$name` and `${name}` would be replaced. */
const interpolated = (text: string): string => {
  if (/(?<!\$)(\$\$)*\$(?!\$)/.test(text)) throw new Error(`compose would replace something in ${text}`);
  return text.replaceAll("$$", () => "$");
};

test("any title reaches the browser literally", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("$", "{", "}", "'", '"', ":", "\n", "#", "a", " ") }), (title) => {
      const ui = service("registry-ui", composeFile(registry, title));
      // By itself: to read all of the file a hundred times takes seconds.
      const { environment } = parse(renderCompose({ ...compose, services: { ui } })).services.ui;
      expect(interpolated(environment.REGISTRY_TITLE)).toBe(title);
    }),
  );
});
