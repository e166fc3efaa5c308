import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { digestOf, image, index, layer, type SyntheticManifest } from "../test/lab/images";
import { metricGroups, metricValue } from "../test/lab/metric-groups";
import { type MonitoredRegistry, startMonitoredRegistry } from "../test/lab/monitored-registry";
import { type LabServer, startPushgateway } from "../test/lab/prometheus";
import { SyntheticStore } from "../test/registry/storage/synthetic-store";
import { referenceSite } from "../test/sites";
import { median } from "./median";
import { isSkipped } from "./skip";

const root = resolve(__dirname, "..");

/** 500 tags, each an index of two platforms with eight layers, seven of which the tags of a repository share. */
const REPOSITORIES = 25;
const TAGS = 20;
const PLATFORMS = ["amd64", "arm64"];
const LAYERS = 8;

/** The cost used by `warden htpasswd --probe`, the default of htpasswd(1), and a common higher one. */
const COSTS = [4, 5, 10];
/** More than the probe may use: the registry's maximum. */
const CONNECTIONS = 16;
/** Number of requests in a measurement, adjusted to their duration: each step of the cost doubles it. */
const SAMPLE: Record<number, number> = { 4: 4000, 5: 4000, 10: 600 };
const RUNS = 3;

const [probe] = referenceSite.monitoring.probes;
const PERIOD = (probe?.periodMinutes ?? 0) * 60;

/** Fills the store. @returns a request for each object, for the bare load generator */
const writeImages = (store: SyntheticStore): string[] => {
  const requests = new Set<string>();
  const note = (repository: string, manifest: SyntheticManifest): void => {
    requests.add(`HEAD /v2/${repository}/manifests/${digestOf(manifest)}`);
    for (const blob of manifest.blobs) {
      requests.add(`GET /v2/${repository}/blobs/${digestOf(blob)} ${blob.bytes.length - 1}`);
    }
    for (const child of manifest.manifests) note(repository, child);
  };
  for (let r = 0; r < REPOSITORIES; r++) {
    for (let t = 0; t < TAGS; t++) {
      const repository = `bench/r${r}`;
      const children = PLATFORMS.map((architecture) => {
        const layers = Array.from({ length: LAYERS }, (_, at) =>
          layer(`${repository}/${at === LAYERS - 1 ? t : "base"}/${architecture}/${at}`),
        );
        return image(`${repository}/${t}/${architecture}`, { platform: { architecture, os: "linux" }, layers });
      });
      const made = index(children);
      store.push(repository, made, `v${t}`);
      note(repository, made);
    }
  }
  return [...requests];
};

/** Requests a second that the registry answers to the same account behind the same proxy. */
const capacity = async (
  { site, credentials, authority }: MonitoredRegistry,
  requests: readonly string[],
): Promise<number> => {
  const folder = mkdtempSync(join(tmpdir(), "warden-bench-"));
  try {
    const file = join(folder, "requests");
    writeFileSync(file, requests.map((line) => `${line}\n`).join(""));
    const { port } = site.registry.services[0] as { port: number };
    const basic = Buffer.from(`${credentials.username}:${credentials.password}`).toString("base64");
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["--import", "tsx", "bench/load.ts", "127.0.0.1", String(port), file, String(CONNECTIONS)],
      {
        cwd: root,
        encoding: "utf8",
        env: { ...process.env, LOAD_AUTHORIZATION: `Basic ${basic}`, LOAD_CA: authority },
      },
    );
    return requests.length / Number(stdout);
  } finally {
    rmSync(folder, { recursive: true });
  }
};

/** What the last run reported about itself. */
const reported = async (pushgateway: LabServer): Promise<{ seconds: number; requests: number; tags: number }> => {
  const [group] = await metricGroups(pushgateway);
  if (group === undefined) throw new Error("nothing was pushed");
  const value = (name: string) => metricValue(group, `registry_manifest_integrity_${name}`);
  return { seconds: value("run_duration_seconds"), requests: value("run_requests"), tags: value("tags_checked") };
};

const percent = (part: number): string => `${(100 * part).toFixed(part < 0.1 ? 2 : 1)} %`;

const measure = async (cost: number): Promise<void> => {
  const pushgateway = await startPushgateway();
  const monitored = await startMonitoredRegistry({
    pushgateway: pushgateway.url,
    reverseProxy: true,
    cost,
    deadline: 900,
  });
  try {
    const requests = writeImages(new SyntheticStore(monitored.registry.root));
    const sample = requests.filter((_, at) => at % Math.ceil(requests.length / (SAMPLE[cost] ?? 600)) === 0);
    const most: number[] = [];
    const took: number[] = [];
    for (let round = 0; round < (cost > 5 ? 1 : RUNS); round++) {
      most.push(await capacity(monitored, sample));
      const { code, stderr } = await monitored.pod.run();
      if (code !== 0) throw new Error(`the probe failed: ${stderr}`);
      const { seconds, tags } = await reported(pushgateway);
      if (tags !== REPOSITORIES * TAGS) throw new Error(`the probe has checked ${tags} tags`);
      took.push(seconds);
    }
    const { requests: sent } = await reported(pushgateway);
    // Ends before the probe, so that it is measured in parallel all the time.
    const running = monitored.pod.run();
    const beside = await capacity(monitored, sample.slice(0, sample.length / 4));
    await running;
    const [limit, seconds] = [median(most), median(took)];
    const rows = [
      ["a whole run", `${seconds.toFixed(1)} s, ${sent} requests`],
      [`share of a period of ${PERIOD / 60} min`, percent(seconds / PERIOD)],
      ["what the registry can do behind the same reverse proxy", `${limit.toFixed(0)} requests/s`],
      ["what the probe asks of it while it runs", `${(sent / seconds).toFixed(0)} requests/s`],
      ["share of what the registry can do, while it runs", percent(sent / seconds / limit)],
      [`what others get meanwhile, over ${CONNECTIONS} connections`, percent(beside / limit)],
      ["share of what the registry can do, over a period", percent(sent / limit / PERIOD)],
    ];
    process.stdout.write(`bcrypt cost ${cost}\n`);
    for (const [name = "", value] of rows) process.stdout.write(`  ${name.padEnd(56)}${value}\n`);
  } finally {
    await monitored.stop();
    await pushgateway.stop();
  }
};

/** The CronJob's pod over 500 tags behind nginx with TLS and htpasswd, and its share of the registry's capacity. */
export const runBench = async (): Promise<void> => {
  if (isSkipped("registry", "nginx", "pushgateway", "openssl")) return;
  process.stdout.write(
    `${REPOSITORIES * TAGS} tags of ${PLATFORMS.length} platforms, concurrency ${probe?.concurrency}\n`,
  );
  for (const cost of COSTS) await measure(cost);
};
