import { defineSite } from "../../site/schema";

/** A Forgejo that somebody else runs, and a cluster that watches its container registry: no host, no registry of one's own. */
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
    externalRegistries: [{ name: "forge", url: "https://git.example.org", role: "private" }],
    probes: [
      {
        name: "forge-probe",
        service: "forge",
        periodMinutes: 30,
        deadlineSeconds: 900,
        credentials: { from: "existing-secret", secret: "forge-probe" },
      },
    ],
  },
});
