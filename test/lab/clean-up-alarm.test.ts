import { execFile } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { MAINTENANCE_JOB, type MaintenanceMetricName } from "../../monitoring/metrics";
import { rulesFor } from "../../monitoring/rules";
import { rulesFile } from "../../monitoring/rules-file";
import { StorageLayout } from "../../registry/storage/layout";
import { describeWith } from "./components";
import { image, push } from "./images";
import { type MonitoredRegistry, startMonitoredRegistry } from "./monitored-registry";
import { temporaryFolder, waitFor } from "./process";
import { firingAlerts, getJson, type LabServer, startPrometheus, startPushgateway } from "./prometheus";
import { WARDEN_PROGRAM } from "./warden";

jest.setTimeout(240_000);

/** Seconds. Even a busy machine must report within two periods of a clean-up. */
const PERIOD = 8;
const PATIENCE = 120;

const REPOSITORIES = ["team/one", "team/two", "team/three", "team/four"];
const TAGS = ["1", "2", "3", "4", "5"];

const LOSSES = ["RegistryIntegrityCoverageLost", "RegistryMassLoss", "RegistryCatalogEmpty"];

describeWith(["registry", "pushgateway", "prometheus", "openssl"], "a clean-up, and a loss", () => {
  const folder = temporaryFolder("clean-up");
  let pushgateway: LabServer;
  let monitored: MonitoredRegistry;
  let prometheus: LabServer;
  /** It receives no reports about clean-ups. */
  let unaware: LabServer;

  beforeAll(async () => {
    pushgateway = await startPushgateway();
    monitored = await startMonitoredRegistry({ pushgateway: pushgateway.url, period: PERIOD, cleanUp: true });
    const { registry, ...others } = monitored.site;
    const { maintenance, ...without } = registry;
    const rulesOf = (site: typeof monitored.site) =>
      rulesFile(rulesFor(site).filter(({ name }) => name === "registry-coverage"));
    prometheus = await startPrometheus({ rules: rulesOf(monitored.site), pushgateway });
    unaware = await startPrometheus({ rules: rulesOf({ ...others, registry: without } as never), pushgateway });
    for (const repository of REPOSITORIES)
      for (const tag of TAGS) await push(monitored.pushTarget, repository, image(`${repository}:${tag}`), tag);
  });
  afterAll(async () => {
    for (const each of [unaware, prometheus, monitored, pushgateway]) await each?.stop();
    rmSync(folder, { recursive: true });
  });

  const probed = async (): Promise<void> => {
    expect(await monitored.pod.run()).toMatchObject({ code: 0, stderr: "" });
  };
  const probedUntil = (what: string, condition: () => Promise<boolean>) =>
    waitFor(
      what,
      async () => {
        await probed();
        return condition();
      },
      PATIENCE,
    );

  /** The alerts about lost images that have fired so far. */
  const firedSoFar = async ({ url }: LabServer): Promise<string[]> => {
    const query = `count by (alertname) (max_over_time(ALERTS{alertstate="firing"}[1h]))`;
    const { data } = await getJson<{ data: { result: { metric: { alertname: string } }[] } }>(
      `${url}/api/v1/query?query=${encodeURIComponent(query)}`,
    );
    return data.result.map(({ metric }) => metric.alertname).filter((name) => LOSSES.includes(name));
  };

  /** The current result of a query; undefined if it is empty. */
  const value = async ({ url }: LabServer, query: string): Promise<number | undefined> => {
    const { data } = await getJson<{ data: { result: { value: [number, string] }[] } }>(
      `${url}/api/v1/query?query=${encodeURIComponent(query)}`,
    );
    const [found] = data.result;
    return found === undefined ? undefined : Number(found.value[1]);
  };

  test("a clean-up that removes most tags is no alarm if it reports what it left, and is one if nobody does", async () => {
    await probedUntil(
      "all tags",
      async () => (await value(unaware, "registry_manifest_integrity_tags_checked")) === 20,
    );
    // The rules remember what was there at a multiple of two periods: a fast machine cleans up before the next one.
    await probedUntil(
      "a moment that the rules remember",
      async () =>
        (await value(unaware, `max_over_time(registry_manifest_integrity_tags_checked[1h:${2 * PERIOD}s])`)) === 20,
    );

    await monitored.registry.shutDown();
    const [service] = monitored.site.registry.services;
    const policy = join(folder, "policy.json");
    writeFileSync(policy, JSON.stringify(service?.role === "private" ? service.retention : undefined));
    const { stdout } = await promisify(execFile)(process.execPath, [
      WARDEN_PROGRAM,
      ...["prune", monitored.registry.root, "--policy", policy, "--apply", "--offline", "--json"],
    ]);
    await monitored.registry.restart();
    const { kept } = JSON.parse(stdout) as { kept: { repository: string }[] };
    // Reported as by the maintenance on the registry host.
    const said: Partial<Record<MaintenanceMetricName, number>> = {
      registry_maintenance_last_run_timestamp_seconds: Math.round(Date.now() / 1000),
      registry_maintenance_repositories_left: new Set(kept.map(({ repository }) => repository)).size,
      registry_maintenance_tags_left: kept.length,
    };
    expect(said).toMatchObject({ registry_maintenance_repositories_left: 4, registry_maintenance_tags_left: 4 });
    const instance = encodeURIComponent(new URL(monitored.registry.url.replace("127.0.0.1", "localhost")).host);
    const body = Object.entries(said).map(([metric, said]) => `# TYPE ${metric} gauge\n${metric} ${said}\n`);
    const group = `${pushgateway.url}/metrics/job/${MAINTENANCE_JOB}/instance/${instance}/task/clean-up`;
    expect(await fetch(group, { method: "PUT", body: body.join("") })).toMatchObject({ status: 200 });

    await probedUntil("what nobody explained", async () =>
      (await firingAlerts(unaware)).includes("RegistryIntegrityCoverageLost"),
    );
    // Wait for as long again: it must not fire later either.
    for (let run = 0; run < 4; run++) await probed();
    expect(await value(prometheus, "registry_manifest_integrity_tags_checked")).toBe(4);
    expect(await firedSoFar(prometheus)).toEqual([]);
  });

  test("a repository that is lost afterwards is an alarm, and losing most of them is another", async () => {
    const lose = (repository: string) =>
      rmSync(new StorageLayout(monitored.registry.root).repository(repository).folder, { recursive: true });
    lose("team/one");
    await probedUntil("one is lost", async () =>
      (await firingAlerts(prometheus)).includes("RegistryIntegrityCoverageLost"),
    );
    expect(await firingAlerts(prometheus)).not.toContain("RegistryMassLoss");
    lose("team/two");
    lose("team/three");
    await probedUntil("most are lost", async () => (await firingAlerts(prometheus)).includes("RegistryMassLoss"));
  });
});
