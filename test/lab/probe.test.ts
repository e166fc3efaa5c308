import { readdirSync, rmSync } from "node:fs";
import { request as forward } from "node:http";
import { isDeepStrictEqual } from "node:util";
import { probe } from "../../registry/probe/probe";
import { StorageLayout } from "../../registry/storage/layout";
import { serveOnLoopback } from "../loopback";
import { describeWith } from "./components";
import { digestOf, image, push } from "./images";
import { metricGroups, metricValue } from "./metric-groups";
import { waitFor } from "./process";
import { getJson, type LabServer, startPushgateway } from "./prometheus";
import { type LabRegistry, startRegistry } from "./registry";

// The machine may have only two cores, shared with other tests.
jest.setTimeout(60_000);

/** A proxy in front of a registry that records the requests. */
const countRequests = async (target: string): Promise<LabServer & { requests: string[] }> => {
  const requests: string[] = [];
  const server = await serveOnLoopback((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    const { method, headers } = request;
    const asked = forward(new URL(request.url ?? "", target), { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    asked.on("error", () => response.destroy());
    request.pipe(asked);
  });
  return { ...server, requests };
};

/** Without uploads: the cache finishes those of its own pulls some time after it has answered. */
const filesBelow = (folder: string): string[] =>
  (readdirSync(folder, { recursive: true }) as string[]).filter((file) => !file.includes("/_uploads")).sort();

describeWith(["registry", "registry-v3", "pushgateway"], "the probe and a real Pushgateway", () => {
  let registry: LabRegistry;
  let pushgateway: LabServer;
  const REPOSITORIES = 12;

  beforeAll(async () => {
    pushgateway = await startPushgateway();
    registry = await startRegistry();
    for (let n = 0; n < REPOSITORIES; n++) await push(registry, `app/r${n}`, image(`${n}`), "v1");
  });
  afterAll(async () => {
    await registry?.stop();
    await pushgateway?.stop();
  });

  const run = async (changes: NodeJS.ProcessEnv): Promise<void> => {
    const err: string[] = [];
    const environment = { REGISTRY: registry.url, PUSHGATEWAY: pushgateway.url, ...changes };
    const code = await probe(
      environment,
      () => {},
      (line) => err.push(line),
    );
    expect({ code, err }).toEqual({ code: 0, err: [] });
  };

  /** The value of a metric in each of an instance's groups, by shard. */
  const valuesOf = async (instance: string, metric: string): Promise<Record<string, number>> => {
    const groups = (await metricGroups(pushgateway)).filter(({ labels }) => labels.instance === instance);
    return Object.fromEntries(
      groups.map((group) => [
        group.labels.shard ?? "alone",
        metricValue(group, `registry_manifest_integrity_${metric}`),
      ]),
    );
  };

  test("shards add up to the whole, and leave no group behind when their number changes", async () => {
    const instance = "shards/registry.example:5050";
    const all = (values: Record<string, number>) => Object.values(values).reduce((sum, value) => sum + value, 0);
    const walkBy = async (count: number) => {
      // The first shard last: only it removes the groups of shards that no longer exist.
      for (let index = count - 1; index >= 0; index--) {
        await run({ REGISTRY_INSTANCE: instance, SHARDS: `${count}`, JOB_COMPLETION_INDEX: `${index}` });
      }
    };
    for (const count of [1, 3, 2, 1]) {
      await walkBy(count);
      const shards = count === 1 ? ["alone"] : Array.from({ length: count }, (_, n) => `${n}`);
      // A Pushgateway answers a DELETE with 202, and removes the group after that.
      await waitFor(`the groups ${shards} and no other`, async () =>
        isDeepStrictEqual(Object.keys(await valuesOf(instance, "repos_checked")).sort(), shards),
      );
      expect(all(await valuesOf(instance, "repos_checked"))).toBe(REPOSITORIES);
    }
  });

  test("an incomplete walk keeps the failures that a complete one has found, and a repair is told by the next complete one", async () => {
    const instance = "incomplete";
    const lost = digestOf(image("0").blobs[0] as Parameters<typeof digestOf>[0]);
    const path = new StorageLayout(registry.root).blobData(lost);
    rmSync(path);
    await registry.restart();
    await run({ REGISTRY_INSTANCE: instance });
    expect(await valuesOf(instance, "failures")).toEqual({ alone: 1 });

    // The registry is gone: nothing is known, so nothing is retracted.
    await run({ REGISTRY_INSTANCE: instance, REGISTRY: "127.0.0.1:1" });
    expect(await valuesOf(instance, "failures")).toEqual({ alone: 1 });
    expect(await valuesOf(instance, "walk_complete")).toEqual({ alone: 0 });
    expect(await valuesOf(instance, "repos_checked")).toEqual({ alone: REPOSITORIES });

    await push(registry, "app/r0", image("0"), "v1");
    await registry.restart();
    await run({ REGISTRY_INSTANCE: instance });
    expect(await valuesOf(instance, "failures")).toEqual({ alone: 0 });
    expect(await valuesOf(instance, "walk_complete")).toEqual({ alone: 1 });
  });

  test.each([
    ["2.8.3", "registry"],
    ["v3", "registry-v3"],
  ] as const)(
    "a cache of %s is only asked whether it answers: its upstream hears nothing, its disk does not fill",
    async (_version, component) => {
      const upstream = await countRequests(registry.url);
      const cache = await startRegistry({ component, proxy: { url: upstream.url } });
      try {
        const { descriptor } = image("1").blobs[0] as Parameters<typeof digestOf>[0];
        const accept = { accept: "application/vnd.oci.image.manifest.v1+json" };
        await (await fetch(`${cache.url}/v2/app/r1/manifests/v1`, { headers: accept })).arrayBuffer();
        const cached = await fetch(`${cache.url}/v2/app/r1/blobs/${descriptor.digest}`);
        expect((await cached.arrayBuffer()).byteLength).toBe(descriptor.size);
        expect(upstream.requests).toContain(`GET /v2/app/r1/blobs/${descriptor.digest}`);
        await waitFor("the catalog of the cache", async () => {
          const { repositories } = await getJson<{ repositories: string[] }>(`${cache.url}/v2/_catalog`);
          return repositories.includes("app/r1");
        });

        const before = { requests: upstream.requests.length, files: filesBelow(cache.root) };
        await run({ REGISTRY_INSTANCE: "cache", REGISTRY_ROLE: "proxy", REGISTRY: cache.url });
        expect(upstream.requests.slice(before.requests)).toEqual([]);
        expect(filesBelow(cache.root)).toEqual(before.files);
        expect(await valuesOf("cache", "catalog_accessible")).toEqual({ alone: 1 });

        await cache.shutDown();
        await run({ REGISTRY_INSTANCE: "cache", REGISTRY_ROLE: "proxy", REGISTRY: cache.url });
        expect(await valuesOf("cache", "catalog_accessible")).toEqual({ alone: 0 });
      } finally {
        await cache.stop();
        await upstream.stop();
      }
    },
  );
});
