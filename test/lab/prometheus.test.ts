import { rmSync } from "node:fs";
import { integrityDashboard } from "../../monitoring/dashboard";
import {
  CLEAN_UP_JOB,
  CLEAN_UP_METRICS,
  HOST_JOB,
  HOST_METRICS,
  MAINTENANCE_JOB,
  MAINTENANCE_METRICS,
  type MetricName,
} from "../../monitoring/metrics";
import type { Digest } from "../../registry/oci/digest";
import { StorageLayout } from "../../registry/storage/layout";
import { describeWith } from "./components";
import { multiPlatformImage, push } from "./images";
import { type MonitoredRegistry, startMonitoredRegistry } from "./monitored-registry";
import { waitFor } from "./process";
import {
  firingAlerts,
  getJson,
  type LabPrometheus,
  type LabServer,
  type Notification,
  type Pager,
  startAlertmanager,
  startPager,
  startPrometheus,
  startPushgateway,
  toldAndMuted,
} from "./prometheus";

jest.setTimeout(120_000);

/** Seconds: an alert that waits for two periods fires after six. */
const PERIOD = 3;
const PATIENCE = 60;

describeWith(
  ["registry", "pushgateway", "prometheus", "alertmanager", "openssl"],
  "the incident of April, and its end",
  () => {
    let pushgateway: LabServer;
    let monitored: MonitoredRegistry;
    let pager: Pager;
    let alertmanager: LabServer;
    let prometheus: LabPrometheus;
    let careless: LabServer;
    const image = multiPlatformImage("infra-ci");
    const lost = image.manifests[1];

    beforeAll(async () => {
      pushgateway = await startPushgateway();
      monitored = await startMonitoredRegistry({ pushgateway: pushgateway.url, period: PERIOD });
      const file = monitored.objects.find(({ metadata }) => metadata.name === "registry-alerts");
      const rules: string = file?.data["registry-alerts.rules.yaml"];
      pager = await startPager();
      alertmanager = await startAlertmanager(pager, monitored.stack.output.alertmanager.value);
      prometheus = await startPrometheus({ rules, pushgateway, alertmanager });
      careless = await startPrometheus({ rules, pushgateway, honorLabels: false });
      await push(monitored.pushTarget, "infra-ci", image, "latest");
    });
    afterAll(async () => {
      for (const each of [careless, prometheus, alertmanager, pager, monitored, pushgateway]) await each?.stop();
    });

    const told = (alertname: string): Notification | undefined =>
      pager.notifications.findLast(({ labels }) => labels.alertname === alertname);

    const seriesOf = async (expr: string): Promise<number> => {
      const { data } = await getJson<{ data: { result: unknown[] } }>(
        `${prometheus.url}/api/v1/query?query=${encodeURIComponent(expr)}`,
      );
      return data.result.length;
    };

    /** Runs the probe, as its schedule would, until the condition holds. */
    const probedUntil = (what: string, condition: () => boolean | Promise<boolean>) =>
      waitFor(
        what,
        async () => {
          expect(await monitored.pod.run()).toMatchObject({ code: 0, stderr: "" });
          return condition();
        },
        PATIENCE,
      );

    test("nobody has ever pushed: the person learns that nothing is known", async () => {
      await waitFor("Absent", () => told("RegistryReportsAbsent")?.status === "firing", PATIENCE);
      // One cause, one page.
      expect(told("RegistryIntegrityProbeAbsent")).toBeUndefined();
      await probedUntil("Absent resolved", () => told("RegistryReportsAbsent")?.status === "resolved");
    });

    test("the child of an index is lost: the alert says how much, and where to read on", async () => {
      const repository = new StorageLayout(monitored.registry.root).repository("infra-ci");
      rmSync(repository.revisionLink(lost?.descriptor.digest as Digest));
      await probedUntil("Failure", () => told("RegistryManifestIntegrityFailure")?.status === "firing");
      const { instance } = told("RegistryManifestIntegrityFailure")?.labels ?? {};
      expect(instance).toBe(new URL(monitored.registry.url.replace("127.0.0.1", "localhost")).host);
      expect(told("RegistryManifestIntegrityFailure")).toMatchObject({
        labels: { severity: "critical" },
        annotations: {
          description: expect.stringMatching(/^Broken objects in .*: up to 1, missing 1\. /),
          runbook_url: expect.stringMatching(/\/RegistryManifestIntegrityFailure\.md$/),
        },
      });
    });

    test("the dashboard has something to show in each panel", async () => {
      const queries = integrityDashboard().panels.flatMap(({ title, targets }) =>
        targets.map(({ expr }) => ({ title, expr: expr.replaceAll("$instance", ".+") })),
      );
      /** Pushes reports as programs other than the probe would. */
      const reported = async (group: string, metrics: readonly string[], labels = ""): Promise<void> => {
        const body = metrics.map((metric) => `# TYPE ${metric} gauge\n${metric}${labels} 1\n`).join("");
        expect(await fetch(`${pushgateway.url}/metrics/job/${group}`, { method: "PUT", body })).toMatchObject({
          status: 200,
        });
      };
      await reported(`${HOST_JOB}/host/registry-vm`, Object.keys(HOST_METRICS));
      await reported(`${CLEAN_UP_JOB}/instance/registry`, Object.keys(CLEAN_UP_METRICS));
      const workloads = ["registry_workload_images", "registry_workload_known"] satisfies MetricName[];
      await reported("a-probe-in-a-cluster/instance/registry", workloads, '{state="missing"}');
      await reported(`${MAINTENANCE_JOB}/instance/registry/task/disk`, Object.keys(MAINTENANCE_METRICS));
      await waitFor("the maintenance", async () => (await seriesOf("registry_maintenance_success")) > 0, PATIENCE);
      for (const { title, expr } of queries)
        expect({ title, expr, series: await seriesOf(expr) }).not.toMatchObject({ series: 0 });
    });

    test("nobody is told that it is over because the Pushgateway or Prometheus restarts, or what comes from it has other labels", async () => {
      const before = pager.notifications.length;
      const port = Number(new URL(pushgateway.url).port);
      await pushgateway.stop();
      pushgateway = await startPushgateway(port);
      const reportedBy = async (pod: string) => (await seriesOf(`push_time_seconds{pod=${JSON.stringify(pod)}}`)) > 0;
      prometheus.scrapeWith({ pod: "pushgateway-1" });
      await probedUntil("another pod's report", () => reportedBy("pushgateway-1"));
      // A series without a staleness marker counts for another five minutes, which is long when a period has three
      // seconds.
      await waitFor("the first pod's end", async () => !(await reportedBy("")), PATIENCE);
      await prometheus.restart();
      const restarted = Date.now() / 1000;
      // A series that only the previous Prometheus scraped would get no staleness marker.
      await waitFor(
        "its report again",
        async () => (await seriesOf(`timestamp(push_time_seconds{pod="pushgateway-1"}) > ${restarted}`)) > 0,
        PATIENCE,
      );
      prometheus.scrapeWith({ pod: "pushgateway-2", container: "other" });
      await probedUntil("a third pod's report", () => reportedBy("pushgateway-2"));
      await waitFor("the second pod's end", async () => !(await reportedBy("pushgateway-1")), PATIENCE);
      await waitFor("the same alert", async () =>
        (await firingAlerts(prometheus)).includes("RegistryManifestIntegrityFailure"),
      );
      const since = pager.notifications.slice(before);
      expect(since.filter(({ labels }) => labels.alertname === "RegistryManifestIntegrityFailure")).toEqual([]);
    });

    test("while the registry is down only that is told", async () => {
      await monitored.registry.shutDown();
      await probedUntil("Inaccessible", () => told("RegistryCatalogInaccessible")?.status === "firing");
      expect(await firingAlerts(prometheus)).toContain("RegistryManifestIntegrityFailure");
      const { muted } = await toldAndMuted(alertmanager);
      expect(muted.map(({ alertname }) => alertname)).toContain("RegistryManifestIntegrityFailure");
      await monitored.registry.restart();
      await probedUntil("Inaccessible resolved", () => told("RegistryCatalogInaccessible")?.status === "resolved");
    });

    test("what was lost is pushed again: the alert resolves", async () => {
      await push(monitored.pushTarget, "infra-ci", image, "latest");
      await probedUntil("Failure resolved", () => told("RegistryManifestIntegrityFailure")?.status === "resolved");
    });

    test("a scrape without honor_labels is told as such", async () => {
      await probedUntil("LabelsOverwritten", async () =>
        (await firingAlerts(careless)).includes("RegistryIntegrityLabelsOverwritten"),
      );
      expect(await firingAlerts(prometheus)).not.toContain("RegistryIntegrityLabelsOverwritten");
    });

    test("the probe stops: its last report does not stand forever", async () => {
      await waitFor("Stale", () => told("RegistryIntegrityProbeStale")?.status === "firing", PATIENCE);
      expect(told("RegistryManifestIntegrityFailure")?.status).toBe("resolved");
    });
  },
);
