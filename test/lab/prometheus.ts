import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { serveOnLoopback } from "../loopback";
import { required } from "./components";
import { freePort, startProcess, temporaryFolder } from "./process";

/** A server of the lab, on loopback. */
export interface LabServer {
  readonly url: string;
  stop(): Promise<void>;
}

const answers = (url: string) => async (): Promise<boolean> => (await fetch(url)).ok;

/** JSON from a GET. @throws if the answer is not a success */
export const getJson = async <T>(url: string): Promise<T> => {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
};

/** @param port default: a free one; given, it comes back where it was before a restart */
export const startPushgateway = async (port?: number): Promise<LabServer> => {
  const listens = port ?? (await freePort());
  const url = `http://127.0.0.1:${listens}`;
  const { command } = required("pushgateway");
  const { stop } = await startProcess([...command, `--web.listen-address=127.0.0.1:${listens}`], {
    ready: answers(`${url}/-/ready`),
  });
  return { url, stop };
};

/** One alert of a notification. https://prometheus.io/docs/alerting/latest/configuration/#webhook_config */
export interface Notification {
  readonly status: "firing" | "resolved";
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** What wakes a person. */
export interface Pager extends LabServer {
  /** Everything that it was told, in order. */
  readonly notifications: readonly Notification[];
}

export const startPager = async (): Promise<Pager> => {
  const notifications: Notification[] = [];
  const server = await serveOnLoopback((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      notifications.push(...JSON.parse(Buffer.concat(parts).toString()).alerts);
      response.end();
    });
  });
  return { ...server, notifications };
};

/** @param inhibitions YAML with `inhibit_rules`, as the stack puts it out */
export const startAlertmanager = async (pager: Pager, inhibitions: string): Promise<LabServer> => {
  const folder = temporaryFolder("alertmanager");
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const file = join(folder, "alertmanager.yml");
  const routing = {
    route: {
      receiver: "pager",
      group_by: ["alertname", "instance"],
      // So that an alert whose cause comes with it is muted before anybody is told.
      group_wait: "1s",
      group_interval: "1s",
      repeat_interval: "1h",
    },
    receivers: [{ name: "pager", webhook_configs: [{ url: pager.url, send_resolved: true }] }],
  };
  writeFileSync(file, `${stringify(routing)}${inhibitions}`);
  const { command } = required("alertmanager");
  const { stop } = await startProcess(
    [
      ...command,
      `--config.file=${file}`,
      `--storage.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--cluster.listen-address=",
    ],
    { ready: answers(`${url}/-/ready`) },
  );
  return {
    url,
    stop: async () => {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
};

/** Labels of an alert, and whether Alertmanager tells anybody of it. */
interface KnownAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly status: { readonly inhibitedBy: readonly string[] };
}

/**
 * Alerts that fire, as a Prometheus tells Alertmanager.
 * https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
 */
export const raise = async ({ url }: LabServer, alerts: readonly KnownAlert["labels"][]): Promise<void> => {
  const response = await fetch(`${url}/api/v2/alerts`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(alerts.map((labels) => ({ labels, startsAt: new Date().toISOString() }))),
  });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
};

/** The alerts that Alertmanager knows, in two parts: those that somebody is told of, and those that have another's cause. */
export const toldAndMuted = async (
  alertmanager: LabServer,
): Promise<Record<"told" | "muted", KnownAlert["labels"][]>> => {
  const alerts = await getJson<KnownAlert[]>(`${alertmanager.url}/api/v2/alerts`);
  const isMuted = ({ status }: KnownAlert): boolean => status.inhibitedBy.length > 0;
  return {
    told: alerts.filter((each) => !isMuted(each)).map(({ labels }) => labels),
    muted: alerts.filter(isMuted).map(({ labels }) => labels),
  };
};

export interface PrometheusOptions {
  /** A rules file, as the stack ships it. */
  readonly rules: string;
  readonly pushgateway: LabServer;
  /** @default true */
  readonly honorLabels?: boolean;
  /** @default alerts go nowhere */
  readonly alertmanager?: LabServer;
}

/** A Prometheus that scrapes a Pushgateway. */
export interface LabPrometheus extends LabServer {
  /** Adds these labels to everything scraped from now on, as a ServiceMonitor does with the pod. */
  scrapeWith(labels: Readonly<Record<string, string>>): void;
  /** Restarts it with the same data. */
  restart(): Promise<void>;
}

/**
 * The rules, with an hour in place of their memory of days: with a period of seconds they would evaluate a hundred
 * thousand points each second.
 */
const atThisPace = (rules: string): string => rules.replace(/\[[17]d(?=[:\]])/g, "[1h");

/** Scrapes and evaluates every second. */
export const startPrometheus = async (options: PrometheusOptions): Promise<LabPrometheus> => {
  const folder = temporaryFolder("prometheus");
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  mkdirSync(join(folder, "data"));
  writeFileSync(join(folder, "rules.yml"), atThisPace(options.rules));
  const target = ({ url: of }: LabServer, labels = {}) => [{ targets: [new URL(of).host], labels }];
  const scrapeWith = (labels: Readonly<Record<string, string>>): void => {
    // Prometheus notices a file that replaces another.
    writeFileSync(join(folder, "new"), JSON.stringify(target(options.pushgateway, labels)));
    renameSync(join(folder, "new"), join(folder, "targets.json"));
  };
  scrapeWith({});
  writeFileSync(
    join(folder, "prometheus.yml"),
    stringify({
      global: { scrape_interval: "1s", evaluation_interval: "1s" },
      rule_files: ["rules.yml"],
      alerting:
        options.alertmanager === undefined
          ? undefined
          : { alertmanagers: [{ static_configs: target(options.alertmanager) }] },
      scrape_configs: [
        {
          job_name: "pushgateway",
          honor_labels: options.honorLabels ?? true,
          file_sd_configs: [{ files: ["targets.json"], refresh_interval: "1s" }],
        },
      ],
    }),
  );
  const { command } = required("prometheus");
  const run = () =>
    startProcess(
      [
        ...command,
        `--config.file=${join(folder, "prometheus.yml")}`,
        `--storage.tsdb.path=${join(folder, "data")}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { ready: answers(`${url}/-/ready`) },
    );
  let running = await run();
  return {
    url,
    scrapeWith,
    restart: async () => {
      await running.stop();
      running = await run();
    },
    stop: async () => {
      await running.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
};

/** Names of the alerts that fire, sorted. */
export const firingAlerts = async ({ url }: LabServer): Promise<string[]> => {
  const { data } = await getJson<{ data: { alerts: { state: string; labels: Record<string, string> }[] } }>(
    `${url}/api/v1/alerts`,
  );
  return data.alerts.flatMap(({ state, labels }) => (state === "firing" ? (labels.alertname ?? []) : [])).sort();
};
