import { execFileSync } from "node:child_process";
import { type Dirent, readdirSync, rmSync, statfsSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import type { Dashboard, Panel } from "../../monitoring/dashboard";
import { MAINTENANCE_JOB, type MaintenanceMetricName } from "../../monitoring/metrics";
import type { Digest } from "../../registry/oci/digest";
import { probe } from "../../registry/probe/probe";
import { StorageLayout } from "../../registry/storage/layout";
import type { Service } from "../../site/registry";
import { serviceInstance } from "../../site/schema";
import { multiPlatformImage, push } from "../lab/images";
import { type MonitoredRegistry, startMonitoredRegistry } from "../lab/monitored-registry";
import { getJson, type LabServer, startPrometheus, startPushgateway } from "../lab/prometheus";
import { startRegistry } from "../lab/registry";
import { type DrawnSeries, dashboardPage, type QueryResults, type Range } from "./grafana";
import { screenshot } from "./screenshot";

/**
 * Takes the picture of the dashboard, docs/pictures/dashboard.png:
 *
 *     node --import tsx test/pictures/dashboard.ts chromium-headless-shell
 *
 * A registry in the lab loses parts of its images, is away for a while, gets them back and is cleaned up, while the
 * probe's pod runs all the time and a Prometheus scrapes what it pushes; beside it a pull-through cache is asked
 * whether it answers. What the maintenance of a host would report of the clean-up is measured and pushed here. The
 * dashboard is the one that the stack delivers; its own queries give what is drawn. Only the page is ours: Grafana is
 * in no package registry.
 */
const [, , browser] = process.argv;
if (browser === undefined) throw new Error("name the program chromium-headless-shell");

const IMAGES = ["infra-ci", "web", "worker", "docs"];
const TAGS = ["1.0", "1.1", "latest"];
/** Runs of the probe while all is well. */
const RUNS = 12;

interface Matrix {
  readonly data: { readonly result: { metric: Record<string, string>; values: [number, string][] }[] };
}

const ask = async ({ url }: LabServer, expr: string, { from, to }: Range): Promise<DrawnSeries[]> => {
  const query = new URLSearchParams({
    // In Grafana the variable is replaced by the selection at the top of the dashboard; "All" means every name.
    query: expr.replaceAll("$instance", ".+"),
    start: String(from),
    end: String(to),
    step: "1",
  });
  const { data } = await getJson<Matrix>(`${url}/api/v1/query_range?${query}`);
  return data.result.map(({ metric, values }) => ({
    labels: metric,
    values: values.map(([time, value]) => [time, Number(value)] as const),
  }));
};

const answersOf = async (prometheus: LabServer, panel: Panel, range: Range): Promise<QueryResults> => {
  const answers = new Map<string, DrawnSeries[]>();
  for (const { refId, expr } of panel.targets ?? []) answers.set(refId, await ask(prometheus, expr, range));
  return answers;
};

const now = (): number => Date.now() / 1000;

const used = (folder: string): number =>
  (readdirSync(folder, { recursive: true, withFileTypes: true }) as Dirent[])
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);

type MaintenanceValues = Partial<Record<MaintenanceMetricName, number>>;

const pushReport = async (
  { url }: LabServer,
  instance: string,
  task: string,
  report: MaintenanceValues,
): Promise<void> => {
  const body = Object.entries(report).map(([name, value]) => `${name} ${value}\n`);
  const path = `${url}/metrics/job/${MAINTENANCE_JOB}/instance/${instance}/task/${task}`;
  const { status } = await fetch(path, { method: "PUT", body: body.join("") });
  if (status >= 300) throw new Error(`the pushgateway answered ${status}`);
};

/** Prunes and collects garbage as the maintenance of a host does, with the same programs. */
const cleanUp = async ({ registry, site }: MonitoredRegistry, pushgateway: LabServer): Promise<void> => {
  const [started, before] = [now(), used(registry.root)];
  const pruned = [
    "--import",
    "tsx",
    "cli/warden.ts",
    "prune",
    registry.root,
    "--keep-newest",
    "2",
    "--apply",
    "--offline",
  ];
  execFileSync(process.execPath, pruned, { stdio: "ignore" });
  await registry.collectGarbage();
  const instance = serviceInstance(site, site.registry.services[0] as Service);
  const ended = now();
  await pushReport(pushgateway, instance, "clean-up", {
    registry_maintenance_success: 1,
    registry_maintenance_last_run_timestamp_seconds: ended,
    registry_maintenance_last_success_timestamp_seconds: ended,
    registry_maintenance_run_duration_seconds: ended - started,
    registry_maintenance_freed_bytes: before - used(registry.root),
  });
  const { bavail, blocks, bsize } = statfsSync(registry.root);
  await pushReport(pushgateway, instance, "disk", {
    registry_maintenance_disk_free_bytes: bavail * bsize,
    registry_maintenance_disk_size_bytes: blocks * bsize,
  });
};

/** @returns when it began and ended */
const incident = async (
  monitored: MonitoredRegistry,
  pushgateway: LabServer,
  probeCache: () => Promise<unknown>,
): Promise<Range> => {
  const { registry, pushTarget, pod } = monitored;
  const pushAll = async (): Promise<void> => {
    for (const name of IMAGES)
      for (const tag of TAGS) await push(pushTarget, name, multiPlatformImage(`${name}:${tag}`), tag);
  };
  const runs = async (count: number): Promise<void> => {
    for (let run = 0; run < count; run++) {
      const { code, stderr } = await pod.run();
      if (code !== 0) throw new Error(`the probe failed: ${stderr}`);
      await probeCache();
    }
  };

  await pushAll();
  await runs(1);
  const from = now();
  await runs(RUNS);

  const layout = new StorageLayout(registry.root);
  for (const tag of TAGS) {
    const child = multiPlatformImage(`infra-ci:${tag}`).manifests[1]?.descriptor.digest as Digest;
    rmSync(layout.repository("infra-ci").revisionLink(child));
  }
  await runs(RUNS / 2);
  const layer = multiPlatformImage("web:1.0").manifests[0]?.blobs[1]?.descriptor.digest as Digest;
  truncateSync(layout.blobData(layer), 1);
  await registry.restart();
  await runs(RUNS);

  await registry.shutDown();
  await runs(2);
  await registry.restart();
  await runs(RUNS / 2);

  rmSync(layout.blobData(layer));
  await pushAll();
  await registry.restart();
  await runs(RUNS / 2);

  await registry.shutDown();
  await cleanUp(monitored, pushgateway);
  await registry.restart();
  await runs(RUNS);
  return { from, to: now() };
};

const main = async (): Promise<void> => {
  const pushgateway = await startPushgateway();
  const monitored = await startMonitoredRegistry({ pushgateway: pushgateway.url });
  const text = (name: string, file: string): string =>
    monitored.objects.find(({ metadata }) => metadata.name === name)?.data[file];
  const prometheus = await startPrometheus({
    rules: text("registry-alerts", "registry-alerts.rules.yaml"),
    pushgateway,
  });
  const upstream = await startRegistry();
  const cache = await startRegistry({ proxy: { url: upstream.url } });
  try {
    const environment = { REGISTRY: cache.url, REGISTRY_ROLE: "proxy", PUSHGATEWAY: pushgateway.url };
    const silent = (): void => {};
    const range = await incident(monitored, pushgateway, () => probe(environment, silent, silent));
    const dashboard: Dashboard = JSON.parse(text("registry-integrity-dashboard", "registry-integrity.json"));
    const answers = new Map<number, QueryResults>();
    for (const panel of dashboard.panels) answers.set(panel.id, await answersOf(prometheus, panel, range));
    const { html, width, height } = dashboardPage(dashboard, ({ id }) => answers.get(id) ?? new Map(), range);
    screenshot(browser, html, "dashboard", width, height);
  } finally {
    await cache.stop();
    await upstream.stop();
    await prometheus.stop();
    await monitored.stop();
    await pushgateway.stop();
  }
};

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  // Everything started in the lab ends with this process.
  process.exit(2);
});
