import { defineSite } from "registry-warden/site/schema";

/** A server in the office with one private registry, monitored from the cluster that the app already manages. */
export default defineSite({
  state: { backend: "local", directory: "state" },
  dns: { internal: { name: "wiki.office.example", address: "198.51.100.30" }, external: "example.org" },
  hosts: [
    {
      name: "server",
      title: "server in the office",
      address: "198.51.100.10",
      resolver: { kind: "resolv.conf", search: ["office.example"], nameservers: ["198.51.100.1", "9.9.9.9"] },
    },
  ],
  registry: {
    host: "server",
    directory: "/srv/images",
    unit: "images.service",
    project: "images",
    network: "images",
    images: { registry: { repository: "registry", tag: "2.8.3" }, nginx: { repository: "nginx", tag: "1.28.0" } },
    services: [
      {
        name: "office",
        role: "private",
        port: 5050,
        serverName: "images.office.example",
        tls: { certificate: "/etc/images/fullchain.pem", key: "/etc/images/key.pem" },
        htpasswd: "/etc/images/htpasswd",
        purgeUploadsAfterHours: 168,
      },
    ],
  },
  monitoring: {
    kubernetes: { configPath: "~/.kube/config" },
    namespace: { name: "monitoring", create: false },
    pushgateway: "http://pushgateway.monitoring:9091",
    rules: { delivery: "prometheus-rule", labels: { release: "prometheus" } },
    runbooks: "https://wiki.office.example/alerts",
    probeImage: { repository: "node", tag: "26.9.0-slim" },
    probes: [
      {
        name: "office-registry-probe",
        service: "office",
        periodMinutes: 15,
        deadlineSeconds: 600,
        credentials: { from: "existing-secret", secret: "office-registry-probe" },
      },
    ],
  },
});
