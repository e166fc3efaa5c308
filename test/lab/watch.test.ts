import type { ChildProcess } from "node:child_process";
import { assembleScript } from "../../hosts/delivery";
import { dnsDelivery } from "../../hosts/resolver";
import { watchUnit } from "../../hosts/watch";
import { dnsHosts } from "../../site/schema";
import { parsed, reference } from "../sites";
import { describeWithHosts, endProcessGroup, Hosts } from "./hosts";
import { PUSHGATEWAY_ADDRESS } from "./registry-host";

/** The operator's machine in the lab, where the Pushgateway runs. */

describeWithHosts(["pushgateway", "promtool"], "a host that is watched", ({ pushgateway, promtool }) => {
  const hosts = new Hosts();
  const { registry } = reference;
  const site = parsed({
    ...reference,
    hosts: reference.hosts.map((host) =>
      host.resolver === undefined ? host : { ...host, resolver: { ...host.resolver, failoverTest: false } },
    ),
    registry: {
      ...registry,
      maintenance: {
        ...registry.maintenance,
        pushgateway: `http://${PUSHGATEWAY_ADDRESS}`,
      } as typeof registry.maintenance,
    },
  });
  const vm = dnsHosts(site).find(({ resolver }) => resolver.kind === "systemd-resolved");
  if (vm === undefined) throw new Error("the reference site has no host with systemd-resolved");
  let gateway: ChildProcess | undefined;

  const stored = (): string => hosts.operator(["curl", "-s", `http://${PUSHGATEWAY_ADDRESS}/metrics`]).output;
  /** The host's values in the Pushgateway, after running the watch once more. */
  const reported = (): Record<string, number> => {
    hosts.ssh("vm", `systemctl start ${watchUnit(site, vm)}.service`);
    const lines = stored().matchAll(/^(registry_warden_\w+)\{([^}]*)\} (\S+)$/gm);
    return Object.fromEntries(
      [...lines].map(([, metric, labels, value]) => [
        `${metric} ${/(?:delivery|resolver)="([^"]*)"/.exec(labels ?? "")?.[1] ?? ""}`.trim(),
        Number(value),
      ]),
    );
  };

  beforeAll(async () => {
    hosts.up();
    gateway = hosts.startAtOperator(...pushgateway.command, `--web.listen-address=${PUSHGATEWAY_ADDRESS}`);
    await hosts.until("vm", `curl -sf http://${PUSHGATEWAY_ADDRESS}/metrics`);
    hosts.ssh("vm", "cat >/root/dns.sh", assembleScript(dnsDelivery(site, vm)));
    hosts.ssh("vm", "bash /root/dns.sh apply && bash /root/dns.sh confirm");
  }, 600_000);
  afterAll(() => {
    if (gateway !== undefined) endProcessGroup(gateway);
    hosts.down();
  });

  test("says that all is well, and when, in a form that promtool finds nothing wrong with", () => {
    const report = reported();
    expect(report).toMatchObject({
      "registry_warden_host_as_delivered dns": 1,
      "registry_warden_resolver_up 10.0.20.1": 1,
      "registry_warden_resolver_up 94.140.14.14": 1,
    });
    expect(Math.abs(Date.now() / 1000 - (report.registry_warden_host_last_run_timestamp_seconds ?? 0))).toBeLessThan(
      60,
    );
    expect(stored()).toContain('job="registry-warden-host"');
    const own = stored()
      .split("\n")
      .filter((line) => line.includes("registry_warden_"))
      .join("\n");
    expect(hosts.operator([...promtool.command, "check", "metrics"], {}, `${own}\n`)).toEqual({
      status: 0,
      output: "",
    });
  }, 60_000);

  test("sees a resolver that has died, which nobody notices while the other answers", () => {
    hosts.block();
    try {
      expect(reported()).toMatchObject({
        "registry_warden_resolver_up 10.0.20.1": 0,
        "registry_warden_resolver_up 94.140.14.14": 1,
      });
    } finally {
      hosts.unblock();
    }
    expect(reported()).toMatchObject({ "registry_warden_resolver_up 10.0.20.1": 1 });
  }, 120_000);

  test("sees what somebody edited, and that it is put back", () => {
    const file = "/etc/systemd/resolved.conf.d/10-internal-dns.conf";
    hosts.ssh("vm", `cp -p ${file} /root/kept; echo '# by hand' >>${file}`);
    expect(reported()).toMatchObject({ "registry_warden_host_as_delivered dns": 0 });
    hosts.ssh("vm", `mv /root/kept ${file}`);
    expect(reported()).toMatchObject({ "registry_warden_host_as_delivered dns": 1 });
  }, 120_000);

  test("is told at its delivery where it cannot report, for it has no curl", () => {
    hosts.ssh("vm", "mv /usr/bin/curl /root/curl");
    try {
      expect(hosts.try("vm", "bash /root/dns.sh apply && bash /root/dns.sh confirm")).toMatchObject({
        status: 0,
        output: expect.stringContaining("curl is missing, so nothing is reported of this host; install it there"),
      });
      expect(hosts.try("vm", `systemctl start ${watchUnit(site, vm)}.service`).status).not.toBe(0);
    } finally {
      hosts.ssh("vm", "mv /root/curl /usr/bin/curl");
    }
  }, 120_000);

  test("looks by itself, and is gone with the delivery", () => {
    expect(hosts.ssh("vm", "systemctl list-timers --no-legend registry-watch-host.timer")).toContain(
      "registry-watch-host",
    );
    hosts.ssh("vm", "bash /var/lib/registry-warden/dns/delivery.sh rollback");
    expect(hosts.try("vm", "systemctl list-unit-files --no-legend 'registry-watch*'").output).toBe("");
    expect(hosts.try("vm", "ls /var/lib/registry-warden/watch.sh").status).not.toBe(0);
  }, 120_000);
});
