import { rmSync } from "node:fs";
import { METRICS, type MetricName } from "../../monitoring/metrics";
import type { Digest } from "../../registry/oci/digest";
import { StorageLayout } from "../../registry/storage/layout";
import { describeWith } from "./components";
import { multiPlatformImage, push } from "./images";
import { type MetricGroup, metricGroups, metricValue } from "./metric-groups";
import { type MonitoredRegistry, startMonitoredRegistry } from "./monitored-registry";
import { freePort } from "./process";
import { type LabServer, startPushgateway } from "./prometheus";

jest.setTimeout(60_000);

describeWith(["registry", "pushgateway", "openssl"], "what a run leaves in a Pushgateway", () => {
  let port: number;
  let pushgateway: LabServer;
  let monitored: MonitoredRegistry;
  const image = multiPlatformImage("app");

  beforeAll(async () => {
    port = await freePort();
    pushgateway = await startPushgateway(port);
    monitored = await startMonitoredRegistry({ pushgateway: pushgateway.url });
    await push(monitored.pushTarget, "app", image, "1.0.0");
  });
  afterAll(async () => {
    await monitored?.stop();
    await pushgateway?.stop();
  });

  const instanceOf = ({ registry }: MonitoredRegistry): string => registry.host.replace("127.0.0.1", "localhost");
  const groupOf = async (of: MonitoredRegistry): Promise<MetricGroup> => {
    const found = (await metricGroups(pushgateway)).filter(({ labels }) => labels.instance === instanceOf(of));
    expect(found).toHaveLength(1);
    return found[0] as MetricGroup;
  };
  const value = async (name: MetricName): Promise<number> => metricValue(await groupOf(monitored), name);
  const pushed = () => expect(monitored.pod.run()).resolves.toMatchObject({ code: 0, stderr: "" });

  test("a complete walk leaves every metric that the product names, but for those of workloads that it does not look at", async () => {
    await pushed();
    const { labels, ...rest } = await groupOf(monitored);
    expect(labels).toEqual({ job: "registry-probe", instance: instanceOf(monitored) });
    expect(
      Object.keys(rest)
        .filter((name) => name.startsWith("registry_"))
        .sort(),
    ).toEqual(
      Object.keys(METRICS)
        .filter((name) => !name.startsWith("registry_workload_"))
        .sort(),
    );
    expect(await value("registry_manifest_integrity_failures")).toBe(0);
    expect(await value("registry_manifest_integrity_tags_checked")).toBe(1);
    expect(await value("registry_manifest_integrity_walk_complete")).toBe(1);
  });

  test("a walk that could not begin leaves what was found, and says that it did not look", async () => {
    const repository = new StorageLayout(monitored.registry.root).repository("app");
    rmSync(repository.revisionLink(image.manifests[0]?.descriptor.digest as Digest));
    await pushed();
    expect(await value("registry_manifest_integrity_failures")).toBe(1);
    const lastComplete = await value("registry_manifest_integrity_last_complete_walk_timestamp_seconds");

    await monitored.registry.shutDown();
    await pushed();
    expect(await value("registry_manifest_integrity_failures")).toBe(1);
    expect(await value("registry_manifest_integrity_repos_checked")).toBe(1);
    expect(await value("registry_manifest_integrity_catalog_accessible")).toBe(0);
    expect(await value("registry_manifest_integrity_walk_complete")).toBe(0);
    expect(await value("registry_manifest_integrity_last_complete_walk_timestamp_seconds")).toBe(lastComplete);
    await monitored.registry.restart();
  });

  test("two registries do not overwrite each other", async () => {
    const other = await startMonitoredRegistry({ pushgateway: pushgateway.url });
    try {
      expect(await other.pod.run()).toMatchObject({ code: 0, stderr: "" });
      expect((await groupOf(other)).registry_manifest_integrity_tags_checked).toMatchObject({
        metrics: [{ value: "0" }],
      });
      expect(await value("registry_manifest_integrity_tags_checked")).toBe(1);
    } finally {
      await other.stop();
    }
  });

  test("one that is down fails the run with one line, which has no credential in it", async () => {
    await pushgateway.stop();
    const { code, stdout, stderr } = await monitored.pod.run();
    expect(code).toBe(2);
    expect(stderr).toMatch(/^the pushgateway 127\.0\.0\.1:\d+ cannot be reached: [^\n]+\n$/);
    for (const secret of Object.values(monitored.credentials)) expect(stdout + stderr).not.toContain(secret);
  });

  test("one that has restarted and forgotten everything knows everything after the next run", async () => {
    pushgateway = await startPushgateway(port);
    expect(await metricGroups(pushgateway)).toEqual([]);
    await pushed();
    expect(await value("registry_manifest_integrity_failures")).toBe(1);
    expect(await value("registry_manifest_integrity_repos_checked")).toBe(1);
  });
});
