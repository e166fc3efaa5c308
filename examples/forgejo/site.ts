import { defineSite } from "../../site/schema";

/**
 * An external Forgejo, and a cluster that monitors and cleans up its container registry: no hosts, and no registry of
 * the site's own.
 */
export default defineSite({
  state: { backend: "kubernetes", namespace: "terraform" },
  name: "forge",
  monitoring: {
    kubernetes: { configPath: "~/.kube/config" },
    namespace: { name: "monitoring" },
    pushgateway: "http://pushgateway.monitoring:9091",
    rules: { delivery: "prometheus-rule", labels: { release: "kube-prometheus-stack" } },
    dashboard: { labels: { grafana_dashboard: "1" } },
    runbooks: "https://git.example.org/ops/registry-warden/src/branch/main/site-docs/alerts",
    probeImage: { repository: "node", tag: "26.9.0-slim" },
    externalRegistries: [
      {
        name: "forge",
        url: "https://git.example.org",
        role: "private",
        cleanUp: {
          schedule: { days: ["sun"], at: "03:00" },
          retention: {
            protect: ["latest"],
            protectInUse: { clusters: ["cluster"], maximumAgeHours: 24 },
            rules: [{ repositories: "**", keepNewest: 10, keep: ["v*"], untaggedOlderThanHours: 168 }],
          },
          credentials: { from: "existing-secret", secret: "forge-clean-up" },
          journalClaim: "forge-clean-up-journal",
        },
      },
    ],
    probes: [
      {
        name: "forge-probe",
        service: "forge",
        periodMinutes: 30,
        deadlineSeconds: 900,
        credentials: { from: "existing-secret", secret: "forge-probe" },
        workloads: true,
      },
    ],
  },
});
