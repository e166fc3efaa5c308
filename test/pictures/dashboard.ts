import { readFileSync, rmSync, truncateSync } from "node:fs";
import { Agent } from "undici";
import type { Dashboard, Panel } from "../../monitoring/dashboard";
import type { Digest } from "../../registry/oci/digest";
import { probe } from "../../registry/probe/probe";
import { StorageLayout } from "../../registry/storage/layout";
import { multiPlatformImage, push } from "../lab/images";
import { type MonitoredRegistry, startMonitoredRegistry } from "../lab/monitored-registry";
import { getJson, type LabServer, startPrometheus, startPushgateway } from "../lab/prometheus";
import { startRegistry } from "../lab/registry";
import { type Answers, page, type Range, type Series } from "./grafana";
import { screenshot } from "./screenshot";

/**
 * Takes the picture of the dashboard, docs/pictures/dashboard.png:
 *
 *     node --import tsx test/pictures/dashboard.ts chromium-headless-shell
 *
 * A registry in the lab loses parts of its images, is away for a while, and gets them back, while the probe's pod runs all
 * the time and a Prometheus scrapes what it pushes; beside it a pull-through cache is asked whether it answers. The dashboard is the one that the stack delivers; its own queries give
 * what is drawn. Only the page is ours: Grafana is in no package registry.
 */
const [, , browser] = process.argv;
if (browser === undefined) throw new Error("name the program chromium-headless-shell");

const IMAGES = ["infra-ci", "web", "worker", "docs"];
const TAGS = ["1.0", "1.1", "latest"];
/** Runs of the probe in each state: intact, damaged, away, damaged again, repaired. */
const RUNS = 12;

interface Matrix {
  readonly data: { readonly result: { metric: Record<string, string>; values: [number, string][] }[] };
}

const ask = async ({ url }: LabServer, expr: string, { from, to }: Range): Promise<Series[]> => {
  const query = new URLSearchParams({
    // Grafana puts the choice at the top of the dashboard in place of it; "All" is every name.
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

const answersOf = async (prometheus: LabServer, panel: Panel, range: Range): Promise<Answers> => {
  const answers = new Map<string, Series[]>();
  for (const { refId, expr } of panel.targets ?? []) answers.set(refId, await ask(prometheus, expr, range));
  return answers;
};

const now = (): number => Date.now() / 1000;

/** @returns when it began and ended */
const incident = async (
  { registry, credentials, authority, pod }: MonitoredRegistry,
  probeCache: () => Promise<unknown>,
): Promise<Range> => {
  const dispatcher = new Agent({ connect: { ca: readFileSync(authority, "utf8") } });
  const pushAll = async (): Promise<void> => {
    for (const name of IMAGES)
      for (const tag of TAGS)
        await push({ url: registry.url, credentials, dispatcher }, name, multiPlatformImage(`${name}:${tag}`), tag);
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
  await runs(RUNS);
  await dispatcher.close();
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
    const range = await incident(monitored, () => probe(environment, silent, silent));
    const dashboard: Dashboard = JSON.parse(text("registry-integrity-dashboard", "registry-integrity.json"));
    const answers = new Map<number, Answers>();
    for (const panel of dashboard.panels) answers.set(panel.id, await answersOf(prometheus, panel, range));
    const { html, width, height } = page(dashboard, ({ id }) => answers.get(id) ?? new Map(), range);
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
  // What was started in the lab ends with this process.
  process.exit(2);
});
