import { hasResolver, type ManagedHost } from "../../site/host";
import { hasDns, managedHosts, pushgatewayUrlFrom } from "../../site/schema";
import { clusterLabel, type Family, MINUTE, type Subject } from "../alert";
import { HOST_JOB, HOST_WATCH_MINUTES, type HostMetricName } from "../metrics";
import { anyOf, selector } from "../promql";

const PERIOD = HOST_WATCH_MINUTES * MINUTE;

const aHost = (host: ManagedHost): Subject => ({ kind: "host", host });

/** What can break on a host itself and goes unnoticed until it matters: a dead fallback resolver, an edited file. */
export const hostAlerts: Family = {
  name: "registry-hosts",
  alerts: (site) => {
    const hosts = managedHosts(site).filter((host) => pushgatewayUrlFrom(site, host) !== undefined);
    if (hosts.length === 0) return [];
    const reporter = { ...clusterLabel(site), job: HOST_JOB };
    const all = (metric: HostMetricName) =>
      selector(metric, { ...reporter, host: anyOf(hosts.map(({ name }) => name)) });
    const lastRun = "registry_warden_host_last_run_timestamp_seconds";
    const absent = hosts.map(({ name }) => `absent(${selector(lastRun, { ...reporter, host: name })})`);
    const about = hosts.map(aHost);
    return [
      {
        name: "RegistryHostDrifted",
        severity: "warning",
        expr: `${all("registry_warden_host_as_delivered")} == 0`,
        after: 2 * PERIOD,
        summary: "A host is not as it was delivered",
        description:
          "Something of {{ $labels.host }} is not as the delivery of {{ $labels.delivery }} left it. The next deploy puts back what it notices, and nothing works as tested until then.",
        about,
      },
      {
        name: "RegistryResolverDown",
        severity: "warning",
        expr: `${all("registry_warden_resolver_up")} == 0`,
        after: 2 * PERIOD,
        summary: "A resolver of a host does not answer",
        description:
          "{{ $labels.host }} gets no answer for the names of the site from {{ $labels.resolver }}. While it has another it keeps working, and stops when that one stops.",
        about: hasDns(site) ? hosts.filter(hasResolver).map(aHost) : [],
      },
      {
        name: "RegistryHostUnwatched",
        severity: "warning",
        expr: `time() - ${all(lastRun)} > ${4 * PERIOD} or ${absent.join(" or ")}`,
        after: PERIOD,
        summary: "A host has stopped reporting about itself",
        description:
          "{{ $labels.host }} has not reported for longer than four of its periods: what was said about it last says nothing about now.",
        about,
      },
    ];
  },
};
