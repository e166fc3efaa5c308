import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { stringify } from "yaml";
import { required } from "./components";
import { freePort, start, temporaryFolder } from "./process";

/** A server of the lab, on loopback. */
export interface LabServer {
  readonly url: string;
  stop(): Promise<void>;
}

const answers = (url: string) => async (): Promise<boolean> => (await fetch(url)).ok;

/** JSON of a GET. @throws where the answer is no success */
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
  const { stop } = await start([...command, `--web.listen-address=127.0.0.1:${listens}`], {
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
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      notifications.push(...JSON.parse(Buffer.concat(parts).toString()).alerts);
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    notifications,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
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
      group_wait: "0s",
      group_interval: "1s",
      repeat_interval: "1h",
    },
    receivers: [{ name: "pager", webhook_configs: [{ url: pager.url, send_resolved: true }] }],
  };
  writeFileSync(file, `${stringify(routing)}${inhibitions}`);
  const { command } = required("alertmanager");
  const { stop } = await start(
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

export interface PrometheusOptions {
  /** A rules file, as the stack ships it. */
  readonly rules: string;
  readonly pushgateway: LabServer;
  /** @default true */
  readonly honorLabels?: boolean;
  /** @default alerts go nowhere */
  readonly alertmanager?: LabServer;
}

/** Scrapes and evaluates every second. */
export const startPrometheus = async (options: PrometheusOptions): Promise<LabServer> => {
  const folder = temporaryFolder("prometheus");
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  mkdirSync(join(folder, "data"));
  writeFileSync(join(folder, "rules.yml"), options.rules);
  const target = ({ url: of }: LabServer) => [{ targets: [new URL(of).host] }];
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
          static_configs: target(options.pushgateway),
        },
      ],
    }),
  );
  const { command } = required("prometheus");
  const { stop } = await start(
    [
      ...command,
      `--config.file=${join(folder, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
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

/** Names of the alerts that fire, sorted. */
export const firing = async ({ url }: LabServer): Promise<string[]> => {
  const { data } = await getJson<{ data: { alerts: { state: string; labels: Record<string, string> }[] } }>(
    `${url}/api/v1/alerts`,
  );
  return data.alerts.flatMap(({ state, labels }) => (state === "firing" ? (labels.alertname ?? []) : [])).sort();
};
