import type { WalkOptions } from "../../../registry/oci/walk";
import {
  artifact,
  attestation,
  digestOf,
  image,
  index,
  multiPlatformImage,
  type SyntheticManifest,
} from "../../lab/images";
import { type FakeRegistry, type Handler, json, verify } from "./fake-registry";
import { startFakeRegistry } from "./registry-of-test";

jest.mock("node:timers/promises", () => ({ setTimeout: () => Promise.resolve() }));

const USER = { kind: "password", username: "prober", password: "s3cret" } as const;
const BASIC = `Basic ${Buffer.from("prober:s3cret").toString("base64")}`;

interface Maker {
  /** Makes the fake answer as this maker's registry does. */
  behave: (registry: FakeRegistry) => void;
  credentials: typeof USER | null;
  /** Whether anybody may read its catalog. */
  catalog: boolean;
}

/** Serves authorised requests, and challenges the others. */
const challenged =
  (registry: FakeRegistry, authorization: string, challenge: string): Handler =>
  (request, response) => {
    if (request.headers.authorization === authorization) registry.serve(request, response);
    else json(response, 401, {}, { "www-authenticate": challenge });
  };

const tokenService = (registry: FakeRegistry, scopes: (named: string[]) => boolean): void => {
  registry.on(/^\/token/, (request, response) => {
    const url = new URL(request.url ?? "", registry.url);
    json(response, 200, { token: scopes(url.searchParams.getAll("scope")) ? "enough" : "little" });
  });
};

const MAKERS: Record<string, Maker> = {
  zot: {
    credentials: USER,
    catalog: true,
    behave: (registry) => {
      registry.pageSize = 1;
      registry.on("/v2/", (_request, response) => json(response, 200, {}, { "www-authenticate": "Basic realm=zot" }));
      registry.on("/v2/_catalog", (request, response) => {
        // A page that a policy has emptied, and a link with the host name that zot has for itself.
        const more = request.headers.authorization === BASIC;
        const link = '<https://zot.internal/v2/_catalog?n=9&last=>; rel="next"';
        json(response, 200, { repositories: [] }, more ? { link } : {});
      });
    },
  },
  olareg: {
    credentials: null,
    catalog: false,
    behave: (registry) => {
      let requests = 0;
      registry.on(/./, (request, response) => {
        if (++requests % 5 === 0) json(response, 429, {}, { "retry-after": "1" });
        else registry.serve(request, response);
      });
      registry.on("/v2/", (_request, response) =>
        json(response, 401, {}, { "www-authenticate": "Basic realm=olareg" }),
      );
    },
  },
  GHCR: {
    credentials: null,
    catalog: false,
    behave: (registry) => {
      const challenge = `Bearer realm="${registry.url}token",service="ghcr.io",scope="repository:user/image:pull"`;
      registry.on(/^\/v2\//, challenged(registry, "Bearer enough", challenge));
      tokenService(registry, () => true);
    },
  },
  Harbor: {
    credentials: USER,
    catalog: false,
    behave: (registry) => {
      const challenge = `Bearer realm="${registry.url}token",service="harbor-registry",scope="registry:pull-all"`;
      registry.on(/^\/v2\//, challenged(registry, "Bearer enough", challenge));
      tokenService(registry, (named) => named.includes("registry:pull-all"));
    },
  },
  Gitea: {
    credentials: USER,
    catalog: true,
    behave: (registry) => {
      registry.on(/\/blobs\//, (request, response) => {
        delete request.headers.range;
        registry.serve(request, response);
      });
      registry.on(/^\/v2\/(?!.*blobs)/, challenged(registry, BASIC, "Basic realm=Gitea"));
    },
  },
};

const SHAPES: Record<string, SyntheticManifest> = {
  "team/multi": multiPlatformImage("multi"),
  "team/docker": multiPlatformImage("docker", { format: "docker" }),
  "team/single": image("single"),
  "team/artifact": artifact("artifact"),
  "team/nested": index([index([image("deep")]), image("flat")]),
  "team/attested": index([image("attested"), attestation(image("attested"))]),
};

describe.each(Object.entries(MAKERS))("a registry that answers as %s", (_name, { behave, credentials, catalog }) => {
  let registry: FakeRegistry;
  beforeEach(async () => {
    registry = await startFakeRegistry();
    for (const [repository, made] of Object.entries(SHAPES)) registry.push(repository, made, "v1");
    behave(registry);
  });

  const walk = (repositories: string[]) => {
    const scope: Partial<WalkOptions> = catalog ? {} : { catalog: false, repositories };
    return verify(registry.url, { credentialsGiven: credentials !== null, ...scope }, { credentials });
  };

  test("is whole, whatever shape its content has", async () => {
    const report = await walk(Object.keys(SHAPES));
    expect(report).toMatchObject({ complete: true, failures: [], warnings: [], images: { broken: [] } });
    expect(report.counts.repositories).toBe(Object.keys(SHAPES).length);
  });

  test("has every damage found", async () => {
    const broken = ["config-lost", "child-lost", "layer-cut", "layer-lost", "tag-lost"].map((name) => {
      const made = multiPlatformImage(name);
      registry.push(`team/${name}`, made, "v1");
      const { manifests, blobs } = registry.repository(`team/${name}`);
      const child = made.manifests[0] as SyntheticManifest;
      const [config, layer] = child.blobs.map(({ descriptor }) => descriptor.digest);
      if (name === "child-lost") manifests.delete(digestOf(child));
      if (name === "tag-lost") manifests.delete(digestOf(made));
      if (name === "config-lost") blobs.delete(config ?? "");
      if (name === "layer-lost") blobs.delete(layer ?? "");
      if (name === "layer-cut") blobs.set(layer ?? "", Buffer.from("cut"));
      return `team/${name}`;
    });
    const { failures } = await walk([...Object.keys(SHAPES), ...broken]);
    expect([...new Set(failures.map(({ repository }) => repository))]).toEqual(broken.sort());
  });
});
