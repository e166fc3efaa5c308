import { defineSite } from "../../site/schema";

/**
 * One machine with Docker and no cluster: its registries, their probe as a timer, a Pushgateway beside them, and the
 * rules for the Prometheus that runs there in a container.
 */
export default defineSite({
  state: { backend: "local", directory: "state" },
  hosts: [{ name: "box", title: "the box in the cellar", address: "192.0.2.40" }],
  registry: {
    host: "box",
    directory: "/srv/registry",
    unit: "registry.service",
    project: "registry",
    network: "registry",
    images: {
      registry: { repository: "registry", tag: "2.8.3" },
      nginx: { repository: "nginx", tag: "1.28.0" },
      node: { repository: "node", tag: "26.9.0-slim" },
    },
    services: [
      { name: "hub", role: "proxy", upstream: "https://registry-1.docker.io", port: 5000 },
      {
        name: "home",
        role: "private",
        port: 5050,
        serverName: "registry.home.arpa",
        tls: { certificate: "/etc/registry/fullchain.pem", key: "/etc/registry/key.pem" },
        htpasswd: "/etc/registry/htpasswd",
        purgeUploadsAfterHours: 168,
        retention: { rules: [{ repositories: "**", keepNewest: 10 }] },
      },
    ],
    maintenance: {
      credentialsFile: "/etc/registry/maintenance.env",
      cleanUp: [{ days: ["sat"], at: "03:00" }],
      scan: [{ days: ["sun"], at: "03:00" }],
      disk: { everyMinutes: 15, minimumFreePercent: 10 },
    },
  },
  monitoring: {
    pushgateway: { image: { repository: "prom/pushgateway", tag: "v1.11.1" }, port: 9091 },
    // Into the rule_files of the Prometheus that runs there: npm run -s warden -- rules > registry.rules.yaml
    rules: { delivery: "by-hand" },
    runbooks: "https://wiki.home.arpa/alerts",
    probes: [
      {
        name: "home-probe",
        service: "home",
        periodMinutes: 15,
        deadlineSeconds: 600,
        credentials: { from: "file", file: "/etc/registry/probe.env" },
        certificateAuthority: { file: "/etc/registry/ca.pem" },
      },
    ],
  },
});
